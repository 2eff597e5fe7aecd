"""What is taken over from another experiment's results, what is left there, and what is not taken for a job's own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from workflow_scripts.storage import provenance
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.checked import note_output
from workflow_scripts.storage.command import call
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import STARTED
from workflow_scripts.storage.provenance import CARD, Job, doing
from workflow_scripts.storage.results import TREES, results_folder
from workflow_scripts.storage.reuse import reuse

JOB = Job(module="workflow_scripts.collect.prepare_corpus", spec={"a": 1}, paths={}, values={})


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artifact of the experiment ``old``, with a cell, where jobs may reuse its results."""
    manifest = tmp_path / "results/old/metrics/x/manifest.json"
    with doing(JOB), ArtifactWriter(manifest, kind="metrics", spec=JOB.spec) as writer:
        writer.path("deep/values").write_text("values")
        writer.path(CARD).write_text("card")
    cell = tmp_path / "results/old/cells/x.csv"
    cell.parent.mkdir()
    cell.write_text("0.5")
    note_output(cell)
    monkeypatch.setenv(TREES, json.dumps([str(tmp_path / "results/none"), str(tmp_path / "results/old")]))
    return manifest


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The path of the same artifact of the experiment ``new``."""
    manifest = tmp_path / "results/new/metrics/x/manifest.json"
    manifest.parent.mkdir(parents=True)
    return manifest


@pytest.mark.parametrize("links", [True, False])
def test_files_are_linked_or_copied_and_the_manifest_says_from_where(
    made: Path, own: Path, tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("another file system")))
    cell = tmp_path / "results/new/cells/x.csv"
    assert reuse(own, JOB, [cell]) == made
    assert (own.parent / "deep/values").samefile(made.parent / "deep/values") == links
    assert (own.parent / CARD).read_text() == "card" and not (own.parent / CARD).samefile(made.parent / CARD)
    assert cell.read_text() == "0.5" and not cell.samefile(tmp_path / "results/old/cells/x.csv")
    before = json.loads(made.read_text())
    assert json.loads(own.read_text()) == before | {"reused": str(made)}
    assert Artifact(own).file("deep/values").read_text() == "values"


def test_what_another_job_made_or_nobody_vouches_for_is_left_there(
    made: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other_spec = Job(module=JOB.module, spec={"a": 2}, paths={}, values={})
    cell, source = tmp_path / "results/new/cells/x.csv", tmp_path / "results/old/cells/x.csv"
    hostile = json.loads(made.read_text())
    hostile["files"]["../values"] = hostile["files"].pop("deep/values")

    def refused(job: Job = JOB) -> str:
        assert reuse(own, job, [cell]) is None
        assert list(own.parent.iterdir()) == [] and not cell.exists()
        return capsys.readouterr().err

    assert "the spec has changed" in refused(other_spec)
    source.write_text("0.6")
    assert "is not known to be what its job wrote" in refused()
    (made.parent / "deep/values").write_text("valuez")
    assert "values has other bytes than were written" in refused()
    made.with_name(STARTED).touch()
    assert "is being made again" in refused()
    made.write_text(json.dumps(hostile))
    assert "a path outside its folder" in refused()
    made.write_text("{")
    assert "is not an artifact's manifest" in refused()
    made.unlink()
    assert refused() == ""


def test_results_are_found_by_name_by_path_and_in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("results/demo", "elsewhere/results/one", "two/results/a", "two/results/b"):
        Path(name).mkdir(parents=True)
    assert results_folder("demo") == Path("results/demo")
    assert results_folder("./elsewhere/results/one") == results_folder("elsewhere/") == Path("elsewhere/results/one")
    with pytest.raises(InputError, match="has the results of a, b: name one, two/results/a"):
        results_folder("two/")
    with pytest.raises(InputError, match="no results in results/elsewhere"):
        results_folder("elsewhere")


def test_a_job_that_died_before_its_cells_leaves_no_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "job_digest", lambda *_: "code")
    dies = [False, True, False]

    def job(*, spec: Mapping, output: Path, cells: Sequence[Path]) -> None:
        with ArtifactWriter(output, kind="metrics", spec=spec) as writer:
            writer.path("values").write_text(str(spec))
        if dies.pop(0):
            raise KeyboardInterrupt
        cells[0].write_text(str(spec["value"]))

    def run(value: int) -> None:
        outputs = [f"--output={tmp_path / 'x/manifest.json'}", f"--cells={tmp_path / 'cell.csv'}"]
        call(job, ["--spec", json.dumps({"value": value}), *outputs])

    run(1)
    with pytest.raises(KeyboardInterrupt):
        run(2)
    run(2)
    assert (tmp_path / "cell.csv").read_text() == "2" and dies == []
