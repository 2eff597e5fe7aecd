"""The table of excess risks by hand, from metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import table_spec, write_metrics
from rendered import make_table

from workflow_scripts.locality.make_risk_table import make_risk_table
from workflow_scripts.storage.errors import InputError


def test_the_table_by_hand(tmp_path: Path) -> None:
    risks = {("bm25", "", "", "", None): (1.0, 1.0), ("teacher", "", "", "t", None): (0.0, 0.0)}
    # The student of seed 2 is another study's: the table lists seeds 0 and 1.
    risks |= {("be", "kl", "bm25", "t", seed): both for seed, both in enumerate([(0.0, 0.5), (0.5, 0.5), (1.0, 1.0)])}
    # Of three queries on each collection the third has no pair to order, nor has any of b.
    values = {(*ranker, name): [0.5] * 3 for ranker in risks for name in "ab"}
    values |= {(*ranker, "a", "excess risk"): both for ranker, both in risks.items()}
    path, output = write_metrics(tmp_path / "metrics.parquet", values, ["AP"]), tmp_path / "risk.parquet"
    spec = table_spec(samplers=["bm25"], seeds=[0, 1], measure="AP")
    spec["rankers"] = [ranker for ranker in risks if ranker[4] != 2]
    spec["domains"] = [{"name": "in", "collections": ["a"]}, {"name": "out", "collections": ["b"]}]
    table, text = make_table(make_risk_table, spec, output, metrics=path)
    table = table.set_index("student")
    assert set(table["domain"]) == {"in"}
    assert table["risk"].to_dict() == {"bm25": 1.0, "teacher": 0.0, "be": (0.25 + 0.5) / 2}
    assert table.loc["be", "std_seed"] == pytest.approx(np.std([0.25, 0.5], ddof=1), abs=1e-6)
    assert table.loc["be", "ci_low"] == 0.25 and table.loc["be", "ci_high"] == 0.5  # q1's mean, and q2's
    assert "0.375 ± 0.177" in text and "left out" in text
    with pytest.raises(InputError, match="no domain has an excess risk"):
        make_table(make_risk_table, spec | {"domains": spec["domains"][1:]}, output, metrics=path)
