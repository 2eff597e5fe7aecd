"""Two results folders held against each other: by bytes, by stage, by the noise of training."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from factories import artifact

from workflow_scripts.archive.container import FORMAT, write_archive
from workflow_scripts.report.compare_results import Comparison, is_reproduced, lines
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.tables import write_numbers

KL, LCE = "students/ce/kl.bm25.base/seed0", "students/ce/lce.bm25.none/seed0"
# s^2 = 2 (0.01^2 - 0.006^2) + 0.006^2 = 0.000164; t of 8 degrees of freedom is 2.306: the band is 2.306 sqrt(2 s^2).
CONTROLS = {"sd": 0.01, "sd_noise": 0.006, "degrees": 8.0, "basis": "one seed, controls"}
BAND = 0.04176
# The student's mean variance is larger than the cell's own: s^2 = 0.0001; 4 degrees of freedom in all, t = 2.776.
SEEDS = {"sd": [0.006, 0.0128062], "sd_noise": 0.0, "degrees": 2.0, "basis": "seeds"}
BAND_OF_SEEDS = 0.03926


def make(results: Path, at: str, kind: str, content: str = "x", spec: dict | None = None, **inputs: str) -> None:
    given = {name: results / path / "manifest.json" for name, path in inputs.items()}
    artifact(results / at / "manifest.json", {"file.txt": content}, kind=kind, spec=spec, inputs=given)


def experiment(results: Path, noise: dict | None = None) -> Path:
    """Two students of one corpus, the first of labels that an index and groups stand behind; their cells, a table."""
    make(results, "corpora/c", "corpora")
    make(results, "index/c", "indexes", corpus="corpora/c")
    make(results, "rankings/c", "rankings", index="index/c")
    make(results, "labels/base/bm25/seed0", "labels", spec={"temperature": 1}, rankings="rankings/c")
    make(results, KL, "students", labels="labels/base/bm25/seed0")
    make(results, LCE, "students", rankings="rankings/c")
    make(results, "evaluation/all", "evaluation")
    (results / "cells").mkdir()
    for student, value in ((KL, 0.5), (LCE, 0.4)):
        ranker = student.removeprefix("students/")
        make(results, f"runs/{ranker}/all", "runs", model=student)
        make(results, f"metrics/{ranker}/all", "metrics", runs=f"runs/{ranker}/all", evaluation="evaluation/all")
        write_cell(results, ranker.replace("/", "."), value)
    rows = {
        "student": "ce",
        "loss": ["kl", "lce"],
        "sampler": "bm25",
        "teacher": "base",
        "domain": "d",
        "scope": "cell",
    }
    table = pd.DataFrame({**rows, "measure": "nDCG@10", **(noise or CONTROLS)})
    (results / "analysis").mkdir()
    write_numbers(results / "analysis/variance.parquet", table, {"measures": ["nDCG@10", "AP"], "confidence": 0.95})
    (results / "tables").mkdir()
    for name in ("main", "cost"):
        (results / f"tables/{name}.csv").write_text("1\n")
    return results


def write_cell(results: Path, cell: str, value: float) -> None:
    (results / f"cells/{cell}.d.csv").write_text(f"measure,value\nAP,0.1\nnDCG@10,{value}\n")


def change(results: Path, *places: str, edit: Callable[[dict], object] | None = None) -> None:
    """Let artifacts have other bytes, as their manifests say; ``edit`` changes the manifest of the first."""
    for number, at in enumerate(places):
        manifest = json.loads((results / at / "manifest.json").read_text())
        manifest["files"]["file.txt"]["sha256"] = "0" * 64
        if edit and not number:
            edit(manifest)
        (results / at / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a = experiment(tmp_path / "one/results/demo")
    return a, shutil.copytree(a, tmp_path / "two/results/demo")


def test_a_copy_is_the_same_whatever_its_index_and_its_costs(pair: tuple[Path, Path]) -> None:
    change(pair[1], "index/c")
    (pair[1] / "tables/cost.csv").write_text("2\n")
    found = Comparison(*pair)
    cells = list(found.cells())
    assert {cell.verdict for cell in cells} == {"same bytes"} and is_reproduced(found, cells, exact=True)
    assert list(lines(found, cells))[-2:] == ["2 cells: 2 same bytes", "1 tables: 1 same bytes"]
    (pair[1] / "tables/main.csv").write_text("2\n")
    assert not is_reproduced(Comparison(*pair), cells, exact=True)


def test_a_difference_is_said_where_it_arose_with_what_was_otherwise_there(pair: tuple[Path, Path]) -> None:
    made_from_labels = [KL, f"{KL}/all".replace("students", "runs"), f"{KL}/all".replace("students", "metrics")]
    change(pair[1], "labels/base/bm25/seed0", *made_from_labels, edit=lambda made: made.update(spec={"temperature": 2}))
    trained_again = [LCE, f"{LCE}/all".replace("students", "runs"), f"{LCE}/all".replace("students", "metrics")]
    change(pair[1], *trained_again, edit=lambda made: made["versions"].update(torch="0.1"))
    write_cell(pair[1], "ce.kl.bm25.base.seed0", 0.5 + BAND - 1e-4)
    write_cell(pair[1], "ce.lce.bm25.none.seed0", 0.4 - BAND - 1e-4)
    shutil.copy(pair[0] / "cells/ce.kl.bm25.base.seed0.d.csv", pair[0] / "cells/ce.kl.bm25.base.seed1.d.csv")
    found = Comparison(*pair)
    cells = {cell.name: cell for cell in found.cells()}
    kl, lce, lost = (
        cells[f"ce.{name}.d"] for name in ("kl.bm25.base.seed0", "lce.bm25.none.seed0", "kl.bm25.base.seed1")
    )
    assert (kl.verdict, lce.verdict, lost.verdict) == ("within the band", "beyond the band", "only in A")
    assert kl.band == pytest.approx(BAND, abs=1e-5)
    assert found.behind(kl) == {"labels/base/bm25/seed0"} and found.behind(lce) == {LCE}
    torch = json.loads((pair[0] / LCE / "manifest.json").read_text())["versions"]["torch"]
    assert found.why("labels/base/bm25/seed0") == "spec temperature 1 / 2" and found.why(LCE) == f"torch {torch} / 0.1"
    assert not is_reproduced(found, [lce], exact=False) and not is_reproduced(found, [lost], exact=False)
    assert is_reproduced(found, [kl], exact=False) and not is_reproduced(found, [kl], exact=True)


def test_the_band_of_several_seeds_pools_the_students_cells(tmp_path: Path) -> None:
    a = experiment(tmp_path / "one/results/demo", SEEDS)
    b = shutil.copytree(a, tmp_path / "two/results/demo")
    write_cell(b, "ce.kl.bm25.base.seed0", 0.51)
    assert next(Comparison(a, b).cells()).band == pytest.approx(BAND_OF_SEEDS, abs=1e-5)
    for folder in (a, b):
        (folder / "analysis/variance.parquet").unlink()
    assert next(Comparison(a, b).cells()).verdict == "no band is known"


def test_an_archive_stands_for_the_results_in_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    files = {f"results/demo/{path.relative_to(pair[0])}": path for path in pair[0].rglob("*") if path.is_file()}
    files = {name: path for name, path in files.items() if not path.name.startswith(".")}
    files["config/demo.yaml"] = ROOT / "config/demo.yaml"
    listed = {name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for name, path in files.items()}
    about = {"format": FORMAT, "experiment": "demo", "configs": ["config/demo.yaml"], "left_out": {}}
    about |= {"models": True, "texts": True}
    write_archive(tmp_path / "demo.tar", about | {"files": listed}, files)
    command = [sys.executable, "-m", "workflow_scripts.report.compare_results", str(tmp_path / "demo.tar")]
    done = subprocess.run([*command, str(pair[1]), "--exact"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "2 cells: 2 same bytes" in done.stdout, done


def test_the_command_ends_by_what_it_found(pair: tuple[Path, Path]) -> None:
    def ends(*options: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "workflow_scripts.report.compare_results", *map(str, pair), *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    assert ends()[0] == 0
    change(pair[1], LCE)
    assert ends()[0] == 0 and ends("--exact")[0] == 1
    (pair[1] / LCE / "manifest.json").write_text("[]")
    status, output = ends()
    assert status == 1 and "is not an artifact's manifest" in output and "Traceback" not in output
