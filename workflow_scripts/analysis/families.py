"""Families of comparisons: corrected p-values, the words of their outcomes, and how many of them may be false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DIFFERENT, EQUIVALENT, UNDECIDED = "different", "equivalent", "undecided"
SAME, ONE_SEED = "same", "one seed"
MARKS = {DIFFERENT: "≠", EQUIVALENT: "≈", UNDECIDED: "?", SAME: "=", ONE_SEED: "one seed"}
"""The outcomes as tables show them."""


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's step-down adjusted p-values of one family (1979): the k-th smallest of m becomes max_{j<=k} (m-j+1) p_(j).

    Rejecting what is at most alpha keeps the chance of any false rejection in the family at most alpha. What was not
    tested (NaN) stays so and is not of the family.
    """
    p = np.asarray(p, dtype=float)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]
    stepped = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def outcome(p_difference: float, p_equivalence: float, *, difference_alpha: float, alpha: float) -> str:
    """The verdict on adjusted p-values.

    Equivalent where equivalence is shown, even if a difference is too: one that is surely smaller than the margin does
    not matter. Different where a difference is shown, else undecided: a test that finds no difference shows nothing.
    Without p-values, which one seed without controls does not have, there is no verdict: ``one seed``.
    """
    if np.isnan(p_difference):
        return ONE_SEED
    if p_equivalence <= alpha:
        return EQUIVALENT
    return DIFFERENT if p_difference <= difference_alpha else UNDECIDED


@dataclass(frozen=True)
class FalseCalls:
    """What a table's verdicts of one kind may owe to chance.

    ``called`` R of ``tested`` N comparisons in ``families`` F, each at ``alpha``; ``largest_p`` p*, the largest
    unadjusted p-value among those called.
    """

    called: int
    tested: int
    families: int
    largest_p: float
    alpha: float

    @property
    def expected(self) -> float:
        """Families that hold a false call by design, were there no effect anywhere."""
        return self.alpha * self.families

    @property
    def bound(self) -> float:
        """Largest share of the calls that is false: min(1, N p* / R); NaN where nothing is called.

        N p* false calls at most are expected with a p-value up to p*, the Benjamini-Hochberg estimate of the false
        discovery rate at the threshold used.
        """
        return min(1.0, self.tested * self.largest_p / self.called) if self.called else np.nan


COUNTED = ("tested", "different", "largest_p")
"""Columns of a table whose rows show some of a family's comparisons: what :func:`sum_of_families` adds up."""


def counted(found: FalseCalls) -> dict[str, float]:
    """Columns :data:`COUNTED` of a family."""
    return dict(zip(COUNTED, (found.tested, found.called, found.largest_p), strict=True))


def sum_of_families(families: pd.DataFrame, alpha: float) -> FalseCalls:
    """The calls of families together, a row each; one in which nothing was tested is none."""
    own = families[families["tested"] > 0]
    return FalseCalls(int(own["different"].sum()), int(own["tested"].sum()), len(own), own["largest_p"].max(), alpha)


def false_calls(p: Sequence[float], called: Sequence[bool], families: int, alpha: float) -> FalseCalls:
    """Count the calls among unadjusted ``p`` (NaN: not tested) of ``families`` families tested at ``alpha``."""
    p, called = np.asarray(p, dtype=float), np.asarray(called, dtype=bool)
    largest = float(p[called].max()) if called.any() else np.nan
    return FalseCalls(int(called.sum()), int((~np.isnan(p)).sum()), families, largest, alpha)
