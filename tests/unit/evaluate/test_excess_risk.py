"""Excess risk: pairs ordered wrong against the truth, by hand and by others' code; where it is measured."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact
from scipy import stats

from workflow_scripts.evaluate import excess_risk
from workflow_scripts.evaluate.measure_runs import measure_runs
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import KINDS
from workflow_scripts.storage.tables import read_table


def test_risk_against_a_double_loop_and_somers_d() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        grades, scores = generator.integers(0, 4, 30), generator.integers(0, 12, 30).astype(float)
        wrong, pairs = 0.0, 0
        for i, j in product(range(30), repeat=2):
            if grades[i] > grades[j]:
                pairs += 1
                wrong += 1.0 if scores[i] < scores[j] else 0.5 if scores[i] == scores[j] else 0.0
        assert excess_risk.pairwise_risk(grades, scores) == (pytest.approx(wrong / pairs), pairs)
        known = (1 - stats.somersd(grades, scores).statistic) / 2
        assert excess_risk.pairwise_risk(grades, scores)[0] == pytest.approx(known)
    assert excess_risk.pairwise_risk(np.array([2, 0, 1]), np.array([2.0, 0.0, 1.0])) == (0.0, 3)
    assert excess_risk.pairwise_risk(np.array([1, 1]), np.array([2.0, 0.0]))[1] == 0


def test_a_pair_that_the_truth_does_not_list_has_grade_0_and_queries_without_a_pair_are_left_out() -> None:
    run = pd.DataFrame(
        [("q2", "x", 3.0), ("q1", "x", 1.0), ("q1", "y", 2.0), ("q1", "z", 2.0), ("q2", "y", 1.0)],
        columns=["query_id", "doc_id", "score"],
    )
    truth = pd.DataFrame([("q1", "y", 2), ("q1", "x", 1), ("q2", "w", 3)], columns=["query_id", "doc_id", "relevance"])
    # q1: y > x right, y > z tied, x > z wrong.
    assert excess_risk.run_risks(run, truth).to_numpy().tolist() == [["q1", "excess risk", 0.5]]


def test_it_is_one_more_measure_of_those_that_rank_the_first_stages_candidates(tmp_path: Path) -> None:
    truth = pd.DataFrame([("q1", "y", 2), ("q1", "x", 1), ("q2", "w", 3)], columns=["query_id", "doc_id", "relevance"])
    first = [("q1", "x", 3.0), ("q1", "y", 2.0), ("q1", "z", 1.0), ("q2", "x", 2.0)]

    def ranked(name: str, rows: list) -> Path:
        files = {"c.run.gz": pd.DataFrame(rows, columns=["query_id", "doc_id", "score"])}
        files |= {"c.qrels.parquet": (truth, KINDS["qrels"])}
        files |= {"c.queries.parquet": (truth[["query_id"]].drop_duplicates(), KINDS["queries"])}
        return artifact(tmp_path / name / "manifest.json", files)

    def measured(rows: list) -> list:
        spec = {"measures": {"c": ["RR", "excess risk", "AP"]}, "keys": {"student": "be"}}
        output = tmp_path / "metrics" / "manifest.json"
        evaluation, runs = ranked("evaluation", first), ranked("runs", rows)
        measure_runs(spec=spec, runs=runs, collections=["c"], evaluation=evaluation, output=output)
        frame = read_table(output.parent / "metrics.parquet")
        return frame.loc[frame["measure"] != "AP", ["query_id", "measure", "value"]].to_numpy().tolist()

    # Of y > x > z the first stage has one pair of three wrong; q2 has no pair, but it has a reciprocal rank.
    assert measured(first) == [["q1", "RR", 1.0], ["q1", "excess risk", pytest.approx(1 / 3)], ["q2", "RR", 0.0]]
    with pytest.raises(InputError, match="differ in query q1, document w: re-rank the same candidates"):
        measured([*first, ("q1", "w", 0.0)])
