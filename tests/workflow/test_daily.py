"""``make list`` and ``make clean`` against what the real Snakemake then plans."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from workflow_scripts.storage.locks import writer_lock

pytestmark = pytest.mark.slow
CONFIG = "tests/config/tiny.yaml"
MADE, LEFT = "be.lce.bm25.none.seed0", "ce.lce.bm25.none.seed0"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.fresh(tmp_path_factory.mktemp("daily"))
    project.build("--", *(f"results/tiny/cells/{cell}.in-domain.csv" for cell in (MADE, LEFT)))
    return project


def call(project: Project, script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", f"workflow_scripts.daily.{script}", *arguments, "--configfile", CONFIG]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True)


def listed(project: Project, words: str = "") -> list[str]:
    return call(project, "list_cells", "--filter", words).stdout.splitlines()


def test_states_are_those_of_snakemakes_plan(project: Project, tmp_path: Path) -> None:
    assert listed(project)[-1] == "8 cells: 2 done, 0 stale, 6 missing"
    assert listed(project, "lce bm25") == [
        f"done     {MADE}",
        f"done     {LEFT}",
        "2 cells: 2 done, 0 stale, 0 missing",
    ]
    changed = project.duplicate(tmp_path)
    changed.edit(CONFIG, "learning_rate: 0.002", "learning_rate: 0.004")
    assert listed(changed, "stale")[0] == (
        f"stale    {MADE}  (students/be/lce.bm25.none/seed0: settings (learning_rate) have changed)"
    )
    changed.edit("workflow_scripts/mine/samplers/bm25.py", "\ndef sample", "\nMORE = 1\n\n\ndef sample")
    # What set the first job going is named, not the last.
    assert [line.partition("(")[2] for line in listed(changed, "stale")[:-1]] == [
        "groups/bm25/seed0: code has changed)",
        "groups/bm25/seed0: code has changed)",
    ]
    (changed.folder / f"results/tiny/cells/{LEFT}.hard-shift.csv").unlink()
    assert listed(changed, f"missing {LEFT}")[0] == f"missing  {LEFT}  (cells/{LEFT}.hard-shift.csv)"
    manifest = changed.folder / "results/tiny/students/be/lce.bm25.none/seed0/manifest.json"
    manifest.write_text(manifest.read_text()[:100])
    assert (
        call(changed, "list_cells")
        .stderr.splitlines()[-1]
        .endswith("manifest.json is not an artifact's manifest: delete it and build the artifact again")
    )


def test_a_cell_that_was_removed_is_made_again_and_no_other(project: Project, tmp_path: Path) -> None:
    project = project.duplicate(tmp_path)
    with writer_lock(project.folder / "results/tiny/metrics/be/lce.bm25.none/seed0/all"):
        busy = call(project, "clean_cell", MADE)
    assert (busy.returncode, busy.stdout) == (1, "") and busy.stderr.startswith("error: another process is writing")
    done = call(project, "clean_cell", MADE)
    assert done.stdout.splitlines() == [
        f"removed results/tiny/{path}"
        for path in (
            *(f"{kind}/be/lce.bm25.none/seed0" for kind in ("students", "runs", "metrics")),
            *(f"cells/{MADE}.{domain}.csv" for domain in ("in-domain", "hard-shift")),
        )
    ]
    targets = [f"results/tiny/cells/{cell}.in-domain.csv" for cell in (MADE, LEFT)]
    assert project.planned(*targets) == {"train_student": 1, "rerank_candidates": 1, "measure_students_all": 1}
    assert call(project, "clean_cell", MADE).stdout == f"nothing of {MADE} is there\n"
    refused = call(project, "clean_cell", "be/../../..")
    assert refused.returncode == 1 and refused.stderr.startswith(
        "error: no cell 'be/../../..' in tiny: it has students"
    )
