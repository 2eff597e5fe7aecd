"""What a main grid costs with one seed and controls, with three seeds and with five."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    """A main grid's seeds: ``trainings`` of students and ``hours`` of a GPU for all that a seed repeats."""

    name: str
    trainings: int
    hours: float


def designs(config: Mapping, throughput: Throughput, figures: Mapping) -> Iterator[Design]:
    """The designs of a configuration as it was read, as if nothing were built; jobs of unknown size are left out."""
    first = config["seeds"][0]
    free = max([seeding(first)[0], *seeding(first)[1].values()]) + 1
    changes: dict[str, dict[str, Any]] = {"1 seed": {"controls": None}, "1 seed, controls": {}}
    for number in SEVERAL:
        changes[f"{number} seeds"] = {"seeds": [first, *range(free, free + number - 1)]}
    for name, change in changes.items():
        experiment = Experiment({**config, "seeds": [first], "studies": {}, **change})
        workload = Workload(experiment, Sizes(experiment, figures), figures)
        hours = sum(_hours(job, workload, throughput) for job in _jobs(experiment))
        yield Design(name, len(experiment.rankers), hours)


def _jobs(experiment: Experiment) -> Iterator[Job]:
    """GPU jobs that every seed repeats."""
    for rule in ("train_student", "rerank_candidates"):
        yield from (Job(rule, (("ranker", path),)) for path in experiment.rankers)
    yield from (Job("retrieve_documents", (("ranker", path),)) for path in experiment.retrievers)
    rankers = Rankers(experiment)
    for folder in unique(folder for path in experiment.rankers for folder in rankers.labels(path)):
        teacher, groups_id, seed = folder.split("/")[1:]
        labelled = (("teacher", teacher), ("groups_id", groups_id), ("seed", seed.removeprefix("seed")))
        yield Job("label_groups", labelled)


def _hours(job: Job, workload: Workload, throughput: Throughput) -> float:
    try:
        load = workload.load(job)
    except UnknownSize:
        return 0.0
    return load.flops / throughput.speed(load.kind).flops / 3600
