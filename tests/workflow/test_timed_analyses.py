"""``python -m bench.growth --finished`` on the tiny experiment: everything that analyses it is timed."""

from pathlib import Path

import pytest
from project import ROOT, Project

from bench.growth import measure_growth

pytestmark = pytest.mark.long


def test_whatever_analyses_a_finished_experiment_is_timed_and_nothing_of_it_is_written(
    tiny: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.folder)
    times = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*") if path.is_file()}
    config = [ROOT / "tests/config/tiny.yaml"]
    table = measure_growth(config=config, seeds=[1], share=1, output=tmp_path, finished=True, say=lambda text: None)
    assert {"collect metrics", "table main", "table correlation", "report"} <= set(table["what"])
    assert (table["cpu_s"] > 0).all() and (table["rows"] > 0).all()
    assert {path: path.stat().st_mtime_ns for path in Path("results").rglob("*") if path.is_file()} == times
