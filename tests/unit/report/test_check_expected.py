"""A table that ships, held against one that was made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from factories import artifact, write_metrics

from workflow_scripts.report import check_expected
from workflow_scripts.storage.tables import write_numbers


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "analysis").mkdir()
    keys = {"student": "ce", "loss": "kl", "teacher": "base", "domain": "in-domain", "collection": "all"}
    main = pd.DataFrame({"sampler": ["bm25", "random"], "mean": [0.5000004, 0.25], "measure": "nDCG@10", **keys})
    domains = [{"name": "in-domain", "collections": ["a"]}]
    write_numbers(tmp_path / "analysis/main.parquet", main, {"measures": ["nDCG@10", "AP"], "domains": domains})
    artifact(tmp_path / "students/ce/manifest.json", {}, kind="students")
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


def test_another_arithmetic_is_held_to_the_band_of_other_pipelines(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    means = {"bm25": [0.5, 0.52, 0.48], "random": [0.25, 0.27, 0.26]}
    paths = [results / "metrics.parquet", *(results / f"{place}.parquet" for place in (1, 2))]
    for place, path in enumerate(paths):
        values = {
            # The sampler that reads no teacher was trained once for all; the further seed is a control.
            ("ce", "kl", sampler, "none" if sampler == "random" else "base", seed, "a"): [value - 0.1, value + 0.1]
            for sampler, own in means.items()
            for seed, value in ((place, own[place]), (9, 0.9))
        }
        write_metrics(path, values)
    expected = results / "expected.yaml"
    run(monkeypatch, results, expected, "--write", "--pipelines", *paths[1:])
    # Two cells of three pipelines: 4 degrees of freedom, t(1 - .025 / 2) = 3.495; variances .0004 and .0001.
    limits = yaml.safe_load(expected.read_text())["bands"]
    assert limits["ce.kl.bm25.base in-domain"] == pytest.approx([0.5 - 0.08071, 0.5 + 0.08071], abs=2e-5)
    half = 3.4954 * (0.00025 * 4 / 3) ** 0.5  # the block's mean variance, which is the larger
    assert limits["ce.kl.random.base in-domain"] == pytest.approx([0.26 - half, 0.26 + half], abs=2e-5)
    said(results, {"setting": "fast"})
    shipped = expected.read_text()
    expected.write_text(shipped.replace(" 0.25\n", " 0.24\n"))
    run(monkeypatch, results, expected)
    assert "2 of 2 cells lie within the band of other pipelines" in capsys.readouterr().out
    low = limits["ce.kl.random.base in-domain"][0]
    expected.write_text(shipped.replace(" 0.25\n", " 0.24\n").replace(f"[{low},", "[0.2501,"))
    with pytest.raises(check_expected.InputError, match="beyond what another backbone and teacher change"):
        run(monkeypatch, results, expected)
    assert "1 of 2 cells lie within" in capsys.readouterr().out
