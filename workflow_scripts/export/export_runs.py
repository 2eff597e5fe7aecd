"""Write a ranker's runs so that no tool can order them otherwise, and the judgements beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import read_evaluation
from workflow_scripts.storage.runs import run_on


def export_runs(
    *, spec: Mapping, collections: Sequence[str], runs: Sequence[Path], evaluation: Sequence[Path], output: Path
) -> None:
    """Write ``{collection}.run`` and ``{collection}.qrels`` for each of ``collections``, as TREC's tools read them.

    ``runs`` and ``evaluation``: manifests, one an evaluation set. ``spec``: ``tag``, the run's name. Counts the scores
    that were lowered, see :func:`strictly_decreasing`.
    """
    with ArtifactWriter(output, kind="export", spec=spec) as writer:
        for artifact in map(Artifact, runs):
            if artifact.nothing is not None:
                raise InputError(f"{artifact.manifest_path} holds no rankings: {artifact.nothing}")
        for name in collections:
            frame = run_on(name, runs).sort_values(["query_id", "rank"], kind="stable")
            lowered = frame.groupby("query_id", sort=False)["score"].transform(strictly_decreasing).to_numpy(np.float32)
            writer.counts[name] = int((lowered != frame["score"].to_numpy(np.float32)).sum())
            # Nine digits name one 32-bit number.
            _write_lines(
                writer.path(f"{name}.run"),
                frame.assign(score=lowered),
                lambda row: f"{row.query_id} Q0 {row.doc_id} {row.rank} {row.score:.9g} {spec['tag']}",
            )
            _write_lines(
                writer.path(f"{name}.qrels"),
                read_evaluation(_holding(f"{name}.qrels.parquet", evaluation), name, "qrels"),
                lambda row: f"{row.query_id} 0 {row.doc_id} {row.relevance}",
            )


def strictly_decreasing(scores: pd.Series) -> np.ndarray:
    """Scores of one query in the order of their ranks, as 32-bit numbers of which each is below the one before it.

    trec_eval reads scores as 32-bit numbers, sorts by them, and puts equal ones in *descending* order of document ids;
    others keep the file's order, or take ascending ids. A score that is not below the one before it becomes the next
    number below that: the order is what it was, and no score moves by more than rounding.
    """
    with np.errstate(over="ignore"):  # refused below
        lowered = scores.to_numpy().astype(np.float32)
    for place in np.flatnonzero(np.diff(lowered) >= 0) + 1:
        while place < len(lowered) and lowered[place] >= lowered[place - 1]:
            lowered[place] = np.nextafter(lowered[place - 1], np.float32(-np.inf))
            place += 1
    if not np.isfinite(lowered).all():
        raise InputError("a run holds a score that no 32-bit number stands for: make the run again")
    return lowered


def _holding(name: str, manifests: Sequence[Path]) -> Path:
    return next(path for path in manifests if name in Artifact(path))


def _write_lines(path: Path, frame: pd.DataFrame, line) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line(row)}\n" for row in frame.itertuples(index=False))


if __name__ == "__main__":
    run(export_runs)
