"""A teacher's temperature: by hand, against a general optimiser, and from a scored pool of development queries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import write_collection, write_pool
from scipy.optimize import minimize_scalar

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.teach.calibrate_teacher import calibrate_teacher, fit_inverse_temperature


def test_three_of_four_margins_of_two_points_are_log_three_at_temperature_one() -> None:
    # sigma(2 b) = 3 / 4, so b = ln(3) / 2.
    margins, weights = np.array([2.0, 2.0, 2.0, -2.0]), np.full(4, 0.25)
    assert fit_inverse_temperature(margins, weights, "x") == pytest.approx(np.log(3) / 2)


def test_a_general_optimiser_finds_the_same_and_a_scaled_teacher_the_scaled_temperature() -> None:
    generator = np.random.default_rng(0)
    margins, weights = generator.normal(0.4, 2, 500), generator.dirichlet(np.ones(500))
    found = fit_inverse_temperature(margins, weights, "x")
    best = minimize_scalar(lambda b: weights @ np.logaddexp(0, -b * margins), bounds=(0, 10), method="bounded")
    assert found == pytest.approx(best.x, abs=1e-4)
    assert fit_inverse_temperature(3 * margins, weights, "x") == pytest.approx(found / 3)


@pytest.mark.parametrize(("margins", "message"), [([1, -1], "no better than chance"), ([1, 2], "every judged pair")])
def test_scores_that_no_temperature_fits_are_refused(margins: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_inverse_temperature(np.array(margins, float), np.full(2, 0.5), "scores")


def test_the_pairs_of_a_pool_are_its_candidates_of_different_grades_and_queries_count_alike(tmp_path: Path) -> None:
    # q1: b (2) over a (1) and c (not judged), a over c: margins 1, 3, 2. q2: e over d, -1. q3: nothing to order.
    first = [("q1", "a", 2.0), ("q1", "b", 3.0), ("q2", "d", 1.0)]
    second = [("q1", "c", 0.0), ("q2", "e", 0.0), ("q3", "f", 5.0)]
    paths = [write_pool(tmp_path / str(n), rows) for n, rows in enumerate([first, second])]
    judged = [("q1", "a", 1), ("q1", "b", 2), ("q2", "e", 1), ("q3", "f", 1), ("q3", "z", 3)]
    collection = write_collection(tmp_path / "dev", ["q1", "q2", "q3"], qrels=judged)
    output = tmp_path / "calibration/manifest.json"
    calibrate_teacher(spec={}, scores=paths, collection=collection, output=output)
    counts = Artifact(output).counts
    margins, weights = np.array([1.0, 3.0, 2.0, -1.0]), np.array([1, 1, 1, 3]) / 6
    assert (counts["pairs"], counts["queries"]) == (4, 2)
    assert counts["temperature"] == pytest.approx(1 / fit_inverse_temperature(margins, weights, "x"))
    assert counts["bits"] < counts["bits_before"] == pytest.approx(weights @ np.log2(1 + np.exp(-margins)))


def test_a_candidate_graded_as_junk_is_not_relevant_as_one_that_is_not_judged(tmp_path: Path) -> None:
    scores = [("q1", "a", 2.0), ("q1", "b", 3.0), ("q1", "c", 0.0), ("q2", "d", 1.0), ("q2", "e", 0.0)]
    pool = write_pool(tmp_path / "pool", scores)
    counts = []
    for grade in (0, -1, -2):
        judged = [("q1", "a", grade), ("q1", "b", 1), ("q2", "e", 2)]
        collection = write_collection(tmp_path / f"dev{grade}", ["q1", "q2"], qrels=judged)
        output = tmp_path / f"calibration{grade}" / "manifest.json"
        calibrate_teacher(spec={}, scores=[pool], collection=collection, output=output)
        counts.append(Artifact(output).counts)
    assert counts[0] == counts[1] == counts[2] and counts[0]["pairs"] == 3
