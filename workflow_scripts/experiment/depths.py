"""How deep rankings and scores must reach for what reads them; each fault a line that names the key and the fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.functions import read_function
from workflow_scripts.experiment.references import ranked_by


def depth_problems(config: Mapping) -> Iterator[str]:
    """Rankings that are not as deep as what reads them."""
    first_stage, systems = config["first_stage"], config["systems"]
    if retrieval := config["evaluation"]["retrieval"]:
        where, name = "evaluation.retrieval.candidates", retrieval["candidates"]
        if name and systems[name]["model"] != "dense":
            yield f"{where}: {name} is of model {systems[name]['model']}; name a system of model dense"
        if name and systems[name]["depth"] < first_stage["depth"]:
            yield f"{where}: {name} is {systems[name]['depth']} deep, and first_stage.depth {first_stage['depth']}"
    if first_stage["depth"] > systems[first_stage["system"]]["depth"]:
        yield f"first_stage.depth: {first_stage['depth']} exceeds the depth of system {first_stage['system']}"
    for name, pool in config["pools"].items():
        for system in pool["systems"]:
            if systems[system]["depth"] < pool["depth"]:
                yield f"pools.{name}.depth: {pool['depth']} exceeds the depth {systems[system]['depth']} of {system}"
    for name, sampler in config["samplers"].items():
        for system in _systems_read(config, sampler):
            wanted, listed = sampler["options"].get("depth", 0), systems[system]["depth"]
            if listed < wanted:
                yield f"samplers.{name}.options.depth: {wanted} exceeds the depth {listed} of {system}"
        yield from _too_few(config, f"samplers.{name}.options", sampler)


def _too_few(config: Mapping, where: str, sampler: Mapping) -> Iterator[str]:
    """Samplers that draw from fewer documents than they draw: random ones would fill their groups in their name."""
    options = {**read_function("samplers", sampler["function"]).defaults, **sampler["options"]}
    numbers = {name: value for name, value in options.items() if isinstance(value, int | float)}
    wanted = round(numbers.get("share", 1) * config["training"]["negatives"])  # the others are random on purpose
    option = next((name for name in ("per_system", "pool", "depth") if name in numbers), None)
    if option is None:
        return
    ranked = ranked_by(config, *sampler["systems"])
    documents = numbers[option] * (len(options.get("systems") or ranked) if option == "per_system" else 1)
    if documents < wanted:
        yield (
            f"{where}.{option}: leaves {documents} documents to draw {wanted} negatives of a group from, and random "
            "ones would fill it; raise it, or lower training.negatives"
        )


def score_problems(config: Mapping) -> Iterator[str]:
    """Samplers that read scores of a teacher which their pools have not; asked of pools without a dependency cycle."""
    for name, sampler in config["samplers"].items():
        if sampler["reads_teacher"] and "cut" not in sampler:
            yield from _unscored(config, f"samplers.{name}.pools", sampler)


def _unscored(config: Mapping, where: str, sampler: Mapping) -> Iterator[str]:
    """Pairs whose teacher's score a sampler reads, and none of its pools has."""
    pools, wanted = {pool: config["pools"][pool] for pool in sampler["pools"]}, sampler["options"].get("depth", 0)
    for pool, entry in pools.items():
        if left_out := [known for known in entry["known"] if known not in pools]:
            yield f"{where}: {pool} holds no pairs of {', '.join(left_out)}, which stand before it; name them too"
    needs = read_function("samplers", sampler["function"]).needs
    if needs.get("NEEDS_POSITIVES") and not any(entry["positives"] for entry in pools.values()):
        yield f"{where}: {sampler['function']} reads the positives' scores; name a pool with positives"
    for system in _systems_read(config, sampler):
        have = max((entry["depth"] for entry in pools.values() if system in entry["systems"]), default=0)
        if have < wanted:
            yield f"{where}: score {have} documents of {system}, and options.depth is {wanted}; name a deeper pool"


def _systems_read(config: Mapping, sampler: Mapping) -> list[str]:
    """Those of a sampler's systems that it draws from: its options may choose."""
    options = sampler["options"]
    chosen = {*(options.get("systems") or ()), options.get("system")} - {None}
    return [each for each in sampler["systems"] if not chosen or chosen.intersection(ranked_by(config, each))]
