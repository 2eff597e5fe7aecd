"""What a design can find: the difference it detects, the margin within which it shows equivalence, in four of five.

Planned from the variances of a pilot, one training's, as :class:`~workflow_scripts.analysis.inference.Components` has
them; formulas by simulation of 2 to 10 seeds and 1 to 14 collections, within 5% of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from workflow_scripts.analysis.inference import Components
from workflow_scripts.analysis.training_noise import CAUTION

POWER = 0.8
MOST_SEEDS = 100
"""Seeds beyond which nobody looks."""


@dataclass(frozen=True)
class Pilot:
    """Variances of one training of a pair of a block, and the block's size: medians over its pairs, or one pair's.

    queries, both, training   # A, B and T of :class:`Components`
    query_degrees             # degrees of freedom of the queries' part
    cells                     # of the block; its pairs are the family
    """

    queries: float
    both: float
    training: float
    query_degrees: float
    cells: int

    @property
    def pairs(self) -> int:
        """The family's size."""
        return self.cells * (self.cells - 1) // 2


@dataclass(frozen=True)
class Design:
    """Seeds of every cell; of one, degrees of freedom of the controls; ``more_queries`` times as many as the pilot."""

    seeds: int
    control_degrees: float = 8
    more_queries: float = 1


def pilots(components: Components, cells: int) -> list[Pilot]:
    """Each pair of a block as a pilot, in the order of the contrasts."""
    fields = ("queries", "both", "training", "query_degrees")
    arrays = zip(*(getattr(components, name).tolist() for name in fields), strict=True)
    return [Pilot(*numbers, cells=cells) for numbers in arrays]


def median_pilot(of_pairs: Sequence[Pilot]) -> Pilot:
    """The block's typical pair: the median of each variance."""
    fields = ("queries", "both", "training", "query_degrees")
    return Pilot(*(float(np.median([getattr(each, name) for each in of_pairs])) for name in fields), of_pairs[0].cells)


def detectable_difference(pilot: Pilot, design: Design, alpha: float, *, in_family: bool) -> float:
    """The true difference that is called different with probability :data:`POWER`.

    kappa (max over rows of t(1 - alpha/2) r + z(POWER) sqrt(U)), U the estimate's true variance. In its family: the
    first pair that Holm's correction meets, tested at alpha / pairs.
    """
    return _reach(pilot, design, alpha / 2, float(ndtri(POWER)), in_family)


def smallest_margin(pilot: Pilot, design: Design, alpha: float, *, in_family: bool) -> float:
    """The margin within which two cells of no true difference are shown to be with probability :data:`POWER`.

    As :func:`detectable_difference` with t(1 - alpha), and z((1 + POWER) / 2) since both one-sided tests must reject.
    """
    return _reach(pilot, design, alpha, float(ndtri((1 + POWER) / 2)), in_family)


def one_sided_reach(pilot: Pilot, design: Design, alpha: float) -> float:
    """The distance from a bound at which one contrast is shown to be beyond it with probability :data:`POWER`."""
    return _reach(pilot, design, alpha, float(ndtri(POWER)), False)


def seeds_to_decide(
    pilot: Pilot, difference: float, margin: float, *, alpha: float, difference_alpha: float
) -> int | None:
    """Fewest seeds, of two or more, that would decide a pair in its family were ``difference`` the true one.

    Decided: called different, or shown to be within ``margin``. None for more than :data:`MOST_SEEDS`.
    """
    size = abs(difference)
    for seeds in range(2, MOST_SEEDS + 1):
        design = Design(seeds)
        if size >= detectable_difference(pilot, design, difference_alpha, in_family=True):
            return seeds
        if size + smallest_margin(pilot, design, alpha, in_family=True) <= margin:
            return seeds
    return None


def _reach(pilot: Pilot, design: Design, tail: float, deviates: float, in_family: bool) -> float:
    rows, truth = _variances(pilot, design)
    level = 1 - tail / (pilot.pairs if in_family else 1)
    width = max(float(stdtrit(degrees, level)) * variance**0.5 for variance, degrees in rows)
    return _allowance(pilot, design, in_family) * (width + deviates * truth**0.5)


def _variances(pilot: Pilot, design: Design) -> tuple[list[tuple[float, float]], float]:
    """The rows' expected variances with their degrees of freedom, and the true variance of the estimate."""
    seeds, both = design.seeds, pilot.both / design.more_queries
    shared = pilot.queries / design.more_queries
    truth = shared + (pilot.training + both) / seeds
    query_degrees = pilot.query_degrees * design.more_queries
    if seeds > 1:
        of_seeds, seed_degrees = (pilot.training + both) / seeds, (pilot.cells - 1) * (seeds - 1)
        of_both = (both / seeds) ** 2 / ((seeds - 1) * query_degrees)
    else:
        of_seeds, seed_degrees, of_both = CAUTION * pilot.training + both, design.control_degrees, 0.0
    variance = shared + of_seeds
    squares = (shared + both / seeds) ** 2 / query_degrees + of_seeds**2 / seed_degrees + of_both
    return [(variance, variance**2 / squares if squares else 1.0), (of_seeds, seed_degrees)], truth


def _allowance(pilot: Pilot, design: Design, in_family: bool) -> float:
    """kappa: the rows' variances vary, and the largest of three is taken; fitted to simulations."""
    if design.seeds == 1:
        return 1.09 if in_family else 1.05
    if pilot.cells == 2:
        return 1.0
    further = design.seeds - 1
    return 1 + 0.32 / further**0.7 if in_family else 1 + 0.23 / further**0.6
