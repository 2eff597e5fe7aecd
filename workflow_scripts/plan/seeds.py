"""What a main grid costs with one seed and controls, with three seeds and with five, and what each could decide."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.plan.dry_run import Job
from workflow_scripts.plan.sizes import UnknownSize
from workflow_scripts.plan.throughput import Speed
from workflow_scripts.plan.work import Work

SEVERAL = (3, 5)


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
        work, hours = Work(experiment, figures), 0.0
        for job in _jobs(experiment):
            with contextlib.suppress(UnknownSize):
                load = work.load(job)
                hours += load.flops / speed[load.kind].flops / 3600
        found.append(Design(name, seeds, len(experiment.rankers), hours))
    one = found[0]
    return found + [Design(f"{seeds} seeds", seeds, seeds * one.trainings, seeds * one.hours) for seeds in SEVERAL]


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
