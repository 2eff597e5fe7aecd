"""Holm's correction, the words of outcomes and the bound on false calls by hand; noise and retraining bands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from workflow_scripts.analysis.bands import noise_band, retraining_band_of_controls, retraining_bands
from workflow_scripts.analysis.families import FalseCalls, false_calls, holm, outcome
from workflow_scripts.analysis.inference import infer
from workflow_scripts.analysis.training_noise import TrainingNoise


def test_holm_by_hand_and_by_statsmodels() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    p = np.random.default_rng(2).uniform(size=20) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    found = holm([0.01, np.nan, 0.04, 0.03, 0.005])
    assert np.isnan(found[1]) and np.delete(found, 1) == pytest.approx([0.03, 0.06, 0.06, 0.02]), "not of the family"


def test_outcomes() -> None:
    decide = {"difference_alpha": 0.05, "alpha": 0.1}
    assert outcome(0.04, 0.5, **decide) == "different"
    assert outcome(0.8, 0.09, **decide) == "equivalent"
    assert outcome(0.8, 0.5, **decide) == "undecided", "finding no difference shows nothing"
    assert outcome(0.01, 0.01, **decide) == "equivalent", "a difference surely below the margin does not matter"
    assert outcome(np.nan, np.nan, **decide) == "one seed"


def test_false_calls_by_hand() -> None:
    p = [0.001, 0.004, 0.03, 0.5, np.nan]
    found = false_calls(p, [True, True, False, False, False], 2, 0.05)
    assert found == FalseCalls(2, 4, 2, 0.004, 0.05)
    assert (found.expected, found.bound) == pytest.approx((0.1, 4 * 0.004 / 2))
    assert false_calls([0.04] * 3, [True, False, False], 1, 0.05).bound == pytest.approx(0.12)
    assert false_calls([0.9, 0.8], [True, False], 1, 0.05).bound == 1.0
    assert np.isnan(false_calls(p, [False] * 5, 1, 0.05).bound)


def test_noise_band_is_half_the_median_interval() -> None:
    y = np.random.default_rng(0).normal(0, 1, (3, 4, 9))
    pairs = np.array([[1.0, -1, 0], [1, 0, -1], [0, 1, -1]])
    found = infer({"a": y}, {"a": 1.0}, pairs, [[0, 1, 2]])
    low, high = found.interval(0.95)
    assert noise_band(found.half_width(0.95)) == pytest.approx(np.median((high - low) / 2))


def test_retraining_bands_by_hand_and_by_simulation() -> None:
    means = np.array([[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]])
    # Variances .01 and 0, their mean .005.
    expected = [stats.t.ppf(0.975, 4) * np.sqrt(variance * 4 / 3) for variance in (0.01, 0.005)]
    assert retraining_bands(means) == pytest.approx(expected)
    noise = TrainingNoise([0], np.array(0.05), np.array(0.02), 8)
    assert retraining_band_of_controls(noise, cells=10) == pytest.approx(stats.t.ppf(0.9975, 8) * np.sqrt(0.08 * 2))
    generator = np.random.default_rng(1)
    for ratios, least in (([1] * 5, 0.945), ([1, 1, 1, 3, 3], 0.9)):
        covered = np.zeros(5)
        for _ in range(2000):
            drawn = generator.normal(0, np.sqrt(ratios)[:, None], (5, 6))
            covered += np.abs(drawn[:, 5] - drawn[:, :5].mean(axis=1)) <= retraining_bands(drawn[:, :5])
        assert covered.min() / 2000 >= least
