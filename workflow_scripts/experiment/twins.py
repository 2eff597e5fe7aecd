"""Teachers that are one of the students: the same groups, backbone, loss, budget and seeds under two names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.grid_point import GridPoint
from workflow_scripts.experiment.references import drawn_for
from workflow_scripts.experiment.seeds import first_free, parts_of
from workflow_scripts.experiment.studies import budget


def twin_problems(
    config: Mapping, students: Mapping[str, GridPoint], seeds: Mapping[int, Mapping[str, int]]
) -> Iterator[str]:
    """Trained teachers that are a student too; ``students`` by their path, ``seeds`` by name to their parts."""
    teachers = config["teachers"]
    for name, teacher in teachers.items():
        twins = (path for path, at in students.items() if _is_student(config, teacher, at, seeds[at.seed]))
        if teacher["trained"] and (twin := next(twins, None)):
            yield (
                f"teachers.{name}.seed: with {teacher['seed']} this teacher is the student {twin}, the same model "
                f"twice; give it a seed that no student has, such as {first_free(seeds, teachers)}"
            )


def _is_student(config: Mapping, teacher: Mapping, at: GridPoint, parts: Mapping[str, int]) -> bool:
    """Whether a trained teacher and the student at a point have specs that differ in the name alone."""
    student, backbone = config["students"][at.student], config["backbones"][teacher["backbone"]]
    return (
        student["architecture"] == "cross-encoder"
        and all(student[key] == teacher[key] for key in ("backbone", "learning_rate"))
        and budget(config, at.student) == teacher["documents"]
        and _loss(config, at.loss) == _loss(config, teacher["loss"])
        and _groups(config, at.sampler) == _groups(config, teacher["sampler"])
        and all(parts[part] == teacher["seed"] for part in parts_of("cross-encoder", backbone))
    )


def _loss(config: Mapping, name: str) -> list:
    return [config["losses"][name][key] for key in ("function", "options")]


def _groups(config: Mapping, sampler: str) -> list:
    """What a sampler's groups follow from, a seed aside; an entropy cut of them is another list."""
    entry = config["samplers"][sampler]
    return [drawn_for(config, entry), *(entry.get(key) for key in ("function", "systems", "options", "cut"))]
