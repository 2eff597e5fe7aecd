"""Paired comparisons over queries: is a difference there, is it too small to matter, or is it undecided?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from workflow_scripts.analysis.families import (  # noqa: F401
    DIFFERENT,
    EQUIVALENT,
    MARKS,
    UNDECIDED,
    holm,
    outcome,
)
from workflow_scripts.storage.errors import InputError

_DIGITS = 12
"""Decimals of a difference that count: rounding below them is no difference between rankers."""


@dataclass(frozen=True)
class MeanDifference:
    """Estimates of one mean difference a row, each with its standard error and degrees of freedom  # (rows,)."""

    mean: np.ndarray
    error: np.ndarray
    degrees: np.ndarray

    def _t(self, shift: float | np.ndarray = 0.0) -> np.ndarray:
        """(mean + shift) / error; where nothing varies it is 0 for no difference, else infinite."""
        numerator = self.mean + shift
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(numerator == 0, 0.0, numerator / self.error)

    def difference_p(self) -> np.ndarray:
        """Two-sided p-value of H0: the mean difference is 0 (for one stratum the paired t test)."""
        return 2 * stdtr(self.degrees, -np.abs(self._t()))

    def equivalence_p(self, margin: float | np.ndarray) -> np.ndarray:
        """p-value of H0: the mean difference is margin or more away from 0 (Schuirmann's two one-sided tests, 1987).

        The larger of the p-values of H01: mean <= -margin and H02: mean >= margin. Equivalence is shown when it is
        small, that is when both tests reject.
        """
        above = stdtr(self.degrees, -self._t(margin))
        below = stdtr(self.degrees, self._t(-np.asarray(margin)))
        return np.maximum(above, below)

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """t interval of each mean difference."""
        half = stdtrit(self.degrees, (1 + confidence) / 2) * self.error
        return self.mean - half, self.mean + half

    def smallest_margin(self, alpha: float) -> np.ndarray:
        """Smallest margin for which one comparison's equivalence would be shown: |mean| + t(1 - alpha) x error."""
        return np.abs(self.mean) + stdtrit(self.degrees, 1 - alpha) * self.error


def mean_difference(differences: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> MeanDifference:
    """Estimate sum_c w_c E[d_c], the macro mean over fixed collections c of the per-query differences' means.

    ``differences``: collection to d_c  # (rows, queries). Queries are sampled within collections, so the estimate
    sum_c w_c mean(d_c) has the variance V = sum_c v_c, v_c = w_c^2 s_c^2 / n_c, and Welch-Satterthwaite's
    V^2 / sum_c (v_c^2 / (n_c - 1)) degrees of freedom. One collection gives the paired t test's n - 1.
    """
    for name, values in differences.items():
        if values.shape[1] < 2:
            raise InputError(f"{name} has {values.shape[1]} query: a paired test needs two or more, leave it out")
    rounded = {name: np.round(values, _DIGITS) for name, values in differences.items()}
    mean = sum(weights[name] * values.mean(axis=1) for name, values in rounded.items())
    counts = {name: values.shape[1] for name, values in rounded.items()}
    parts = {name: weights[name] ** 2 * values.var(axis=1, ddof=1) / counts[name] for name, values in rounded.items()}
    variance = sum(parts.values())
    squares = sum(part**2 / (counts[name] - 1) for name, part in parts.items())
    # Where nothing varies the tests decide without degrees of freedom; any number will do.
    degrees = np.divide(variance**2, squares, out=np.ones_like(variance), where=squares > 0)
    return MeanDifference(np.round(mean, _DIGITS), np.sqrt(variance), degrees)
