"""Encoders, of dense systems and of locality: cells that exist, and none that needs the rankings that it is to make."""

from __future__ import annotations

import difflib
import graphlib
from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.grid_point import GridPoint


def cycle_problems(config: Mapping, rankers: Mapping[str, GridPoint]) -> Iterator[str]:
    """Encoders that are no cell, and dependency cycles, as lines that name the key and the fix.

    ``config``: with every default and the cuts' samplers; ``rankers``: path to student of all cells, studies included.
    """
    yield from _encoders(config, rankers)
    try:
        graphlib.TopologicalSorter(_needs(config, rankers)).prepare()
    except graphlib.CycleError as error:
        # Each needs the next; the last is the first again.
        yield _line(error.args[1][:0:-1])


def trained_encoders(config: Mapping) -> dict[str, str]:
    """Dense system to its encoder, where that is no backbone."""
    dense = {name: entry["encoder"] for name, entry in config["systems"].items() if entry["model"] == "dense"}
    return {name: encoder for name, encoder in dense.items() if encoder not in config["backbones"]}


def _encoders(config: Mapping, rankers: Mapping[str, GridPoint]) -> Iterator[str]:
    students = config["students"]
    cells = [path for path, each in rankers.items() if students[each.student]["architecture"] == "bi-encoder"]
    named = {f"systems.{name}.encoder": encoder for name, encoder in trained_encoders(config).items()}
    named["analysis.locality.embedding"] = config["analysis"]["locality"]["embedding"]
    for where, encoder in named.items():
        if encoder is not None and encoder not in cells and encoder not in config["backbones"]:
            student = f"{rankers[encoder].student} is no bi-encoder" if encoder in rankers else None
            what = student or f"{encoder!r} is no backbone and no cell of the grid or a study"
            nearest = difflib.get_close_matches(encoder, cells, n=1, cutoff=0)
            fix = f"the nearest cell of a bi-encoder is {nearest[0]}" if nearest else "name a backbone"
            yield f"{where}: {what}; {fix}"


def _needs(config: Mapping, rankers: Mapping[str, GridPoint]) -> dict[str, list[str]]:
    """What each part of the config (its key) and each encoder's cell (its path) needs."""
    encoders = trained_encoders(config)
    needs = {f"systems.{name}": [encoders[name]] if name in encoders else [] for name in config["systems"]}
    for name, pool in config["pools"].items():
        needs[f"pools.{name}"] = _keys("systems", pool["systems"]) + _keys("pools", pool["known"])
    for name, sampler in config["samplers"].items():
        # Pools are a teacher's scores: who reads no teacher does not wait for them.
        pools = sampler["pools"] if sampler["reads_teacher"] else []
        needs[f"samplers.{name}"] = _keys("systems", sampler["systems"]) + _keys("pools", pools)
    for name, teacher in config["teachers"].items():
        needs[f"teachers.{name}"] = _keys("samplers", [teacher["sampler"]] if teacher["trained"] else [])
    for path in encoders.values():
        ranker = rankers[path]
        sampler, labelled = config["samplers"][ranker.sampler], config["losses"][ranker.loss]["reads_teacher"]
        needs[path] = _keys("samplers", [ranker.sampler])
        needs[path] += _keys("teachers", [ranker.teacher] if labelled or sampler["reads_teacher"] else [])
        needs[path] += _keys("pools", sampler["pools"] if labelled else [])
        dev = config["teachers"][ranker.teacher]["calibrate"] if labelled else None
        needs[path] += _keys("pools", [dev] if dev else [])
    return needs


def _keys(axis: str, names: list[str]) -> list[str]:
    return [f"{axis}.{name}" for name in names]


def _line(cycle: list[str]) -> str:
    """The line of a cycle, each of which needs the next and the last the first; from a dense system on, if any."""
    start = next((place for place, key in enumerate(cycle) if key.startswith("systems.")), None)
    key, fix = ("known", "drop one of them") if start is None else ("encoder", "name another cell, or a backbone")
    cycle = cycle[start or 0 :] + cycle[: start or 0]
    return f"{cycle[0]}.{key}: {' needs '.join([*cycle, cycle[0]])}, a dependency cycle; {fix}"
