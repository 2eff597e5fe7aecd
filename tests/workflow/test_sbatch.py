"""What is asked of Slurm, and when a run does not start; sbatch is a stand-in that notes its arguments and fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

STUDENT = "results/tiny/students/be/lce.bm25.none/seed0/manifest.json"
PROFILE = "config/profiles/slurm"
STAND_INS = {
    "sbatch": 'echo "$@" >> sbatch-calls; exit 1',
    "scontrol": "echo 'MinJobAge = {min_job_age} sec'",
    "sinfo": "echo 'gpu|40:00'",
    "sacct": "exit 1",
    "squeue": "exit 0",
}


def submit(project: Project, target: str, min_job_age: int = 300) -> str:
    """Snakemake's output where a cluster refuses the first job; ``sbatch-calls`` in the project has what was asked."""
    folder = project.folder / "bin"
    folder.mkdir()
    for name, script in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/sh\n{script.replace('{min_job_age}', str(min_job_age))}\n")
        (folder / name).chmod(0o755)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        target,
        "--configfile",
        "tests/config/tiny.yaml",
        "--profile",
        PROFILE,
    ]
    done = subprocess.run(
        [*command, "--retries", "0", "--slurm-init-seconds-before-status-checks", "1"],
        cwd=project.folder,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpu", "asked", "not_asked"),
    [
        ("{slurm_partition: gpu}", " --gpus=1", "--gres"),
        ("{slurm_partition: gpu, gpu: 0, gres: 'gpu:a100:1'}", " --gres=gpu:a100:1", "--gpus"),
    ],
)
def test_a_gpu_is_asked_for_as_the_site_wants_it(
    tiny: Project, tmp_path: Path, gpu: str, asked: str, not_asked: str
) -> None:
    project = tiny.duplicate(tmp_path / "project")
    (project.folder / STUDENT).unlink()
    project.edit(f"{PROFILE}/config.yaml", "{slurm_partition: gpu}", gpu)
    submit(project, STUDENT)
    call = (project.folder / "sbatch-calls").read_text().split("--wrap")[0]
    # Training wants 60 minutes: the partition gives 40, a third of them to each of training, re-ranking and measuring.
    assert asked in call and not_asked not in call and " -p gpu " in call and " -t 13 " in call


@pytest.mark.slow
def test_a_run_does_not_start_where_a_finished_job_is_not_seen(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path / "project")
    output = submit(project, "results/tiny/corpora/demo/manifest.json", min_job_age=180)
    assert "forgets a finished job after 180 s (MinJobAge)" in output and "would wait for it for ever" in output
    assert not (project.folder / "sbatch-calls").exists()
