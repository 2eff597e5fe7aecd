"""Costs of jobs summed up: what is still to do by stage, and what a main grid costs with one, three and five seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.plan.costs import Cost, Costs, UnknownSize
from workflow_scripts.plan.jobs import Job
from workflow_scripts.plan.throughput import Speed
from workflow_scripts.storage.tables import read_numbers

HOUR = 3600
STARTING, IDLE, FEEDING = "starting GPU jobs", "idle: look-ups on one core", "feeding the GPU"


class Sums:
    """What jobs cost; ``unknown``: what could not be counted and is left out, so that sums are then lower bounds."""

    def __init__(
        self, experiment: Experiment, jobs: Sequence[Job], speed: Mapping[str, Speed], figures: Mapping
    ) -> None:
        costs, rows, unknown = Costs(experiment, figures), [], []
        for job in jobs:
            try:
                rows.append(costs.of(job))
            except UnknownSize as error:
                rows.append(Cost())
                unknown.append(str(error))
        self.figures, self.unknown = figures, unique(unknown)
        table = pd.DataFrame(jobs, columns=Job._fields).join(pd.DataFrame(rows, columns=Cost._fields))
        flops_s = {kind: each.flops for kind, each in speed.items()}
        table["job"], table["on_gpu"] = [str(job) for job in jobs], table["kind"] != ""
        table["gpu_s"] = (table["flops"] / table["kind"].map(flops_s)).fillna(0)
        held_s = table["gpu_s"] + table["core_s"] + figures["device"]["start_s"]
        table["hours"] = held_s.where(table["on_gpu"], table["core_s"] / table["threads"]) / HOUR
        self.jobs = table
        """A job a row: what it asks for, what it costs, the seconds for which its GPU computes, its hours in all."""

    def gpu(self) -> pd.DataFrame:
        """GPU stage to its jobs, texts, flops, hours, and the hours of the longest job."""
        jobs = self.jobs[self.jobs["on_gpu"]]
        parts = (
            jobs[["stage", "texts", "flops"]].assign(seconds=jobs["gpu_s"]),
            jobs[[]].assign(stage=STARTING, seconds=self.figures["device"]["start_s"]),
            jobs.loc[jobs["core_s"] > 0, []].assign(stage=IDLE, seconds=jobs["core_s"]),
        )
        stages = pd.concat(parts).groupby("stage")
        sums, seconds = stages[["texts", "flops"]].sum(), stages["seconds"]
        found = sums.assign(jobs=seconds.size(), hours=seconds.sum() / HOUR, longest=seconds.max() / HOUR)
        order = [*(row["stage"] for row in self.figures["rules"].values()), STARTING, IDLE]
        return found.sort_index(key=lambda names: names.map(order.index))

    def cpu(self) -> pd.Series:
        """CPU stage to its core-hours."""
        jobs = self.jobs[~self.jobs["on_gpu"] & (self.jobs["stage"] != "")]
        feeding = self.gpu()["hours"].sum() * self.figures["cpu"]["cores_a_gpu"]
        return pd.concat([jobs.groupby("stage")["core_s"].sum() / HOUR, pd.Series({FEEDING: feeding})])

    def disk(self) -> pd.Series:
        """Kind of files to their bytes."""
        return self.jobs[self.jobs["files"] != ""].groupby("files")["size"].sum()


class Design(NamedTuple):
    """A main grid's seeds (0: one, without controls), trainings of students, GPU-hours of all that a seed repeats."""

    name: str
    seeds: int
    trainings: int
    hours: float


def designs(config: Mapping, speed: Mapping[str, Speed], figures: Mapping) -> list[Design]:
    """The designs of a configuration as it was read, as if nothing were built; jobs of unknown size are left out."""
    found = []
    for name, seeds, change in (("1 seed", 0, {"controls": None}), ("1 seed, controls", 1, {})):
        experiment = Experiment({**config, "seeds": config["seeds"][:1], "studies": {}, **change})
        seconds = Sums(experiment, [*_repeated(experiment)], speed, figures).jobs["gpu_s"].sum()
        found.append(Design(name, seeds, len(experiment.rankers), seconds / HOUR))
    return found + [Design(f"{more} seeds", more, more * found[0].trainings, more * found[0].hours) for more in (3, 5)]


def _repeated(experiment: Experiment) -> Iterator[Job]:
    """GPU jobs that every seed repeats."""
    yield from (Job("train_student", {"ranker": path}) for path in experiment.rankers)
    for rule, candidates, rankers in (
        ("rerank_candidates", "bm25", experiment.rankers),
        ("retrieve_documents", "retrieved/", experiment.retrievers),
        ("rerank_dense_candidates", "retrieved/", experiment.dense_rerankers),
    ):
        for name in experiment.sets_of(candidates):
            yield from (Job(rule, {"ranker": path, "set": name}) for path in rankers)
    labels = Rankers(experiment).labels
    for folder in unique(folder for path in experiment.rankers for folder in labels(path)):
        teacher, groups_id, seed = folder.split("/")[1:]
        yield Job("label_groups", {"teacher": teacher, "groups_id": groups_id, "seed": seed.removeprefix("seed")})


def reach(power: Path) -> dict[int, tuple[float, float]]:
    """Seeds to the difference found and the margin within which equivalence is shown in four of five cases.

    ``power``: numbers of a pilot's table ``power``; medians over its families. Empty where there is no such file.
    """
    if not power.exists():
        return {}
    rows = read_numbers(power)[0].query("scope == 'block'")
    found = rows.groupby("seeds")[["difference_family", "margin_family"]].median()
    return {int(seeds): (difference, margin) for seeds, difference, margin in found.itertuples()}
