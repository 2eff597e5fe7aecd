"""Entropy cuts: training queries by how unsure the teacher is of their groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CUTS = ("lower-quartile", "inner-quartiles", "upper-quartile", "below-median", "above-median", "outliers")
"""The cuts, in the order of tables. The three of quartiles part the queries, and so do the two of the median."""
TUKEY = 1.5


@dataclass(frozen=True)
class Thresholds:
    """Quartiles of H over all queries, and the fences Q1 - f (Q3 - Q1) and Q3 + f (Q3 - Q1), in bits."""

    first_quartile: float
    median: float
    third_quartile: float
    low_fence: float
    high_fence: float


def thresholds(entropy: np.ndarray, fence: float = TUKEY) -> Thresholds:
    """Where the cuts are made; ``entropy``  # (queries,).

    Quartiles by linear interpolation between order statistics (numpy's default, type 7 of Hyndman and Fan 1996);
    fences of Tukey (1977), who takes ``fence`` = 1.5.
    """
    first, median, third = np.quantile(np.asarray(entropy, dtype=np.float64), [0.25, 0.5, 0.75]).tolist()
    return Thresholds(first, median, third, first - fence * (third - first), third + fence * (third - first))


def keep(entropy: np.ndarray, cut: str, fence: float = TUKEY) -> np.ndarray:
    """Which queries a cut keeps: boolean  # (queries,), from their H  # (queries,).

    lower-quartile H <= Q1, inner-quartiles Q1 < H <= Q3, upper-quartile H > Q3; below-median H <= median, above-median
    H > median; outliers H < Q1 - f (Q3 - Q1) or H > Q3 + f (Q3 - Q1). A query on a quartile is below it, so ties make a
    lower part larger than its name says and the upper one smaller. Only the outliers depend on ``fence``, f.
    """
    at = thresholds(entropy, fence)
    h = np.asarray(entropy, dtype=np.float64)
    return {
        "lower-quartile": h <= at.first_quartile,
        "inner-quartiles": (h > at.first_quartile) & (h <= at.third_quartile),
        "upper-quartile": h > at.third_quartile,
        "below-median": h <= at.median,
        "above-median": h > at.median,
        "outliers": (h < at.low_fence) | (h > at.high_fence),
    }[cut]


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
    """What to say where a cut keeps fewer than ``at_least`` queries: how many, where it cuts, and what would help."""
    at, kept = thresholds(entropy, fence), int(keep(entropy, cut, fence).sum())
    where = f"quartiles {at.first_quartile:.4g}, {at.median:.4g}, {at.third_quartile:.4g} bits"
    fix = "leave this cut out"
    if cut == "outliers":
        where += f"; fences {at.low_fence:.4g} and {at.high_fence:.4g} at {fence:g} interquartile ranges"
        widest = widest_fence(entropy, at_least)
        fix = fix if widest is None else f"set a fence below {widest:.3g} or {fix}"
    return f"the cut {cut} keeps {kept} of {len(entropy)} queries of {groups}, not at least {at_least} ({where}): {fix}"
