"""Studies beside the main grid: what each asks of the entries that it names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.references import drawn_for
from workflow_scripts.experiment.shares import near_negatives
from workflow_scripts.storage.errors import InputError

DIALS = {"samplers": ("mixed", "share"), "losses": ("kl", "teacher_temperature")}
"""Axis of the factorial to the function whose option is its dial: locality, and entropy."""


def dial(config: Mapping, axis: str) -> dict[str, float]:
    """Level of each of the factorial's samplers or losses: its id to the value of the option."""
    _, option = DIALS[axis]
    return {name: config[axis][name]["options"].get(option, 1.0) for name in config["studies"]["factorial"][axis]}


def cut_sampler(sampler: str, cut: str) -> str:
    """Id of the sampler whose groups are those of ``sampler`` in an entropy cut."""
    return f"{sampler}-{cut}"


def cut_samplers(config: Mapping) -> list[tuple[str, str, str]]:
    """The samplers that the study of cuts stands for: id, whose groups are cut, and the cut."""
    study = config["studies"].get("cuts")
    pairs = itertools.product(study["samplers"], study["cuts"]) if study else ()
    return [(cut_sampler(sampler, cut), sampler, cut) for sampler, cut in pairs]


def budget(config: Mapping, student: str) -> int:
    """Documents that a student is trained on."""
    return config["students"][student].get("documents", config["training"]["documents"])


def budgets_of(config: Mapping, student: str) -> dict[str, int]:
    """The students of the study of budgets that stand for ``student``, each to its documents, in rising order."""
    own = budget(config, student)
    found = [round(multiple * own) for multiple in config["studies"]["budgets"]["multiples"]]
    return {student if documents == own else f"{student}-{documents}": documents for documents in found}


def study_problems(config: Mapping) -> Iterator[str]:
    """What the entries of studies must have in common or differ in, as lines that name the key and the fix."""
    yield from _shares(config)
    yield from _cuts(config)
    for name, check in (
        ("factorial", _factorial),
        ("factorial", _confounded),
        ("teachers", _teachers),
        ("collections", _collections),
        ("budgets", _budgets),
    ):
        if study := config["studies"].get(name):
            yield from check(config, study)


def _shares(config: Mapping) -> Iterator[str]:
    """Shares of near negatives that are no whole number of them, in the factorial or anywhere else."""
    function, option = DIALS["samplers"]
    for name, entry in config["samplers"].items():
        if entry["function"] == function:
            try:
                near_negatives(entry["options"][option], config["training"]["negatives"])
            except InputError as error:
                yield f"samplers.{name}.options.{option}: {error}"


def _cuts(config: Mapping) -> Iterator[str]:
    for name, sampler, _ in cut_samplers(config):
        if name in config["samplers"]:
            yield f"samplers.{name}: this name is taken by an entropy cut of {sampler}; choose another"


def _factorial(config: Mapping, study: Mapping) -> Iterator[str]:
    """Levels of the factorial: at least two of each dial, in rising order, of groups whose locality is measured."""
    training = config["training"]
    for axis, (function, option) in DIALS.items():
        where = f"studies.factorial.{axis}"
        if len(study[axis]) < 2:
            yield f"{where}: needs at least two levels to compare"
        for name in study[axis]:
            if config[axis][name]["function"] != function:
                yield f"{where}: {name} must have the function {function}, whose {option} is the dial"
                return
        written = list(dial(config, axis).values())
        # Two shares of as many negatives are one level.
        levels = [round(share * training["negatives"]) for share in written] if axis == "samplers" else written
        if sorted(set(levels)) != levels:
            found = ", ".join(map(str, written))
            yield f"{where}: their {option} is {found}; list them in rising order, each level once"
    for name in study["samplers"]:
        if (drawn := drawn_for(config, config["samplers"][name])) != training["collection"]:
            where = f"studies.factorial.samplers: {name} draws for {drawn}, whose groups' locality is not measured"
            yield f"{where}; name samplers of {training['collection']}"


def _confounded(config: Mapping, study: Mapping) -> Iterator[str]:
    """Levels that differ in more than their dial: the effect would be of both."""
    for axis, (_, option) in DIALS.items():
        first, *others = study[axis]
        for name in others:
            pair = [config[axis][level] for level in (first, name)]
            options = [entry["options"] for entry in pair]
            differing = [key for key in {**options[0], **options[1]} if options[0].get(key) != options[1].get(key)]
            differing = [key for key in differing if key != option]
            if len({frozenset(entry.get("systems", ())) for entry in pair}) > 1:
                differing.append("systems")
            if differing:
                where, what = f"studies.factorial.{axis}", " and ".join(differing)
                yield f"{where}: {first} and {name} differ in {what} beside {option}; give both the same"


def _teachers(config: Mapping, study: Mapping) -> Iterator[str]:
    if len(study["teachers"]) < 2:
        yield "studies.teachers.teachers: needs at least two teachers to compare"
    if len(study["samplers"]) < 2:
        yield "studies.teachers.samplers: needs at least two samplers to compare"
    for loss in study["losses"]:
        if not config["losses"][loss]["reads_teacher"]:
            yield f"studies.teachers.losses: {loss} reads no teacher; its students would be the same under each"


def _collections(config: Mapping, study: Mapping) -> Iterator[str]:
    where = "studies.collections.samplers"
    kinds: dict[tuple[str, str], str] = {}
    for name in study["samplers"]:
        kind = config["samplers"][name]["function"], drawn_for(config, config["samplers"][name])
        if kind in kinds:
            yield f"{where}: {kinds[kind]} and {name} are both {kind[0]} on {kind[1]}; name one of them"
        kinds[kind] = name
    if len({drawn for _, drawn in kinds}) < 2:
        yield f"{where}: all draw for one collection; name samplers of at least two"


def _budgets(config: Mapping, study: Mapping) -> Iterator[str]:
    where = "studies.budgets.multiples"
    if sorted(set(study["multiples"])) != study["multiples"]:
        yield f"{where}: must rise (are {', '.join(map(str, study['multiples']))}); list them in rising order"
    for student in study["students"]:
        own, step = budget(config, student), step_documents(config)
        for multiple in study["multiples"]:
            if round(multiple * own) != multiple * own or multiple * own % step:
                nearest = max(round(multiple * own / step), 1) * step / own
                yield (
                    f"{where}: {multiple} of {student}'s {own} documents must be a multiple of a step's {step} "
                    f"(nearest: {nearest:g})"
                )
        for name in budgets_of(config, student):
            if name != student and name in config["students"]:
                yield f"students.{name}: this name is taken by a budget of {student}; choose another"


def step_documents(config: Mapping) -> int:
    """Documents of one optimiser step."""
    training = config["training"]
    return training["batch_groups"] * (1 + training["negatives"]) * training["gradient_accumulation"]
