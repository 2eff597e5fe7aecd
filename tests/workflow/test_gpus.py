"""Jobs on a host with two GPUs: the site's profile, Snakemake's count of cards, and which card each job takes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fake_gpus import two_gpus
from project import Project

from workflow_scripts.experiment.rule_parameters import resources_of
from workflow_scripts.storage import gpus

NAMES = ("be/lce.bm25.none/seed0", "ce/lce.bm25.none/seed0")


@pytest.mark.slow
def test_jobs_of_a_host_run_on_the_gpus_that_are_free(
    tiny: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tiny.duplicate(tmp_path / "project")
    for name in NAMES:
        shutil.rmtree(project.folder / "results/tiny/students" / name)
    two_gpus(tmp_path, monkeypatch)
    # Another program's job has the first card for as long as this test runs.
    locks = tmp_path / f"distillery-gpus-{os.getuid()}"
    locks.mkdir()
    monkeypatch.setattr(gpus, "_held", [])
    assert gpus._take(locks / "GPU-a", None)
    try:
        project.build(
            *(f"results/tiny/students/{name}/manifest.json" for name in NAMES),
            *("--profile", "config/profiles/gpu", "--resources", "gpu=2"),
        )
    finally:
        os.close(gpus._held.pop())
    for name in NAMES:
        log = (project.folder / f"results/tiny/logs/train_student/{name}.log").read_text()
        assert "GPU GPU-b, one of 2, is taken" in log and "no GPU is seen: this job computes on the CPU" in log


def test_a_job_that_is_tried_again_has_the_gpu_for_itself() -> None:
    config = {"device": "auto", "resources": {"score": {"gpu_share": 3}}}
    resources = resources_of(config, "score", gpu_parts=6, limit=lambda rule, wildcards: 60)
    assert [resources[name]({}, attempt) for attempt in (1, 2) for name in ("gpu", "gpu_share")] == [2, 3, 6, 1]


def test_a_shared_gpu_counts_for_as_many_jobs_as_share_it(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    share = ("--config", "resources={rerank: {gpu_share: 3}, score: {gpu_share: 2}}")

    def shown(*arguments: str) -> str:
        done = project.run("--dry-run", "-p", *share, *arguments)
        assert done.returncode == 0, done.stderr
        rules = (done.stdout + done.stderr).split("\nrule ")
        found = {each.split(":")[0]: each.partition("gpu=")[2].split(",")[0] for each in rules if "gpu=" in each}
        return {name: found[name] for name in ("train_student", "score_pool", "rerank_candidates")}

    # A card is six parts, so that two or three jobs share it evenly; elsewhere a job asks for a whole one.
    assert shown("--resources", "gpu=2") == {"train_student": "6", "score_pool": "3", "rerank_candidates": "2"}
    assert set(shown().values()) == {"1"}
