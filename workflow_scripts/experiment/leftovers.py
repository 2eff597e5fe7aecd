"""What lies in the results of an experiment and no rule of its config makes: left by an earlier config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from workflow_scripts.experiment.archives import families
from workflow_scripts.experiment.exports import Exports
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.shards import shard_names

AXES = {
    **{axis: (axis,) for axis in ("backbones", "corpora", "collections")},
    "index": ("corpora",),
    "downloads": ("systems",),
    "rankings": ("systems", "collections"),
    "calibrations": ("teachers",),
    "scores": ("teachers", "pools"),
}
"""Kind of artifact to the axes of the config that its folders are named by."""


SHOWN = ("tables", "analysis", "figures")
STUDIES = {name: name for name in ("cuts", "factorial", "teachers", "budgets")}
STUDIES |= {"factorial_cells": "factorial", "training_collections": "collections"}
"""Table or figure to the study that it is of."""


def is_left_over(rankers: Rankers, name: str) -> bool:
    """Does no rule make the file ``name``, a path below the results?

    Snakemake would refuse every target of a command with such a one among them.
    """
    kind, *folders = PurePosixPath(name).parts
    try:
        return not _is_made(rankers, kind, folders if kind in ("cells", *SHOWN) else folders[:-1])
    except (InputError, LookupError, StopIteration, ValueError):  # no such entry, or vocabulary; too few folders
        return True


def _is_made(rankers: Rankers, kind: str, names: Sequence[str]) -> bool:
    """False, or an error, where the config has no entry of a name; names are the folders below the kind's."""
    experiment, config = rankers.experiment, rankers.config
    for axis, name in zip(AXES.get(kind, ()), names, strict=False):
        experiment.entry(axis, name)
    if kind in ("students", "runs", "metrics"):
        return _is_measured(rankers, "/".join(names if kind == "students" else names[:-1]), kind, names[-1])
    if kind == "cells":
        cell, domain, _ = names[0].rsplit(".", 2)
        return bool(experiment.ranker(cell) and experiment.entry("domains", domain))
    if kind in SHOWN:
        return _is_shown(rankers, kind, *names[0].split(".")[:-1])
    if kind in ("labels", "looked_up", "groups"):
        *teacher, groups_id, _ = names
        return all(experiment.entry("teachers", name) for name in teacher) and bool(experiment.sampler_of(groups_id))
    if kind == "teachers":
        return bool(rankers.teacher("/".join(names)))
    if kind == "tokens":
        experiment.vocabulary_backbone(names[0])
        stored = [*config["corpora"], *config["collections"], *experiment.evaluation_sets]
        return names[-1].split(".")[0] in stored
    if kind == "shards":
        of, *_, shard = names
        return config["shards"] > 1 and shard in shard_names(config["shards"]) and _is_made(rankers, of, names[1:-1])
    if kind == "pairs":
        pool = experiment.entry("pools", names[1])
        return config["shards"] > 1 and bool(pool and experiment.vocabulary_backbone(names[0]))
    if kind == "archives":
        return names[0] in families(config)
    if kind == "exports":
        return bool(Exports(rankers, "").ranker(names[0]))
    return True


def _is_measured(rankers: Rankers, ranker: str, kind: str, evaluation_set: str) -> bool:
    experiment = rankers.experiment
    if kind != "students":
        experiment.collections_in(ranker, evaluation_set)
    retrieved = ranker.startswith("retrieved/")
    ranker = ranker.removeprefix("retrieved/")
    if retrieved:
        return experiment.ranker(ranker).path in (*experiment.retrievers, *experiment.dense_rerankers)
    return ranker in rankers.references or bool(experiment.ranker(ranker))


def _is_shown(rankers: Rankers, kind: str, name: str, part: str = "") -> bool:
    """``part``: of the tables that one layout has of several students or studies."""
    experiment, config = rankers.experiment, rankers.config
    if part:
        return part in (experiment.grid["students"] if name == "per_collection" else config["studies"])
    optional = {
        "controls": experiment.control_cells,
        "retrieval": [*experiment.retrievers, *experiment.dense_rerankers],
        "published": config["evaluation"]["published"],
        "pipelines": config["pipelines"],
        "risk": experiment.has_truth,
        "contamination_pairs": kind != "tables" or config["analysis"]["texts"],
    }
    return STUDIES[name] in config["studies"] if name in STUDIES else bool(optional.get(name, True))
