"""Controls: cells of an experiment with one seed that are trained again, so that its tables know what that changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from workflow_scripts.analysis.degrees import LEAST_DEGREES
from workflow_scripts.experiment.grid_point import in_grid
from workflow_scripts.experiment.references import ranked_by
from workflow_scripts.experiment.seeds import first_free, same_students, seeding


def control_seeds(config: Mapping) -> list[int]:
    """Further seeds of the controls; none where the experiment has no controls, or needs none with several seeds.

    Where the config names none: as many as give a student's controls enough degrees of freedom, from the first number
    above every part of the seed and every teacher's seed, so that each is a new model.
    """
    controls = config["controls"]
    if controls is None or len(config["seeds"]) > 1:
        return []
    first = first_free(dict(map(seeding, config["seeds"])), config["teachers"])
    cells = len(control_samplers(config)) * len(in_grid(config, "losses"))
    return controls["seeds"] or list(range(first, first + math.ceil(LEAST_DEGREES / cells)))


def control_samplers(config: Mapping) -> list[str]:
    """Samplers whose cells are trained again: the config's, else the cheapest and the costliest of the main grid."""
    by_cost = sorted(in_grid(config, "samplers"), key=lambda name: _cost(config, name))
    return config["controls"]["samplers"] or list(dict.fromkeys([by_cost[0], by_cost[-1]]))


def _cost(config: Mapping, sampler: str) -> tuple[int, bool]:
    """Pairs that a teacher scores for a training query, at most; the sampler that waits for them is the costlier."""
    entry, pairs = config["samplers"][sampler], 0
    for pool in (config["pools"][name] for name in entry["pools"]):
        pairs += len(ranked_by(config, *pool["systems"])) * pool["depth"] + pool["positives"]
    return pairs, entry["reads_teacher"]


def control_problems(config: Mapping) -> Iterator[str]:
    """Samplers of the controls that the main grid lacks, further seeds that are the experiment's own or below it."""
    controls = config["controls"] or {"samplers": None, "seeds": None}
    for name in controls["samplers"] or ():
        if name not in in_grid(config, "samplers"):
            yield f"controls.samplers: {name} is not in the main grid, whose cells are trained again; name one that is"
    name, parts = seeding(config["seeds"][0])
    for seed in control_seeds(config):
        if seed == name or same_students(config, parts, seeding(seed)[1]):
            yield f"controls.seeds: {seed} is the experiment's own seed, the same model twice; name another"
        elif seed < name:  # beside other pipelines the smallest seed is an experiment's own
            yield f"controls.seeds: {seed} is below the experiment's own seed {name}; name larger ones"
    if config["pipelines"] and not control_seeds(config):
        yield "pipelines: what training again changes is known from controls: give one seed, and no controls: null"
