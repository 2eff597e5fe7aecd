"""Paired t tests over queries against scipy and statsmodels, their errors by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from workflow_scripts.analysis import paired
from workflow_scripts.storage.errors import InputError

ONE = {"a": 1.0}
HALVES = {"a": 0.5, "b": 0.5}


def test_one_collection_is_the_paired_t_test_of_scipy_and_statsmodels() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.beta(2, 3, size=(2, 5, 40))
    found = paired.mean_difference({"a": one - other}, ONE)
    for row in range(5):
        known = stats.ttest_rel(one[row], other[row])
        assert found.difference_p()[row] == pytest.approx(known.pvalue, rel=1e-9)
        interval = known.confidence_interval(0.9)
        assert [end[row] for end in found.interval(0.9)] == pytest.approx([interval.low, interval.high], rel=1e-8)
        tost = ttost_paired(one[row], other[row], -0.05, 0.05)
        assert found.equivalence_p(0.05)[row] == pytest.approx(tost[0], rel=1e-8)
    # At its smallest margin a comparison is equivalent with p = alpha.
    assert found.equivalence_p(found.smallest_margin(0.1)) == pytest.approx([0.1] * 5)


def test_two_collections_by_hand_and_by_welch() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.1, 1, 12), generator.normal(0.3, 3, 30)
    found = paired.mean_difference({"a": a[None], "b": b[None]}, HALVES)
    assert found.mean[0] == pytest.approx((a.mean() + b.mean()) / 2)
    # mean(a) + mean(b) = mean(a) - mean(-b): Welch's test of a against -b is of the same statistic.
    known = stats.ttest_ind(a, -b, equal_var=False)
    assert found.difference_p()[0] == pytest.approx(known.pvalue, rel=1e-9)
    assert found.degrees[0] == pytest.approx(known.df, rel=1e-9)
    with pytest.raises(InputError, match="b has 1 query"):
        paired.mean_difference({"a": a[None], "b": b[None, :1]}, HALVES)


def test_where_nothing_varies() -> None:
    found = paired.mean_difference({"a": np.array([[0.0] * 4, [0.1 + 0.2 - 0.3] * 4, [0.005] * 4, [-0.5] * 4])}, ONE)
    assert found.difference_p().tolist() == [1, 1, 0, 0]
    assert found.equivalence_p(0.01).tolist() == [0, 0, 0, 1]


def test_both_errors_of_the_equivalence_test_by_simulation() -> None:
    """4000 experiments of 50 queries, sd 0.1, margin 0.03, one and two collections."""
    noise = np.random.default_rng(5).normal(0, 0.1, size=(4000, 100))

    def share(true_difference: float, weights: dict[str, float]) -> float:
        d = noise + true_difference
        differences = {name: d[:, 50 * place : 50 * place + 50] for place, name in enumerate(weights)}
        return float(np.mean(paired.mean_difference(differences, weights).equivalence_p(0.03) <= 0.1))

    # A difference of exactly the margin is called equivalent with probability alpha (and a larger one less often).
    for edge in (0.03, -0.03):
        assert share(edge, ONE) == pytest.approx(0.1, abs=0.015)
        assert share(edge, HALVES) == pytest.approx(0.1, abs=0.015)
    assert share(0.06, ONE) < 0.002
    # No difference is missed with the probability that the non-central t distribution gives.
    error = 0.1 / np.sqrt(50)
    power = 1 - 2 * stats.nct.cdf(stats.t.ppf(0.9, 49), 49, 0.03 / error)
    assert share(0.0, ONE) == pytest.approx(power, abs=0.025)
    assert share(0.0, HALVES) > share(0.0, ONE)
