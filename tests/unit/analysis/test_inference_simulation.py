"""Error rates and powers of the inference by simulation: they must be those that it was designed to have.

Five samplers, normal values: training, seed x query noise, cell x query and, with several collections, training x
collection. Queries enter a contrast through covariances between cells alone, so those are drawn (Wishart), not the
queries: exact, and thousands of families in a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from workflow_scripts.analysis import power
from workflow_scripts.analysis.families import holm
from workflow_scripts.analysis.inference import Estimates, Moments, estimate, infer_runs
from workflow_scripts.analysis.inference import moments as moments_of
from workflow_scripts.analysis.training_noise import TrainingNoise

SAMPLERS = 5
NOISE, CELL_QUERY, TRAINING_COLLECTION = 0.09, 0.021, 0.006
MARGIN, ALPHA = 0.06, 0.05
EQUAL, THREE, TEN = (1, 1, 1, 1, 1), (1, 1, 1, 3, 3), (10, 1, 1, 1, 1)
"""Variance of training of each sampler, relative to one another."""
CONTROLLED, LOSSES = (0, 3), 4
"""The control cells of each loss, and the losses; the first loss is the block's own."""
PAIRS = np.array([np.eye(SAMPLERS)[one] - np.eye(SAMPLERS)[other] for one, other in combinations(range(SAMPLERS), 2)])
BLOCK = [list(range(SAMPLERS))]


def wishart(generator: np.random.Generator, size: int, cells: int, degrees: int) -> np.ndarray:
    """Sums of squares and products of ``degrees`` standard normal vectors  # (size, cells, cells); Bartlett (1933)."""
    lower = np.tril(generator.standard_normal((size, cells, cells)), -1)
    diagonal = np.arange(cells)
    lower[:, diagonal, diagonal] = np.sqrt(generator.chisquare(degrees - diagonal, (size, cells)))
    return lower @ lower.swapaxes(1, 2)


@dataclass(frozen=True)
class Design:
    """Seeds, queries of each collection, deviation of training and its variance for each sampler, relative.

    ``between``: the contrast is of two domains, one a collection, else of one domain of them all.
    """

    seeds: int
    queries: Sequence[int]
    deviation: float = 0.006
    ratios: Sequence[float] = EQUAL
    between: bool = False

    @property
    def weights(self) -> list[float]:
        """Of the collections."""
        return [1.0, -1.0] if self.between else [1 / len(self.queries)] * len(self.queries)

    @property
    def deviations(self) -> np.ndarray:
        """Deviation of training of each sampler; their mean variance is the same whatever the ratios."""
        return self.deviation * np.sqrt(np.array(self.ratios) / np.mean(self.ratios))


def several_seeds(design: Design, families: int, generator: np.random.Generator) -> tuple[Moments, list]:
    """Moments of families of samplers that do not differ."""
    shape = (families, SAMPLERS, design.seeds)
    means = sum(design.weights) * generator.normal(0, design.deviations[:, None], shape)
    of_queries, of_both = [], []
    for weight, count in zip(design.weights, design.queries, strict=True):
        # The seed-averaged values of a query: cell x query, and seed x query noise over S.
        spread = CELL_QUERY**2 + NOISE**2 / design.seeds
        between = spread * wishart(generator, families, SAMPLERS, count - 1) / (count - 1)
        degrees = (design.seeds - 1) * (count - 1)
        within = NOISE**2 * wishart(generator, families, SAMPLERS, degrees) / degrees
        of_queries.append(weight**2 * quadratic(between) / count)
        of_both.append(weight**2 * quadratic(within) / (design.seeds * count))
        shared = generator.normal(0, CELL_QUERY / np.sqrt(count), (families, SAMPLERS, 1))
        single = generator.normal(0, NOISE / np.sqrt(count), shape)
        local = generator.normal(0, TRAINING_COLLECTION * (len(design.queries) > 1), shape)
        means = means + weight * (shared + single + local)
    return moments(means, of_queries, of_both, design), []


def one_seed(design: Design, families: int, generator: np.random.Generator) -> tuple[Moments, list[TrainingNoise]]:
    """As :func:`several_seeds` with one seed, and one further seed of the controls in every loss."""
    again = len(CONTROLLED)
    deviations = np.concatenate([design.deviations, design.deviations[list(CONTROLLED)]])
    means = generator.normal(0, deviations, (families, SAMPLERS + again))
    others = (LOSSES - 1) * again
    elsewhere = np.tile(design.deviations[list(CONTROLLED)], LOSSES - 1)
    apart = generator.normal(0, np.sqrt(2) * elsewhere, (families, others))  # of two trainings of one cell
    of_queries, both = [], np.zeros(families)
    for weight, count in zip(design.weights, design.queries, strict=True):
        # Main cells and the controls' further trainings, which share their cell x query values.
        own = np.hstack([np.eye(SAMPLERS), np.eye(SAMPLERS)[:, list(CONTROLLED)]]).T * CELL_QUERY
        root = np.hstack([own, NOISE * np.eye(SAMPLERS + again)])
        factor = np.linalg.cholesky(root @ root.T)
        between = factor @ wishart(generator, families, SAMPLERS + again, count - 1) @ factor.T
        of_queries.append(weight**2 * quadratic(between[:, :SAMPLERS, :SAMPLERS] / (count - 1)) / count)
        squares = NOISE**2 * generator.chisquare(others * (count - 1), families)
        for place, cell in enumerate(CONTROLLED):
            further = SAMPLERS + place
            squares += (between[:, cell, cell] + between[:, further, further] - 2 * between[:, cell, further]) / 2
        both += weight**2 * squares / (LOSSES * again * (count - 1)) / count
        means = means + weight * generator.standard_normal((families, SAMPLERS + again)) @ factor.T / np.sqrt(count)
        apart = apart + weight * generator.normal(0, np.sqrt(2 / count) * NOISE, apart.shape)
    main = means[:, :SAMPLERS, None]
    apart = np.hstack([apart, means[:, list(CONTROLLED)] - means[:, SAMPLERS:]])
    total = (apart**2 / 2).mean(axis=1)
    noise = TrainingNoise(range(SAMPLERS), total, both, LOSSES * again)
    return moments(main, of_queries, [np.zeros_like(part) for part in of_queries], design), [noise]


def quadratic(covariance: np.ndarray) -> np.ndarray:
    """Variances of the pairs' differences  # (families, pairs)."""
    return np.einsum("pi,fij,pj->fp", PAIRS, covariance, PAIRS)


def moments(means: np.ndarray, of_queries: list, of_both: list, design: Design) -> Moments:
    """The parts of each collection put together."""
    parts = np.stack(of_queries, axis=-1), np.stack(of_both, axis=-1)
    return Moments(means, *parts, np.array(design.queries), np.zeros(parts[0].shape[:-1], dtype=bool))


def shifted(found: Moments, noise: list, truth: Sequence[float]) -> Estimates:
    """The estimates where the samplers' true means are ``truth``, which moves nothing but means."""
    means = found.cell_means + np.array(truth)[:, None]
    return estimate(Moments(means, found.of_queries, found.of_both, found.queries, found.same), PAIRS, BLOCK, noise)


def corrected(p: np.ndarray) -> np.ndarray:
    """Holm's p-values of each family."""
    return np.apply_along_axis(holm, 1, p)


def rates(design: Design, families: int) -> dict[str, float]:
    """The columns of the table of sizes and powers."""
    generator = np.random.default_rng([design.seeds, *design.queries])
    draw = one_seed if design.seeds == 1 else several_seeds
    found, noise = draw(design, families, generator)
    null = shifted(found, noise, [0] * SAMPLERS).difference_p()
    apart = [0, 0, MARGIN, MARGIN, MARGIN]
    at_margin = np.abs(PAIRS @ apart) > 0
    close = corrected(shifted(found, noise, apart).equivalence_p(MARGIN))
    better = corrected(shifted(found, noise, [0, 0, 0, 0, 0.04]).difference_p())
    singles = (null <= ALPHA).mean(axis=0)
    return {
        "one pair": singles.mean(),
        "worst pair": singles.max(),
        "different": (corrected(null) <= ALPHA).any(axis=1).mean(),
        "equivalent": (close[:, at_margin] <= ALPHA).any(axis=1).mean(),
        "power": (better[:, PAIRS[:, 4] != 0] <= ALPHA).mean(),
        "beyond": (shifted(found, noise, apart).beyond_p(MARGIN)[:, at_margin] <= ALPHA).mean(),
    }


FIRST = [
    (Design(1, [250]), (0.023, 0.029, 0.008, 0.012, 0.29)),
    (Design(3, [250]), (0.032, 0.034, 0.018, 0.022, 0.86)),
    (Design(10, [250]), (0.039, 0.042, 0.028, 0.029, 1.00)),
    (Design(3, [50, 97, 250], ratios=THREE), (0.033, 0.046, 0.019, 0.024, 0.77)),
]
"""Designs and the rates they must have: of one pair, the worst pair, a family's false differences and false
equivalences, power; from 20,000 families."""
MORE = [
    (Design(2, [250]), (0.027, 0.029, 0.012, 0.017, 0.35)),
    (Design(5, [250]), (0.035, 0.037, 0.024, 0.027, 1.00)),
    (Design(12, [250]), (0.041, 0.042, 0.028, None, None)),
    (Design(3, [50]), (0.022, 0.025, 0.008, 0.011, 0.28)),
    (Design(10, [50]), (0.037, 0.038, 0.024, 0.028, 0.98)),
    (Design(3, [100] * 14), (0.035, 0.037, 0.021, 0.027, 0.97)),
    (Design(10, [100] * 14), (0.037, 0.039, 0.026, 0.030, 1.00)),
    (Design(10, [50, 97, 250], ratios=THREE), (0.037, 0.046, 0.026, 0.028, 1.00)),
    *(
        (Design(seeds, queries, deviation, ratios), (None, worst, family, None, None))
        for seeds, queries, deviation, of_three, of_ten in [
            (1, [250], 0.012, (0.033, 0.009), (0.014, 0.002)),
            (2, [250], 0.012, (0.060, 0.018), (0.089, 0.029)),
            (3, [250], 0.012, (0.064, 0.026), (0.086, 0.038)),
            (5, [250], 0.012, (0.059, 0.028), (0.074, 0.034)),
            (10, [250], 0.012, (0.055, 0.029), (0.060, 0.024)),
            (3, [100] * 14, 0.006, (0.061, 0.025), (0.085, 0.040)),
            (10, [100] * 14, 0.006, (0.056, 0.029), (0.060, 0.024)),
        ]
        for ratios, (worst, family) in ((THREE, of_three), (TEN, of_ten))
    ),
]


@pytest.mark.parametrize(
    ("design", "expected"), [*FIRST, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)]
)
def test_sizes_and_powers(design: Design, expected: tuple) -> None:
    found = rates(design, 4000)
    names = ("one pair", "worst pair", "different", "equivalent", "power")
    allowed = (0.01, 0.015, 0.01, 0.01, 0.02)
    for name, value, tolerance in zip(names, expected, allowed, strict=True):
        assert value is None or found[name] == pytest.approx(value, abs=tolerance), name
    if design.ratios == EQUAL:
        assert found["beyond"] <= 0.025, "a contrast at the margin is beyond it half as often as alpha"


@pytest.mark.parametrize("seeds", [3, 10])
def test_sizes_of_contrasts_between_domains(seeds: int) -> None:
    """What samplers differ by in one domain less what they differ by in another, on 250 and 100 queries."""
    for ratios in (EQUAL, THREE):
        found = rates(Design(seeds, [250, 100], ratios=ratios, between=True), 4000)
        assert 0.015 <= found["one pair"] <= 0.045 and found["different"] <= 0.045


def test_moments_drawn_are_moments_of_queries() -> None:
    """The shortcut of these simulations: contrasts' variances are quadratic forms of the cells' covariances."""
    y = np.random.default_rng(0).normal(0, 1, (SAMPLERS, 3, 20)) + np.arange(20)
    found = moments_of({"a": y}, {"a": 1.0}, PAIRS)
    rest = y - y.mean(axis=1, keepdims=True) - y.mean(axis=2, keepdims=True) + y.mean(axis=(1, 2), keepdims=True)
    within = np.einsum("isq,jsq->ij", rest, rest) / (2 * 19)
    assert found.of_queries[:, 0] == pytest.approx(quadratic(np.cov(y.mean(axis=1))[None])[0] / 20)
    assert found.of_both[:, 0] == pytest.approx(quadratic(within[None])[0] / 60)


@pytest.mark.parametrize(("seeds", "expected"), [(10, 0.01), (20, 0.45), (30, 0.80)])
def test_power_of_equivalence_in_a_family_without_differences(seeds: int, expected: float) -> None:
    found, noise = several_seeds(Design(seeds, [250]), 4000, np.random.default_rng(seeds))
    p = corrected(shifted(found, noise, [0] * SAMPLERS).equivalence_p(0.01))
    assert (p <= ALPHA).mean() == pytest.approx(expected, abs=0.03)


PLANS = [Design(1, [250]), Design(2, [250]), Design(3, [250]), Design(10, [250]), Design(5, [100] * 14)]


@pytest.mark.parametrize("design", PLANS)
def test_planned_reach_is_within_five_percent_of_simulation(design: Design) -> None:
    """Power 80%, of one pair alone and of the first that Holm's correction meets."""
    pilot = true_pilot(design)
    plan = power.Design(design.seeds, LOSSES * len(CONTROLLED))
    draw = one_seed if design.seeds == 1 else several_seeds
    found, noise = draw(design, 8000, np.random.default_rng(design.seeds))
    for in_family in (False, True):
        level = ALPHA / (len(PAIRS) if in_family else 1)
        difference = power.detectable_difference(pilot, plan, ALPHA, in_family=in_family)
        margin = power.smallest_margin(pilot, plan, ALPHA, in_family=in_family)
        different, equivalent = [], []
        for factor in (0.95, 1.05):
            apart = shifted(found, noise, [0, 0, 0, 0, factor * difference])
            different.append((apart.difference_p()[:, PAIRS[:, 4] != 0] <= level).mean())
            close = shifted(found, noise, [0] * SAMPLERS)
            equivalent.append((close.equivalence_p(factor * margin) <= level).mean())
        for low, high in (different, equivalent):
            assert low - 0.02 <= power.POWER <= high + 0.02


def true_pilot(design: Design) -> power.Pilot:
    """What the simulated pairs are drawn with."""
    share = sum(1 / count for count in design.queries) / len(design.queries) ** 2
    local = TRAINING_COLLECTION**2 / len(design.queries) * (len(design.queries) > 1)
    training = 2 * (design.deviation**2 + local)
    degrees = sum(design.queries) - len(design.queries)
    return power.Pilot(2 * CELL_QUERY**2 * share, 2 * NOISE**2 * share, training, degrees, SAMPLERS)


@pytest.mark.parametrize("design", [Design(1, [250]), Design(10, [250])])
def test_the_components_of_a_pilot_are_those_it_was_drawn_with(design: Design) -> None:
    draw = one_seed if design.seeds == 1 else several_seeds
    found, noise = draw(design, 4000, np.random.default_rng(7))
    components, truth = shifted(found, noise, [0] * SAMPLERS).components, true_pilot(design)
    assert components is not None
    assert np.median(components.both) == pytest.approx(truth.both, rel=0.05)
    assert np.mean(components.training) == pytest.approx(truth.training, rel=0.15)
    assert np.mean(components.queries) == pytest.approx(truth.queries, rel=0.15 if design.seeds > 1 else 0.6)


@pytest.mark.parametrize("seeds", [3, 10])
def test_a_trend_over_a_dials_levels_without_an_effect(seeds: int) -> None:
    """Runs' values without queries, levels' variances equal and 3 times as large in two: .031 to .055."""
    trend = np.arange(SAMPLERS)[None] - (SAMPLERS - 1) / 2
    generator = np.random.default_rng(seeds)
    for ratios in (EQUAL, THREE):
        values = generator.normal(0, np.sqrt(ratios)[:, None], (4000, SAMPLERS, seeds))
        assert 0.02 <= (infer_runs(values, trend, BLOCK).difference_p() <= ALPHA).mean() <= 0.065
