"""A table that ships, held against one that was made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.report import check_expected
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.tables import write_numbers


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "analysis").mkdir()
    keys = {"student": "ce", "loss": "kl", "teacher": "base", "domain": "in-domain", "collection": "all"}
    main = pd.DataFrame({"sampler": ["bm25", "random"], "mean": [0.5000004, 0.25], "measure": "nDCG@10", **keys})
    write_numbers(tmp_path / "analysis/main.parquet", main, {"measures": ["nDCG@10", "AP"]})
    with ArtifactWriter(tmp_path / "students/ce/manifest.json", kind="students", spec={}):
        pass
    return tmp_path


def said(results: Path, arithmetic: dict) -> None:
    manifest = results / "students/ce/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"arithmetic": arithmetic}))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["check_expected", *map(str, arguments)])
    check_expected.main()


def test_what_ships_is_what_was_made_or_the_cell_is_named(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    expected = results / "expected.yaml"
    said(results, {"setting": "portable"})
    run(monkeypatch, results, expected, "--write")
    run(monkeypatch, results, expected)
    assert capsys.readouterr().out.startswith("2 of 2 cells")
    expected.write_text(expected.read_text().replace("0.25", "0.250001"))
    with pytest.raises(check_expected.InputError, match="something else has changed"):
        run(monkeypatch, results, expected)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("1 of 2 cells")
    assert shown[1] == "  ce.kl.random.base in-domain: 0.25, shipped 0.250001"
    for other in ({"setting": "fast"}, {"setting": "portable", "not_portable": "no AVX2"}):
        said(results, other)
        run(monkeypatch, results, expected)
        assert "another arithmetic" in capsys.readouterr().out
