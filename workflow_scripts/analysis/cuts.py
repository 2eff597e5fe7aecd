"""Cuts: parts of the training queries, by how unsure the teacher is of their groups, and random ones beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.analysis.cut_names import RANDOM
from workflow_scripts.storage.seeds import derive_seed

TUKEY = 1.5


@dataclass(frozen=True)
class Thresholds:
    """Quantiles of H over all queries, and the fences Q1 - f (Q3 - Q1) and Q3 + f (Q3 - Q1), in bits."""

    first_quartile: float
    third_octile: float
    median: float
    fifth_octile: float
    third_quartile: float
    low_fence: float
    high_fence: float


def thresholds(entropy: np.ndarray, fence: float = TUKEY) -> Thresholds:
    """Where the cuts are made; ``entropy``  # (queries,).

    Quantiles by linear interpolation between order statistics (numpy's default, type 7 of Hyndman and Fan 1996);
    fences of Tukey (1977), who takes ``fence`` = 1.5.
    """
    values = np.asarray(entropy, dtype=np.float64)
    first, *inner, third = np.quantile(values, [0.25, 0.375, 0.5, 0.625, 0.75]).tolist()
    return Thresholds(first, *inner, third, first - fence * (third - first), third + fence * (third - first))


def keep(entropy: np.ndarray, cut: str, fence: float = TUKEY) -> np.ndarray:
    """Which queries a cut by entropy keeps: boolean  # (queries,), from their H  # (queries,).

    lower-quartile H <= Q1, inner-quartiles Q1 < H <= Q3, upper-quartile H > Q3; middle-quarter between the third and
    the fifth octile; below-median H <= median, above-median H > median; outliers H < Q1 - f (Q3 - Q1) or
    H > Q3 + f (Q3 - Q1). A query on a quantile is below it, so ties make a lower part larger than its name says and the
    upper one smaller. Only the outliers depend on ``fence``, f.
    """
    at = thresholds(entropy, fence)
    h = np.asarray(entropy, dtype=np.float64)
    return {
        "lower-quartile": h <= at.first_quartile,
        "middle-quarter": (h > at.third_octile) & (h <= at.fifth_octile),
        "inner-quartiles": (h > at.first_quartile) & (h <= at.third_quartile),
        "upper-quartile": h > at.third_quartile,
        "below-median": h <= at.median,
        "above-median": h > at.median,
        "outliers": (h < at.low_fence) | (h > at.high_fence),
    }[cut]


def keep_random(query_ids: Sequence[str], cut: str, seed: int) -> np.ndarray:
    """Which queries a random cut keeps: boolean  # (queries,); a query's draw depends on (seed, its id) alone."""
    draws = np.array([derive_seed(seed, "cut", query_id) for query_id in query_ids], dtype=np.uint64)
    kept = np.zeros(len(draws), dtype=bool)
    kept[np.argsort(draws)[: round(RANDOM[cut] * len(draws))]] = True
    return kept


def widest_fence(entropy: np.ndarray, queries: int) -> float | None:
    """The fence below which the outliers are ``queries`` or more; None where no fence >= 0 leaves that many.

    A query's distance beyond the nearer quartile, in interquartile ranges, is the fence at which it stops to be an
    outlier: the answer is the ``queries``-th largest of these.
    """
    at = thresholds(entropy)
    spread = at.third_quartile - at.first_quartile
    beyond = np.maximum(at.first_quartile - entropy, entropy - at.third_quartile)
    if queries > len(entropy) or not spread:
        return None
    widest = float(np.sort(beyond)[-queries] / spread)
    return widest if widest > 0 else None


def too_few(entropy: np.ndarray, cut: str, fence: float, at_least: int, groups: str | Path) -> str:
    """What to say where a cut by entropy keeps fewer than ``at_least`` queries: how many, where it cuts, what helps."""
    at, kept = thresholds(entropy, fence), int(keep(entropy, cut, fence).sum())
    where = f"quartiles {at.first_quartile:.4g}, {at.median:.4g}, {at.third_quartile:.4g} bits"
    fix = "leave this cut out"
    if cut == "outliers":
        where += f"; fences {at.low_fence:.4g} and {at.high_fence:.4g} at {fence:g} interquartile ranges"
        widest = widest_fence(entropy, at_least)
        fix = fix if widest is None else f"set a fence below {widest:.3g} or {fix}"
    return f"the cut {cut} keeps {kept} of {len(entropy)} queries of {groups}, not at least {at_least} ({where}): {fix}"
