"""An archive of the tiny experiment: packed, checked, restored without torch, gone on with; its crate validated."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from project import ROOT, Project

from environment.lock import entries

pytestmark = [pytest.mark.slow, pytest.mark.long]
CRATE = Path(__file__).parents[1] / "crate"
STUDENT = "results/tiny/students/ce/marginmse.bm25.base/seed0"
DOCUMENTS = ("LICENSE", "CITATION.cff", "README.md", "requirements.txt")


def command(project: Project, module: str, *arguments: str, python: str = sys.executable) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one of the archive's commands."""
    done = subprocess.run(
        [python, "-m", f"workflow_scripts.archive.{module}", *arguments],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    return done.returncode, done.stdout, done.stderr


def packed(project: Project, archive: str, *options: str) -> str:
    status, stdout, stderr = command(project, "pack", "tests/config/tiny.yaml", "--output", archive, *options)
    assert status == 0, stderr[-3000:]
    return stdout


@pytest.fixture(scope="module")
def project(tiny: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    pytest.importorskip("rocrate", reason="make venv installs it")
    project = tiny.duplicate(tmp_path_factory.mktemp("archives") / "made")
    return Project.copy(ROOT, project.folder, *DOCUMENTS)


@pytest.fixture(scope="module")
def clone(project: Project) -> Project:
    """A fresh clone, with the archive of another folder beside it."""
    (project.folder / "bare.tar").unlink(missing_ok=True)
    packed(project, "bare.tar")
    return Project.copy(ROOT, Project.fresh(project.folder.parent / "clone").folder, *DOCUMENTS)


def small() -> list[str]:
    """Packages of the lock that rebuilding needs; one that another platform alone needs is not installed here."""
    return [name for name in entries((ROOT / "environment/analysis.txt").read_text()) if find_distribution(name)]


def find_distribution(name: str) -> Distribution | None:
    return next(iter(Distribution.discover(name=name)), None)


@pytest.fixture(scope="module")
def small_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that finds what environment/analysis.txt lists, linked from this environment, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for found in map(find_distribution, small()):
        for file in found.files:
            top = file.parts[0]
            if top != ".." and top != "__pycache__" and not (packages / top).exists():
                (packages / top).symlink_to(found.locate_file(top))
    python = str(folder / "bin/python")
    for module in ("torch", "transformers", "pyserini", "faiss", "rocrate"):
        assert subprocess.run([python, "-E", "-c", f"import {module}"], capture_output=True).returncode, module
    return python


def test_packing_twice_gives_the_same_bytes_and_names_its_size_first(project: Project, clone: Project) -> None:
    said = packed(project, "again.tar").splitlines()
    assert (project.folder / "again.tar").read_bytes() == (project.folder / "bare.tar").read_bytes()
    (project.folder / "again.tar").unlink()
    assert said[0].startswith("packed: ") and said[-1].endswith("read back and as listed")
    assert re.match(r"in all: [\d.]+ MB", said[-2])
    assert "left out (models): students, " in "\n".join(said) and "left out (texts): corpora, " in "\n".join(said)
    assert list((project.folder / "results").iterdir()) == [project.folder / "results/tiny"]


def test_restored_without_torch_every_product_has_the_same_bytes(
    project: Project, clone: Project, small_python: str
) -> None:
    archive = str(project.folder / "bare.tar")
    status, stdout, stderr = command(clone, "check", archive, python=small_python)
    assert status == 0 and "without models and texts" in stdout, stderr
    status, stdout, stderr = command(clone, "restore", archive, "--cores", "2", python=small_python)
    assert status == 0, stdout + stderr[-3000:]
    *lines, last = stdout.splitlines()
    assert last == "everything that was rebuilt has the same bytes"
    made = dict(line.split(": ", 1) for line in lines[1:])
    tables = {path.stem for path in (project.folder / "results/tiny/tables").glob("[!.]*")} - {"contamination_pairs"}
    figures = {path.stem for path in (project.folder / "results/tiny/figures").glob("[!.]*")}
    assert {f"table {name}" for name in tables} | {f"figure {name}" for name in figures} < made.keys()
    assert {"report.html", "metrics.parquet"} < made.keys() and any(name.startswith("metrics (") for name in made)
    as_packed = {name.split()[1] for name, said in made.items() if "numbers as packed" in said}
    assert as_packed == {"locality", "locality_queries", "bound", "contamination"}
    assert all(said.startswith("same bytes") for name, said in made.items() if name != "numbers locality_queries")
    compare = [sys.executable, "-m", "workflow_scripts.report.compare_results", "tiny", archive]
    done = subprocess.run(compare, cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0 and "16 cells: 16 same bytes" in done.stdout, done.stdout + done.stderr
    # No job of a model, a text or a download ran, and what a restored table says is what was packed.
    assert sum(int(done) for done in re.findall(r"^(\d+) of \d+ jobs done in ", stderr, re.MULTILINE)) > 40, stderr
    assert not re.search("train_|rerank_|prepare_|embed_", stderr)  # this Python could not run them either
    for name in ("tables/main.csv", "tables/locality.md", "figures/cost.png", "metrics.parquet"):
        assert (clone.folder / "results/tiny" / name).read_bytes() == (
            project.folder / "results/tiny" / name
        ).read_bytes()
    # No text of a query is in it.
    page = (clone.folder / "results/tiny/report.html").read_text()
    about = json.loads(re.search(r'<script type="application/json" id="about">(.*?)</script>', page, re.DOTALL)[1])
    assert {text for each in about["collections"] for _, text in each["queries"]} == {""}
    assert "TABLE=contamination_pairs" not in page and "TABLE=contamination<" in page
    assert not list(clone.folder.rglob("queries.parquet"))
    assert {path.name for path in (clone.folder / "results").iterdir()} == {"tiny"}
    status, _, stderr = command(clone, "restore", archive)
    assert status == 1 and stderr.startswith("error: results/tiny is there already")


def test_what_differs_is_said_and_kept_beside(project: Project, clone: Project, tmp_path: Path) -> None:
    """An archive whose tables were edited, checksums and all, is whole; rebuilding tells."""
    changed = project.duplicate(tmp_path / "changed")
    Project.copy(ROOT, changed.folder, *DOCUMENTS)
    for name in ("main.md", "risk.md"):
        table = changed.folder / "results/tiny/tables" / name
        table.write_text(table.read_text().replace("0.", "1."))
    packed(changed, "changed.tar", "--without", "runs/be")
    shutil.rmtree(changed.folder / "results")
    status, stdout, stderr = command(changed, "restore", "changed.tar", "--cores", "2")
    assert status == 1, stdout + stderr[-2000:]
    assert "table main: other bytes in tables/main.md" in stdout
    rebuilt = changed.folder / "results/tiny.rebuilt"
    assert {str(path.relative_to(rebuilt)) for path in rebuilt.rglob("*.*")} == {"tables/main.md", "tables/risk.md"}
    assert (rebuilt / "tables/main.md").read_bytes() == (project.folder / "results/tiny/tables/main.md").read_bytes()
    # Of runs that are not packed the metrics are as packed, and so is what reads the runs themselves.
    assert "table correlation: same bytes; numbers as packed, since runs/be/" in stdout
    assert "report.html" not in stdout


def test_with_models_and_texts_a_missing_student_is_trained_and_nothing_else(project: Project, tmp_path: Path) -> None:
    packed(project, "whole.tar", "--models", "--texts")
    clone = Project.fresh(tmp_path / "clone")
    (project.folder / "whole.tar").rename(clone.folder / "whole.tar")
    status, stdout, stderr = command(clone, "restore", "whole.tar", "--cores", "2")
    assert status == 0 and "numbers as packed" not in stdout, stdout + stderr[-3000:]
    assert (
        stdout.splitlines()[-1]
        == "to go on with it: .venv/bin/python -m snakemake --configfile tests/config/tiny.yaml --cores 2"
    )
    assert clone.planned() == {}
    weights = clone.folder / STUDENT / "model.safetensors"
    before = weights.read_bytes()
    others = {path: path.stat().st_mtime_ns for path in clone.folder.rglob("model.safetensors") if path != weights}
    shutil.rmtree(clone.folder / STUDENT)
    made, kept = clone.outcome()
    assert made["train_student"] == 1 and not made["train_teacher"] and not made["rerank_candidates"]
    assert kept["rerank_candidates"] and weights.read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in others} == others


def test_an_unfinished_or_damaged_experiment_is_not_packed(project: Project, tmp_path: Path) -> None:
    copy = project.duplicate(tmp_path / "copy")
    Project.copy(ROOT, copy.folder, *DOCUMENTS)
    pack = ("pack", "tests/config/tiny.yaml", "--output", "x.tar", "--texts")
    run = next((copy.folder / "results/tiny/runs/ce").rglob("*.run.gz"))
    whole = run.read_bytes()
    run.write_bytes(whole[:-1] + b"x")
    (copy.folder / "x.tar").write_text("an earlier archive")
    status, _, stderr = command(copy, *pack)
    assert (
        status == 1 and "make verify" in stderr.splitlines()[-1] and ": results/tiny/runs/" in stderr.splitlines()[-1]
    )
    assert (copy.folder / "x.tar").read_text() == "an earlier archive"
    run.write_bytes(whole)
    (copy.folder / STUDENT / ".started").touch()
    status, _, stderr = command(copy, *pack)
    assert status == 1 and "finish the experiment first" in stderr.splitlines()[-1]
    loss = "  marginmse: {function: marginmse}\n"
    copy.edit("tests/config/tiny.yaml", loss, "")
    status, _, stderr = command(copy, *pack)
    assert status == 1 and f"{STUDENT} is unfinished, and of no cell of this config: delete the folder" in stderr
    copy.edit("tests/config/tiny.yaml", "losses:\n", f"losses:\n{loss}")
    (copy.folder / STUDENT / ".started").unlink()
    (copy.folder / "results/tiny/figures/cost.png").unlink()
    status, _, stderr = command(copy, *pack)
    assert status == 1 and stderr == "error: results/tiny/figures/cost.png is missing: finish the experiment first\n"


def test_the_crate_is_one_of_the_workflow_run_profile(project: Project, clone: Project, tmp_path: Path) -> None:
    python = _validator()
    subprocess.run(["tar", "xf", project.folder / "bare.tar", "-C", tmp_path], check=True)
    crate = json.loads((tmp_path / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {each["@id"]: each for each in crate}
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in entities["ro-crate-metadata.json"]["conformsTo"]
    assert entities["./"]["citation"]["@id"] == "https://arxiv.org/abs/2505.21058"
    assert {"@id": "results/tiny/tables/main.csv"} in entities["#run"]["result"]
    validate = [python, CRATE / "validate.py", tmp_path, "workflow-run-crate"]
    done = subprocess.run(validate, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]
    # And the validator sees what is wrong.
    del entities["./"]["mainEntity"]
    metadata = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": crate}
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(metadata))
    assert "workflow-ro-crate" in subprocess.run(validate, capture_output=True, text=True).stdout


def _validator() -> str:
    """The Python of an environment that is made where it is not there, or its requirements have changed."""
    folder, lock = ROOT / ".crate-venv", CRATE / "requirements.txt"
    noted = folder / lock.name
    if not noted.is_file() or noted.read_bytes() != lock.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = [folder / "bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-r", lock]
        if (done := subprocess.run(install, capture_output=True, text=True)).returncode:
            pytest.skip(f"roc-validator cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
        shutil.copyfile(lock, noted)
    return str(folder / "bin/python")
