"""The table of excess risks by hand, from metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rendered import render

from workflow_scripts.analysis.measures import METRICS_SCHEMA
from workflow_scripts.locality.make_risk_table import make_risk_table
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table


def test_the_table_by_hand(tmp_path: Path) -> None:
    risks = {("bm25", "", "", "", None): (1.0, 1.0), ("teacher", "", "", "t", None): (0.0, 0.0)}
    # The student of seed 2 is another study's: the table lists seeds 0 and 1.
    risks |= {("be", "kl", "bm25", "t", seed): both for seed, both in enumerate([(0.0, 0.5), (0.5, 0.5), (1.0, 1.0)])}
    rows = [
        (*ranker, collection, query, *measured)
        for ranker, both in risks.items()
        for collection in "ab"
        for query, risk in zip(("q1", "q2", "q3"), (*both, None), strict=True)
        for measured in [("AP", 0.5), *[("excess risk", risk)] * (collection == "a" and risk is not None)]
    ]
    frame = pd.DataFrame(rows, columns=METRICS_SCHEMA.names).astype({"seed": "Int32"})
    write_table(tmp_path / "metrics.parquet", frame, METRICS_SCHEMA)
    spec = {
        **{"students": ["be"], "losses": ["kl"], "samplers": ["bm25"], "teachers": ["t"], "seeds": [0, 1]},
        "rankers": [ranker for ranker in risks if ranker[4] != 2],
        "measure": "AP",
        "domains": [{"name": "in", "collections": ["a"]}, {"name": "out", "collections": ["b"]}],
        "bootstrap": {"samples": 50, "seed": 0, "confidence": 0.9},
    }
    output = tmp_path / "risk.parquet"
    make_risk_table(spec=spec, metrics=tmp_path / "metrics.parquet", output=output)
    table, text = render("risk", output)
    table = table.set_index("student")
    assert set(table["domain"]) == {"in"}
    assert table["risk"].to_dict() == {"bm25": 1.0, "teacher": 0.0, "be": (0.25 + 0.5) / 2}
    assert table.loc["be", "std_seed"] == pytest.approx(np.std([0.25, 0.5], ddof=1), abs=1e-6)
    assert table.loc["be", "ci_low"] == 0.25 and table.loc["be", "ci_high"] == 0.5  # q1's mean, and q2's
    assert "0.375 ± 0.177" in text and "left out" in text
    with pytest.raises(InputError, match="no domain has an excess risk"):
        changed = spec | {"domains": spec["domains"][1:]}
        make_risk_table(spec=changed, metrics=tmp_path / "metrics.parquet", output=output)
