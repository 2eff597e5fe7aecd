"""Excess risk: pairs ordered wrong against the truth, by hand and by others' code, and its table."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rendered import render
from scipy import stats

from workflow_scripts.locality import risk
from workflow_scripts.locality.make_risk_table import make_risk_table
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.runs import write_run


def test_risk_against_a_double_loop_and_somers_d() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        grades, scores = generator.integers(0, 4, 30), generator.integers(0, 12, 30).astype(float)
        wrong, pairs = 0.0, 0
        for i, j in product(range(30), repeat=2):
            if grades[i] > grades[j]:
                pairs += 1
                wrong += 1.0 if scores[i] < scores[j] else 0.5 if scores[i] == scores[j] else 0.0
        assert risk.pairwise_risk(grades, scores) == (pytest.approx(wrong / pairs), pairs)
        known = (1 - stats.somersd(grades, scores).statistic) / 2
        assert risk.pairwise_risk(grades, scores)[0] == pytest.approx(known)
    assert risk.pairwise_risk(np.array([2, 0, 1]), np.array([2.0, 0.0, 1.0])) == (0.0, 3)
    assert risk.pairwise_risk(np.array([1, 1]), np.array([2.0, 0.0]))[1] == 0


def test_a_pair_that_the_truth_does_not_list_has_grade_0_and_queries_without_a_pair_are_left_out() -> None:
    run = pd.DataFrame(
        [("q2", "x", 3.0), ("q1", "x", 1.0), ("q1", "y", 2.0), ("q1", "z", 2.0), ("q2", "y", 1.0)],
        columns=["query_id", "doc_id", "score"],
    )
    truth = pd.DataFrame([("q1", "y", 2), ("q1", "x", 1), ("q2", "w", 3)], columns=["query_id", "doc_id", "relevance"])
    # q1: y > x right, y > z tied, x > z wrong.
    assert risk.run_risks(run, truth).to_numpy().tolist() == [["q1", 0.5, 3]]


def test_the_table_by_hand(tmp_path: Path) -> None:
    grid = {"students": ["be"], "losses": ["kl"], "samplers": ["bm25"], "teachers": ["t"], "seeds": [0, 1]}
    tests = []
    for name, has_truth in (("a", True), ("b", False)):
        with ArtifactWriter(tmp_path / name / "manifest.json", kind="test", spec={}) as writer:
            pd.DataFrame({"query_id": ["q1", "q2"], "text": "x"}).to_parquet(writer.path("queries.parquet"))
            if has_truth:
                truth = pd.DataFrame({"query_id": ["q1", "q2"], "doc_id": "x", "relevance": 1})
                truth.to_parquet(writer.path("truth.parquet"))
        tests.append(writer.manifest_path)
    # Rank of x among three documents, for q1 and q2: every document above it is a pair ordered wrong, of two.
    placed = {"bm25": (3, 3), "teacher": (1, 1), "be0": (1, 2), "be1": (2, 2)}
    runs = []
    for name, ranks in placed.items():
        rows = [
            (query, document, -float(rank if document == "x" else place + (place >= rank)))
            for query, rank in zip(("q1", "q2"), ranks, strict=True)
            for place, document in enumerate(("y", "z", "x"), 1)
        ]
        with ArtifactWriter(tmp_path / name / "manifest.json", kind="test", spec={}) as writer:
            frame = pd.DataFrame(rows, columns=["query_id", "doc_id", "score"])
            write_run(writer.path("a.run.gz"), frame, "tag")
        runs.append(writer.manifest_path)
    students = [["be", "kl", "bm25", "t", seed] for seed in (0, 1)]
    spec = {
        "rankers": [["bm25", "", "", "", None], ["teacher", "", "", "t", None], *students],
        "collections": ["a", "b"],
        "domains": [{"name": "in", "collections": ["a"]}, {"name": "out", "collections": ["b"]}],
        "bootstrap": {"samples": 50, "seed": 0, "confidence": 0.9},
        **grid,
    }
    output = tmp_path / "risk.parquet"
    make_risk_table(spec=spec, runs=runs, tests=tests, output=output)
    table, text = render("risk", output)
    table = table.set_index("student")
    assert set(table["domain"]) == {"in"}
    assert table["risk"].to_dict() == {"bm25": 1.0, "teacher": 0.0, "be": (0.25 + 0.5) / 2}
    assert table.loc["be", "std_seed"] == pytest.approx(np.std([0.25, 0.5], ddof=1), abs=1e-6)
    assert table.loc["be", "ci_low"] == 0.25 and table.loc["be", "ci_high"] == 0.5  # q1's mean, and q2's
    assert "0.375 ± 0.177" in text and "left out" not in text
    with pytest.raises(InputError, match="4 runs and 3 are given"):
        make_risk_table(spec=spec, runs=runs[:3], tests=tests, output=output)
    with pytest.raises(InputError, match="no domain's collections have a hidden truth"):
        make_risk_table(spec=spec | {"domains": spec["domains"][1:]}, runs=runs, tests=tests, output=output)
