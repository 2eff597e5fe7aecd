"""What the seeds of a config seed: which negatives are drawn, the order of the data, a model's new weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.backbone_source import brings_head

SEEDED = ("sampling", "order", "initialisation")
"""The parts that a seed seeds; dropout goes with the order of the data."""


def seeding(seed: int | Mapping) -> tuple[int, dict[str, int]]:
    """A seed's name, and each of :data:`SEEDED` to its own number: the name where the config has no other."""
    parts = seed if isinstance(seed, Mapping) else {"seed": seed}
    return parts["seed"], {name: parts.get(name, parts["seed"]) for name in SEEDED}


def parts_of(architecture: str, backbone: Mapping) -> tuple[str, ...]:
    """The parts that tell such models apart: none but a new head is initialised, and a backbone may bring its own."""
    new_head = architecture == "cross-encoder" and not brings_head(backbone)
    return tuple(part for part in SEEDED if new_head or part != "initialisation")


def same_students(config: Mapping, parts: Mapping[str, int], others: Mapping[str, int]) -> list[str]:
    """Students that two seeds make the same models of."""

    def is_same(student: Mapping) -> bool:
        compared = parts_of(student["architecture"], config["backbones"][student["backbone"]])
        return all(parts[part] == others[part] for part in compared)

    return [name for name, student in config["students"].items() if is_same(student)]


def first_free(seeds: Mapping[int, Mapping[str, int]], teachers: Mapping[str, Mapping]) -> int:
    """The first number above every seed, each of its parts, and the seeds of the trained teachers."""
    numbers = [number for name, parts in seeds.items() for number in (name, *parts.values())]
    return max([*numbers, *(teacher["seed"] for teacher in teachers.values() if teacher["trained"])]) + 1


def seed_problems(config: Mapping) -> Iterator[str]:
    """Seeds that name one cell twice or make one model twice, and those of studies that are none."""
    named: dict[int, dict[str, int]] = {}
    for seed, parts in map(seeding, config["seeds"]):
        if seed in named:
            yield f"seeds: {seed} is there twice; each names a cell of its own"
        for other, others in named.items():
            if students := same_students(config, parts, others):
                new = f"differ in initialisation alone, and {students[0]} starts from no new weights"
                alike = f"have one {', '.join(SEEDED)}" if parts == others else new
                yield f"seeds: {other} and {seed} {alike}: the same model twice; change or drop one"
        named[seed] = parts
    for name, study in config["studies"].items():
        for seed in study["seeds"] or ():
            if seed not in named:
                yield f"studies.{name}.seeds: no {seed} among the seeds: there are {', '.join(map(str, named))}"
