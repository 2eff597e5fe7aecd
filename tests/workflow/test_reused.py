"""Artifacts of another experiment's results: linked where a job would make the same, and never else."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Project

from workflow_scripts.daily.verify import faults
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.checksums import sha256

pytestmark = pytest.mark.long
CONFIG = "tests/config/tiny.yaml"
STUDENT = "students/ce/marginmse.bm25.base/seed0/model.safetensors"
DAMAGED = "students/be/lce.bm25.none/seed0/model.safetensors"
SAME, OTHER_SEED, OF_DAMAGED = (
    f"cells/{cell}.in-domain.csv"
    for cell in ("ce.marginmse.bm25.base.seed0", "ce.marginmse.bm25.base.seed1", "be.lce.bm25.none.seed0")
)


def state(results: Path) -> dict[str, tuple[str, int]]:
    files = (path for path in results.rglob("*") if path.is_file())
    return {str(path.relative_to(results)): (sha256(path), path.stat().st_mtime_ns) for path in files}


def test_a_variation_pays_for_its_own_cells_alone(tiny: Project, tmp_path: Path) -> None:
    other = tiny.duplicate(tmp_path / "another folder", records=False).folder / "results/tiny"
    whole = (other / DAMAGED).read_bytes()
    (other / DAMAGED).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    before = state(other)
    project = Project.fresh(tmp_path / "project")
    project.edit(CONFIG, "experiment: tiny", "experiment: variation\nreuse: ['../another folder/results/tiny']")
    project.edit(CONFIG, "seeds: [0]", "seeds: [0, {seed: 1, order: 2}]")
    results = project.folder / "results/variation"
    wanted = [f"results/variation/{cell}" for cell in (SAME, OTHER_SEED, OF_DAMAGED)]
    made, reused = project.outcome(*wanted, experiment="variation")
    # What hangs on the damaged student is linked: training it again gave the bytes that it had.
    assert dict(made) == {"label_groups": 1, "train_student": 2, "rerank_candidates": 1, "measure_runs": 1}
    assert {rule: reused[rule] for rule in made} == {
        "label_groups": 1,
        "train_student": 1,
        "rerank_candidates": 2,
        "measure_runs": 2,
    }
    assert reused["train_teacher"] == reused["pretrain_backbone"] == 1 and reused["build_index"] == 2
    assert (results / STUDENT).samefile(other / STUDENT) and (results / DAMAGED).read_bytes() == whole
    log = (results / "logs/train_student/be/lce.bm25.none/seed0.log").read_text()
    assert log.startswith(f"not reused: ../another folder/results/tiny/{DAMAGED} has other bytes than were written\n")
    for cell in (SAME, OF_DAMAGED):
        assert (results / cell).read_bytes() == (other / cell).read_bytes()
    made_from = Artifact((results / STUDENT).with_name("manifest.json")).manifest["inputs"]
    assert made_from["labels"]["path"] == "results/variation/labels/base/bm25/seed0/manifest.json"
    assert list(faults(results)) == [] and state(other) == before and project.planned(*wanted) == {}

    # In one project an experiment is known by its name. Changed code is never served by what other code made.
    project.edit(
        CONFIG, "experiment: variation\nreuse: ['../another", "experiment: third\nreuse: [variation, '../another"
    )
    loss = project.folder / "workflow_scripts/train/losses/marginmse.py"
    loss.write_text(f"{loss.read_text()}\nMORE = 1\n")
    made, reused = project.outcome(f"results/third/{SAME}", experiment="third")
    assert dict(made) == {"train_student": 1} and reused["rerank_candidates"] == reused["label_groups"] == 1
    log = (project.folder / "results/third/logs/train_student/ce/marginmse.bm25.base/seed0.log").read_text()
    assert log.count("not reused: ") == log.count(": the code has changed\n") == 2


def test_results_that_are_not_there_are_named_before_anything_runs(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    project.edit(CONFIG, "experiment: tiny", "experiment: tiny\nreuse: [elsewhere]")
    assert "reuse: there are no results in results/elsewhere: " in project.refused("--dry-run")
    (project.folder / "results/tiny").mkdir(parents=True)
    project.edit(CONFIG, "reuse: [elsewhere]", "reuse: [./results/tiny]")
    assert "this experiment's own results" in project.refused("--dry-run")
