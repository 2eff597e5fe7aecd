"""Runs that no tool can order otherwise."""

import numpy as np
import pandas as pd
import pytest
import pytrec_eval

from workflow_scripts.export.export_runs import strictly_decreasing
from workflow_scripts.storage.errors import InputError


def test_equal_scores_are_lowered_by_the_least_and_all_others_stay():
    step = np.spacing(np.float32(2))
    # The last is nearer to the one before it than two steps: it is reached by those that were lowered.
    scores = [5.0, 2.0, 2.0, 2.0, 2.0 - 1.5 * float(step) / 2, 1.0, -3.5]
    lowered = strictly_decreasing(pd.Series(scores))
    below = [2 - step / 2 * times for times in (1, 2, 3)]  # below a power of two numbers lie twice as close
    assert lowered.tolist() == [5.0, 2.0, *below, 1.0, -3.5]
    assert strictly_decreasing(pd.Series([0.1 + 0.2, 0.3])).tolist() == [
        np.float32(0.3),
        np.nextafter(np.float32(0.3), 0),
    ]


def test_trec_eval_keeps_the_order_of_any_scores():
    generator = np.random.default_rng(0)
    for _ in range(20):
        scores = np.sort(generator.choice([0.0, 1e-30, 0.1, 0.1 + 1e-12, 7.25, -40.0], 30))[::-1]
        names = [f"d{place:02}" for place in generator.permutation(30)]
        lowered = strictly_decreasing(pd.Series(scores))
        np.testing.assert_allclose(lowered, scores, rtol=1e-5, atol=1e-40)
        printed = [float(f"{score:.9g}") for score in lowered]
        # Only the last is relevant: trec_eval says where it has put it.
        for place in (0, 13, 29):
            evaluator = pytrec_eval.RelevanceEvaluator({"q": {names[place]: 1}}, {"recip_rank"})
            found = evaluator.evaluate({"q": dict(zip(names, printed, strict=True))})["q"]["recip_rank"]
            assert found == pytest.approx(1 / (place + 1))


def test_a_score_beyond_32_bits_is_refused():
    with pytest.raises(InputError, match="32-bit"):
        strictly_decreasing(pd.Series([1.0, -1e300]))
