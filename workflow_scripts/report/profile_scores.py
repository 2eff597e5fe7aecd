"""Profile the scores of all rankers: normalised score by rank ratio, as the figures draw it and by query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.analysis.summaries import TEACHER
from workflow_scripts.report.profiles import PROFILES, QUERY_PROFILES
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.runs import by_ranker, run_on


def profile_scores(*, spec: Mapping, runs: Sequence[Path], output: Path, queries: Path) -> None:
    """Write the mean of :func:`query_profiles` for each ranker, collection and rank ratio, and ``queries``.

    ``spec``: ``rankers`` ([student, loss, sampler, teacher, seed]), ``collections`` (ids), ``points`` of the grid.
    ``runs``: manifests in the rankers' order, of each as many as there are evaluation sets. ``queries`` holds each
    query's profile by each teacher and each student, the mean over all that the student was trained by. One run is in
    memory at a time, and the profiles of all queries by teachers and students; bound by reading the runs.
    """
    progress, lines = Progress(len(spec["rankers"]), "rankers"), {}
    with atomic_path(output) as path, pq.ParquetWriter(path, PROFILES, compression="zstd") as writer:
        for ranker, own in zip(spec["rankers"], by_ranker(runs, len(spec["rankers"])), strict=True):
            keys = dict(zip(KEYS, ranker, strict=True))
            line = keys["student"], keys["teacher"] if keys["student"] == TEACHER else ""
            for collection in spec["collections"]:
                found = _profiles(own, collection, spec["points"])
                writer.write_table(_mean_profile({**keys, "collection": collection}, found))
                lines.setdefault((*line, collection), _Mean()).add(found)
            progress.add(1)
    with atomic_path(queries) as path, pq.ParquetWriter(path, QUERY_PROFILES, compression="zstd") as writer:
        for line, mean in lines.items():
            writer.write_table(_line_table(line, mean.value()))


class _Mean:
    """The mean of frames of profiles, each query over those that have it."""

    def __init__(self) -> None:
        self.total, self.number = pd.DataFrame(), pd.Series(dtype=float)

    def add(self, profiles: pd.DataFrame) -> None:
        self.total = self.total.add(profiles, fill_value=0)
        self.number = self.number.add(pd.Series(1.0, profiles.index), fill_value=0)

    def value(self) -> pd.DataFrame:
        return self.total.div(self.number, axis=0)


def _mean_profile(keys: Mapping[str, object], profiles: pd.DataFrame) -> pa.Table:
    points = profiles.shape[1]
    columns = {**keys, "n_queries": len(profiles)}
    arrays = {name: pa.array([value] * points, PROFILES.field(name).type) for name, value in columns.items()}
    means = {"rank_ratio": profiles.columns.to_numpy(), "score": profiles.mean().to_numpy()}
    return pa.table({**arrays, **means}).select(PROFILES.names).cast(PROFILES)


def _line_table(line: tuple[str, str, str], profiles: pd.DataFrame) -> pa.Table:
    names = QUERY_PROFILES.names
    keys = [
        pa.array([value] * len(profiles), QUERY_PROFILES.field(name).type)
        for name, value in zip(names, line, strict=False)
    ]
    scores = pa.array(list(profiles.to_numpy(np.float32)), QUERY_PROFILES.field("scores").type)
    return pa.table([*keys, pa.array(profiles.index, pa.string()), scores], schema=QUERY_PROFILES)


def _profiles(runs: Sequence[Path], collection: str, points: int) -> pd.DataFrame:
    ranking = run_on(collection, runs)
    try:
        return query_profiles(ranking, points)
    except InputError as error:
        raise InputError(f"{runs[0]}, {collection}: {error}") from None


def query_profiles(ranking: pd.DataFrame, points: int) -> pd.DataFrame:
    """Normalised score of each query of a run (rows, by id) by rank ratio (columns).

    ``ranking``: query_id, rank (1, 2, ...), score. Scores may be negative and of any scale, so each query's are first
    mapped to [0, 1] by (s - min) / (max - min) over its own candidates; the rank ratio is rank / the query's number of
    candidates. On the grid 1/points, 2/points, ..., 1 a query's scores are interpolated linearly (a query with
    ``points`` candidates needs none; below its first ratio its best score stands). Queries with one candidate or with
    equal scores have no scale and are left out. Raises :class:`InputError` where none is left.
    """
    grid = np.arange(1, points + 1) / points
    ordered = ranking.sort_values(["query_id", "rank"], kind="stable")
    scores = ordered["score"].to_numpy(np.float64)
    starts = np.flatnonzero(~ordered["query_id"].duplicated().to_numpy())
    profiles = {}
    for query, own in zip(ordered["query_id"].to_numpy()[starts], np.split(scores, starts[1:]), strict=True):
        low, high = own.min(), own.max()
        if high > low:
            profiles[query] = np.interp(grid, np.arange(1, len(own) + 1) / len(own), (own - low) / (high - low))
    if not profiles:
        raise InputError("no query has two candidates with different scores: look at the ranker's training")
    return pd.DataFrame.from_dict(profiles, orient="index", columns=grid)


if __name__ == "__main__":
    run(profile_scores)
