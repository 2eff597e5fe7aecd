"""Studies beside the main grid: what each asks of the entries that it names; where a dense system's encoder is from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

DIALS = {"samplers": ("mixed", "share"), "losses": ("kl", "teacher_temperature")}
"""Axis of the factorial to the function whose option is its dial: locality, and entropy."""


def dial(config: Mapping, axis: str) -> dict[str, float]:
    """Level of each of the factorial's samplers or losses: its id to the value of the option."""
    _, option = DIALS[axis]
    return {name: config[axis][name]["options"].get(option, 1.0) for name in config["studies"]["factorial"][axis]}


def study_problems(config: Mapping) -> Iterator[str]:
    """What the schema cannot know of the studies, as lines that name the key and the fix."""
    seeds = [seed if isinstance(seed, int) else seed["seed"] for seed in config["seeds"]]
    for seed in seeds:
        if seeds.count(seed) > 1:
            yield f"seeds: {seed} is there twice; each names a cell of its own"
    for name, study in config["studies"].items():
        for seed in study["seeds"] or ():
            if seed not in seeds:
                yield f"studies.{name}.seeds: no {seed} among the seeds: there are {', '.join(map(str, seeds))}"
    for check in (_cuts, _factorial, _teachers, _collections, _encoders):
        yield from check(config)


def _cuts(config: Mapping) -> Iterator[str]:
    study = config["studies"].get("cuts")
    for sampler, cut in itertools.product(study["samplers"], study["cuts"]) if study else ():
        if f"{sampler}-{cut}" in config["samplers"]:
            yield f"samplers.{sampler}-{cut}: this name is taken by an entropy cut of {sampler}; choose another"


def _factorial(config: Mapping) -> Iterator[str]:
    study = config["studies"].get("factorial")
    for axis, (function, option) in DIALS.items() if study else ():
        where = f"studies.factorial.{axis}"
        if len(study[axis]) < 2:
            yield f"{where}: one level shows no effect; name at least two"
        for name in study[axis]:
            if config[axis][name]["function"] != function:
                yield f"{where}: {name} is no {function}, whose {option} is the dial; name entries of {function}"
                return
        levels = list(dial(config, axis).values())
        if sorted(set(levels)) != levels:
            told = ", ".join(map(str, levels))
            yield f"{where}: their {option} is {told}; list them in rising order, each level once"


def _teachers(config: Mapping) -> Iterator[str]:
    study = config["studies"].get("teachers")
    if study and len(study["teachers"]) < 2:
        yield "studies.teachers.teachers: one teacher shows no difference; name at least two"
    for loss in study["losses"] if study else ():
        if not config["losses"][loss]["reads_teacher"]:
            yield f"studies.teachers.losses: {loss} reads no teacher; its students would be the same under each"


def _collections(config: Mapping) -> Iterator[str]:
    study = config["studies"].get("collections")
    if study:
        drawn = {config["samplers"][name]["collection"] for name in study["samplers"]}
        if len(drawn) < 2:
            yield "studies.collections.samplers: all draw for one collection; name samplers of at least two"


def _encoders(config: Mapping) -> Iterator[str]:
    """Dense systems: an encoder that exists, and none that is trained on what the system itself retrieves."""
    for name, system in config["systems"].items():
        if system["model"] != "dense" or system["encoder"] in config["backbones"]:
            continue
        where = f"systems.{name}.encoder"
        try:
            student, cell, _ = system["encoder"].split("/")
            loss, sampler, teacher = cell.split(".")
        except ValueError:
            yield f"{where}: {system['encoder']} is no backbone and no cell; write one as be/lce.bm25.base/seed0"
            continue
        for axis, key in (("students", student), ("losses", loss), ("samplers", sampler), ("teachers", teacher)):
            if key not in config[axis]:
                yield f"{where}: no {key!r} among the {axis}: there are {', '.join(config[axis])}"
                return
        if config["students"][student]["architecture"] != "bi-encoder":
            yield f"{where}: {student} is no bi-encoder; name one"
        pools = [config["pools"][pool]["systems"] for pool in config["samplers"][sampler]["pools"]]
        if name in itertools.chain(config["samplers"][sampler]["systems"], *pools):
            yield f"{where}: {sampler} draws from {name} itself; name a cell of another sampler"
