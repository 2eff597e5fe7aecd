"""Teacher entropy against hand-computed values and a brute-force second implementation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from workflow_scripts.analysis.entropy import pairwise_entropy, positive_entropy
from workflow_scripts.storage.errors import InputError


def coin(p: float) -> float:
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


def test_hand_computed_values() -> None:
    # sigma(log 3) = 3/4: H(1/4) = 2 - 3/4 log2 3. Scores [log 3, 0, 0]: two such pairs and a toss.
    quarter = 2 - 0.75 * math.log2(3)
    scores = np.array([[math.log(3), 0.0, 0.0], [5.0, 5.0, 5.0]])
    assert pairwise_entropy(scores) == pytest.approx([(2 * quarter + 1) / 3, 1.0], abs=1e-12)
    assert positive_entropy(scores) == pytest.approx([quarter, 1.0], abs=1e-12)


def test_against_brute_force_over_all_pairs() -> None:
    scores = np.random.default_rng(0).normal(scale=3, size=(5, 6))
    expected = [
        np.mean([coin(1 / (1 + math.exp(b - a))) for a, b in itertools.combinations(group, 2)]) for group in scores
    ]
    assert pairwise_entropy(scores) == pytest.approx(expected, abs=1e-12)
    assert pairwise_entropy(scores + 1e6) == pytest.approx(expected, abs=1e-7)
    assert pairwise_entropy(-scores) == pytest.approx(expected, abs=1e-12)


def test_far_scores_neither_overflow_nor_cancel() -> None:
    # At distance x the entropy is (1 + x) e^-x nats to first order: 50 is beyond the precision of 1 - sigma(x).
    assert pairwise_entropy(np.array([[50.0, 0.0]])) == pytest.approx(51 * math.exp(-50) / math.log(2), rel=1e-9)
    assert pairwise_entropy(np.array([[1e5, -1e5]])) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="document 1 in group 1"):
        pairwise_entropy(np.array([[0.0, 1.0], [0.0, bad]]))
    with pytest.raises(InputError, match="two documents or more"):
        positive_entropy(np.zeros((3, 1)))
