"""What a main grid costs with one seed and controls, with three seeds and with five, and what each could decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.experiment.seeds import seeding
from workflow_scripts.plan.dry_run import Job
from workflow_scripts.plan.sizes import Sizes, UnknownSize
from workflow_scripts.plan.throughput import Throughput
from workflow_scripts.plan.workload import Workload

SEVERAL = (3, 5)


@dataclass(frozen=True)
class Design:
    """A main grid's seeds: ``trainings`` of students and ``hours`` of a GPU for all that a seed repeats.

    ``seeds``: 0 for one without controls, which decides nothing.
    """

    name: str
    seeds: int
    trainings: int
    hours: float


def designs(config: Mapping, throughput: Throughput, figures: Mapping) -> Iterator[Design]:
    """The designs of a configuration as it was read, as if nothing were built; jobs of unknown size are left out."""
    first = config["seeds"][0]
    free = max([seeding(first)[0], *seeding(first)[1].values()]) + 1
    changes: list[tuple[str, int, dict[str, Any]]] = [("1 seed", 0, {"controls": None}), ("1 seed, controls", 1, {})]
    for number in SEVERAL:
        changes.append((f"{number} seeds", number, {"seeds": [first, *range(free, free + number - 1)]}))
    for name, seeds, change in changes:
        experiment = Experiment({**config, "seeds": [first], "studies": {}, **change})
        workload = Workload(experiment, Sizes(experiment, figures), figures)
        hours = sum(_hours(job, workload, throughput) for job in _jobs(experiment))
        yield Design(name, seeds, len(experiment.rankers), hours)


def reach(power: Path) -> dict[int, tuple[float, float]]:
    """Seeds to the difference found and the margin within which equivalence is shown in four of five cases.

    ``power``: numbers of a pilot's table ``power``; medians over its families. Empty where there is no such file.
    """
    if not power.exists():
        return {}
    # Without a pilot the bill reads no table, and needs none of what reads them.
    from workflow_scripts.storage.tables import read_numbers

    rows = read_numbers(power)[0].query("scope == 'block'")
    found = rows.groupby("seeds")[["difference_family", "margin_family"]].median()
    return {int(seeds): (difference, margin) for seeds, difference, margin in found.itertuples()}


def _jobs(experiment: Experiment) -> Iterator[Job]:
    """GPU jobs that every seed repeats."""
    yield from (Job("train_student", (("ranker", path),)) for path in experiment.rankers)
    for name in experiment.evaluation_sets:
        yield from (Job("rerank_candidates", (("ranker", path), ("set", name))) for path in experiment.rankers)
        yield from (Job("retrieve_documents", (("ranker", path), ("set", name))) for path in experiment.retrievers)
        others = experiment.dense_rerankers
        yield from (Job("rerank_dense_candidates", (("ranker", path), ("set", name))) for path in others)
    labels = Rankers(experiment).labels
    for folder in unique(folder for path in experiment.rankers for folder in labels(path)):
        teacher, groups_id, seed = folder.split("/")[1:]
        labelled = (("teacher", teacher), ("groups_id", groups_id), ("seed", seed.removeprefix("seed")))
        yield Job("label_groups", labelled)


def _hours(job: Job, workload: Workload, throughput: Throughput) -> float:
    try:
        load = workload.load(job)
    except UnknownSize:
        return 0.0
    return load.flops / throughput.speed(load.kind).flops / 3600
