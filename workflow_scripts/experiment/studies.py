"""Studies beside the main grid: what each asks of the entries that it names."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

DIALS = {"samplers": ("mixed", "share"), "losses": ("kl", "teacher_temperature")}
"""Axis of the factorial to the function whose option is its dial: locality, and entropy."""
ROUNDING = 0.0005
"""How far from whole negatives a share may be, as the sampler mixed has it (whose file loads numpy: too slow here)."""


def dial(config: Mapping, axis: str) -> dict[str, float]:
    """Level of each of the factorial's samplers or losses: its id to the value of the option."""
    _, option = DIALS[axis]
    return {name: config[axis][name]["options"].get(option, 1.0) for name in config["studies"]["factorial"][axis]}


def study_problems(config: Mapping) -> Iterator[str]:
    """What the schema cannot know of the studies, as lines that name the key and the fix."""
    for check in (_dials, _cuts, _factorial, _confounded, _teachers, _collections):
        yield from check(config)


def _dials(config: Mapping) -> Iterator[str]:
    """Values that a dial cannot have, be it in the factorial or anywhere else."""
    negatives = config["training"]["negatives"]
    for axis, (function, option) in DIALS.items():
        for name, entry in config[axis].items():
            if entry["function"] != function or option not in entry["options"]:
                continue
            where, value = f"{axis}.{name}.options.{option}", entry["options"][option]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if axis == "losses":
                if not (number and 0 < value < math.inf):
                    yield f"{where}: {value!r} is no number above 0; write one"
            elif not (number and 0 <= value <= 1):
                yield f"{where}: {value!r} is no number from 0 to 1; write one"
            elif not is_whole(value, negatives):
                below = math.floor(value * negatives)
                nearest = " or ".join(f"{n / negatives:.3g} ({n} of {negatives})" for n in (below, below + 1))
                yield f"{where}: {value} is no whole number of {negatives} negatives; set it to {nearest}"


def is_whole(share: float, negatives: int) -> bool:
    """Whether a share from 0 to 1 is a whole number of a group's negatives, but for its rounding to three decimals."""
    return abs(round(share * negatives) / negatives - share) <= ROUNDING


def _cuts(config: Mapping) -> Iterator[str]:
    study = config["studies"].get("cuts")
    for sampler, cut in itertools.product(study["samplers"], study["cuts"]) if study else ():
        if f"{sampler}-{cut}" in config["samplers"]:
            yield f"samplers.{sampler}-{cut}: this name is taken by an entropy cut of {sampler}; choose another"


def _factorial(config: Mapping) -> Iterator[str]:
    """Levels of the factorial: at least two of each dial, in rising order, of groups whose locality is measured."""
    study, training = config["studies"].get("factorial"), config["training"]
    for axis, (function, option) in DIALS.items() if study else ():
        where = f"studies.factorial.{axis}"
        if len(study[axis]) < 2:
            yield f"{where}: one level shows no effect; name at least two"
        for name in study[axis]:
            if config[axis][name]["function"] != function:
                yield f"{where}: {name} is no {function}, whose {option} is the dial; name entries of {function}"
                return
        written = list(dial(config, axis).values())
        # Two shares of as many negatives are one level.
        levels = [round(share * training["negatives"]) for share in written] if axis == "samplers" else written
        if sorted(set(levels)) != levels:
            told = ", ".join(map(str, written))
            yield f"{where}: their {option} is {told}; list them in rising order, each level once"
    for name in study["samplers"] if study else ():
        if (drawn := _drawn(config, name)) != training["collection"]:
            where = f"studies.factorial.samplers: {name} draws for {drawn}, whose groups' locality is not measured"
            yield f"{where}; name samplers of {training['collection']}"


def _confounded(config: Mapping) -> Iterator[str]:
    """Levels that differ in more than their dial: the effect would be of both."""
    study = config["studies"].get("factorial")
    for axis, (_, option) in DIALS.items() if study else ():
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


def _teachers(config: Mapping) -> Iterator[str]:
    study = config["studies"].get("teachers")
    if study and len(study["teachers"]) < 2:
        yield "studies.teachers.teachers: one teacher shows no difference; name at least two"
    if study and len(study["samplers"]) < 2:
        yield "studies.teachers.samplers: one sampler shows no conclusion; name at least two"
    for loss in study["losses"] if study else ():
        if not config["losses"][loss]["reads_teacher"]:
            yield f"studies.teachers.losses: {loss} reads no teacher; its students would be the same under each"


def _collections(config: Mapping) -> Iterator[str]:
    study = config["studies"].get("collections")
    if not study:
        return
    where, kinds = "studies.collections.samplers", {}
    for name in study["samplers"]:
        kind = config["samplers"][name]["function"], _drawn(config, name)
        if kind in kinds:
            yield f"{where}: {kinds[kind]} and {name} are both {kind[0]} on {kind[1]}; name one of them"
        kinds[kind] = name
    if len({drawn for _, drawn in kinds}) < 2:
        yield f"{where}: all draw for one collection; name samplers of at least two"


def _drawn(config: Mapping, sampler: str) -> str:
    """The training collection that a sampler draws for."""
    return config["samplers"][sampler]["collection"] or config["training"]["collection"]
