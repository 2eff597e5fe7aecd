"""The made-up study of ``make bench-growth``: a dry run's commands become artifacts that the project's code reads."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bench import growth, made_study
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.daily.verify import faults
from workflow_scripts.report.lineage import Lineage

KEYS = {"student": "be", "loss": "kl", "sampler": "random", "teacher": "base", "seed": 3}
PLAN = "\n".join(
    [
        "    output: results/x/metrics/be/manifest.json (update), results/x/cells/a.csv",
        "Shell command: python -m workflow_scripts.evaluate.measure_runs --log l --threads 1 --spec "
        + "'{}'".format(json.dumps({"keys": KEYS, "measures": {"b": ["RR"], "a": ["RR", "P@1"]}}))
        + " --runs results/x/runs/be/manifest.json --collections a b --output results/x/metrics/be/manifest.json",
        "    output: results/x/runs/be/manifest.json (update)",
        "Shell command: python -m workflow_scripts.evaluate.rerank_candidates --log l --spec '{}' "
        "--output results/x/runs/be/manifest.json",
    ]
)


def test_a_dry_run_becomes_artifacts_with_metrics_that_verify_finds_whole(tmp_path: Path) -> None:
    jobs, outputs = made_study.planned(PLAN)
    assert [job.script for job in jobs] == ["measure_runs", "rerank_candidates"]
    assert len(outputs) == 3 and not any("(update)" in path for path in outputs)
    assert made_study.write_study(tmp_path, jobs, {"a": 4, "b": 2}) == 4 * 2 + 2
    manifest = tmp_path / outputs[0]
    assert not list(faults(tmp_path / "results/x"))
    assert Lineage().parents(manifest) == ["results/x/runs/be/manifest.json"]
    values = QueryValues(manifest.with_name("metrics.parquet"))
    assert values.queries("a", "P@1") == ["000000", "000001", "000002", "000003"]
    assert values.seeds(tuple(KEYS.values())[:4]) == [3]


def test_growth_is_of_processor_time_over_rows() -> None:
    rows = [("a", 1, 10, 2.0), ("b", 1, 10, 1.0), ("a", 5, 50, 5.0), ("b", 5, 50, 10.0)]
    table = growth._with_growth(pd.DataFrame(rows, columns=["what", "seeds", "rows", "cpu_s"]))
    assert table["growth"].iloc[2:].tolist() == [pytest.approx(0.5), pytest.approx(2.0)]
    assert table["growth"].iloc[:2].isna().all()


@pytest.mark.slow
def test_every_timed_step_runs(tmp_path: Path) -> None:
    config = growth.ROOT / "tests/config/tiny.yaml"
    table = growth.measure_growth(config=[config], seeds=[1], share=1, output=tmp_path, say=lambda text: None)
    assert {"dry run, everything made", "verify", "collect metrics", "table main", "table cost"} <= set(table["what"])
    assert (table["cpu_s"] > 0).all() and (table["peak_mb"] > 10).all()
    assert "seeds 1, " in (tmp_path / "growth.md").read_text()
