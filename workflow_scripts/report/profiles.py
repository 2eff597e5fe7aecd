"""Profiles of a ranker's scores: how they fall with the rank, and the power law that says how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from workflow_scripts.analysis.domains import Domain
from workflow_scripts.storage.errors import InputError

_TEXT = pa.dictionary(pa.int32(), pa.string())
PROFILES = pa.schema(
    [
        ("student", _TEXT),
        ("loss", _TEXT),
        ("sampler", _TEXT),
        ("teacher", _TEXT),
        ("seed", pa.int32()),
        ("collection", _TEXT),
        ("rank_ratio", pa.float64()),
        ("score", pa.float64()),
        ("n_queries", pa.int32()),
    ]
)
"""One row per ranker, collection and point of the grid; keys as in the metrics."""


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


@dataclass(frozen=True)
class PowerLaw:
    """score = scale x ratio^-exponent, and the share of the logarithm's variance that it explains."""

    scale: float
    exponent: float
    r_squared: float

    def at(self, ratios: np.ndarray) -> np.ndarray:
        return self.scale * ratios**-self.exponent


def fit_power_law(ratios: np.ndarray, scores: np.ndarray, fit_range: Sequence[float]) -> PowerLaw:
    """Least squares of log score on log ratio over ``fit_range`` (both ends included), each point weighing 1 / ratio.

    Ranks are spaced evenly, their logarithms are not: the weights make every decade count the same, or the tail would
    decide alone. R^2 has the same weights. The range has to end before the last ratio, where a normalised score is 0.
    Raises :class:`InputError` for fewer than three points or a score that is not positive within the range.
    """
    low, high = fit_range
    inside = (ratios >= low) & (ratios <= high)
    if inside.sum() < 3:
        raise InputError(f"a power law needs three points between the rank ratios {low} and {high}: rank deeper")
    if not (scores[inside] > 0).all():
        raise InputError(f"a score between the rank ratios {low} and {high} is not positive: end the range earlier")
    x, y, weights = np.log(ratios[inside]), np.log(scores[inside]), 1 / ratios[inside]
    x_mean, y_mean = np.average(x, weights=weights), np.average(y, weights=weights)
    slope = np.sum(weights * (x - x_mean) * (y - y_mean)) / np.sum(weights * (x - x_mean) ** 2)
    residual = np.sum(weights * (y - y_mean - slope * (x - x_mean)) ** 2)
    spread = np.sum(weights * (y - y_mean) ** 2)
    explained = 1 - residual / spread if spread > 0 else 1.0
    return PowerLaw(float(np.exp(y_mean - slope * x_mean)), float(-slope), float(explained))


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
