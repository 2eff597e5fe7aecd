"""Profile the scores of all rankers: mean normalised score by rank ratio, one table for the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.report.profiles import PROFILES
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.runs import by_ranker, run_on


def profile_scores(*, spec: Mapping, runs: Sequence[Path], output: Path) -> None:
    """Write one row per ranker, collection and rank ratio, see :func:`mean_profile`.

    ``spec``: ``rankers`` ([student, loss, sampler, teacher, seed]), ``collections`` (ids), ``points`` of the grid.
    ``runs``: manifests in the rankers' order, of each as many as there are evaluation sets. One run is in memory at a
    time; bound by reading them.
    """
    progress = Progress(len(spec["rankers"]), "rankers")
    with atomic_path(output) as path, pq.ParquetWriter(path, PROFILES, compression="zstd") as writer:
        for ranker, own in zip(spec["rankers"], by_ranker(runs, len(spec["rankers"])), strict=True):
            keys = dict(zip(KEYS, ranker, strict=True))
            for collection in spec["collections"]:
                writer.write_table(_profile(keys, own, collection, spec["points"]))
            progress.add(1)


def _profile(keys: Mapping[str, object], runs: Sequence[Path], collection: str, points: int) -> pa.Table:
    ranking = run_on(collection, runs)
    try:
        ratios, scores, queries = mean_profile(ranking, points)
    except InputError as error:
        raise InputError(f"{runs[0]}, {collection}: {error}") from None
    columns = {**keys, "collection": collection, "n_queries": queries}
    arrays = {name: pa.array([value] * points, PROFILES.field(name).type) for name, value in columns.items()}
    return pa.table({**arrays, "rank_ratio": ratios, "score": scores}).select(PROFILES.names).cast(PROFILES)


def mean_profile(ranking: pd.DataFrame, points: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean normalised score of a run by rank ratio: ratios and scores  # (points,), and how many queries they are of.

    ``ranking``: query_id, rank (1, 2, ...), score. Scores may be negative and of any scale, so each query's are first
    mapped to [0, 1] by (s - min) / (max - min) over its own candidates; the rank ratio is rank / the query's number of
    candidates. On the grid 1/points, 2/points, ..., 1 a query's scores are interpolated linearly (a query with
    ``points`` candidates needs none; below its first ratio its best score stands), then averaged over queries. Queries
    with one candidate or with equal scores have no scale and are left out. Raises :class:`InputError` where none is
    left.
    """
    grid = np.arange(1, points + 1) / points
    ordered = ranking.sort_values(["query_id", "rank"], kind="stable")
    scores = ordered["score"].to_numpy(np.float64)
    starts = np.flatnonzero(~ordered["query_id"].duplicated().to_numpy())
    total, queries = np.zeros(points), 0
    for own in np.split(scores, starts[1:]):
        low, high = own.min(), own.max()
        if high > low:
            total += np.interp(grid, np.arange(1, len(own) + 1) / len(own), (own - low) / (high - low))
            queries += 1
    if not queries:
        raise InputError("no query has two candidates with different scores: look at the ranker's training")
    return grid, total / queries, queries


if __name__ == "__main__":
    run(profile_scores)
