"""Score profiles of many rankers, as figures draw them: the table's columns, means over a domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.summaries import TEACHER
from workflow_scripts.storage.errors import InputError

_TEXT = pa.dictionary(pa.int32(), pa.string())
PROFILES = pa.schema(
    [
        *((name, _TEXT) for name in ("student", "loss", "sampler", "teacher")),
        *(("seed", pa.int32()), ("collection", _TEXT)),
        *(("rank_ratio", pa.float64()), ("score", pa.float64()), ("n_queries", pa.int32())),
    ]
)
"""One row per ranker, collection and point of the grid; keys as in the metrics."""
QUERY_PROFILES = pa.schema(
    [
        *((name, _TEXT) for name in ("student", "teacher", "collection")),
        *(("query_id", pa.string()), ("scores", pa.list_(pa.float32()))),
    ]
)
"""One row per line of the figures (a teacher; a student, teacher ""), collection and query; scores by rank ratio."""


def domain_profiles(profiles: pd.DataFrame, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """The ratios  # (points,) and each ranker's mean scores over a domain  # (rankers, points), rankers sorted by key.

    ``profiles``: rows of PROFILES. Collections weigh as in every mean over the domain. Raises :class:`InputError` where
    a ranker lacks a collection, or there is no ranker at all.
    """
    wanted = profiles[profiles["collection"].isin(domain.collections)]
    if wanted.empty:
        raise InputError(f"no profile of the wanted rankers on {domain.name}: name rankers of the experiment")
    keys = ["student", "loss", "sampler", "teacher", "seed"]
    weighted = wanted.assign(score=wanted["score"] * wanted["collection"].astype(str).map(domain.weights).astype(float))
    table = weighted.pivot_table(
        index=keys, columns="rank_ratio", values="score", aggfunc=["sum", "size"], observed=True, dropna=False
    )
    if (table["size"] != len(domain.collections)).any(axis=None):
        raise InputError(f"a ranker lacks the profile of a collection of {domain.name}: profile all runs again")
    return table["sum"].columns.to_numpy(np.float64), table["sum"].to_numpy(np.float64)


def positive(scores: np.ndarray) -> np.ndarray:
    """``scores`` with NaN for those a logarithm cannot show: a normalised score is 0 at the last rank."""
    return np.where(scores > 0, scores, np.nan)


def lines_of(profiles: pd.DataFrame, spec: Mapping) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and rows of each teacher of the spec, then of each student, over all that it was trained by."""
    for name in spec["teachers"]:
        label = f"teacher {name}" if len(spec["teachers"]) > 1 else "teacher"
        yield label, profiles[(profiles["student"] == TEACHER) & (profiles["teacher"] == name)]
    for name in spec["students"]:
        yield name, profiles[profiles["student"] == name]
