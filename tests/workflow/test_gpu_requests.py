"""What is asked of Slurm: sbatch is a stand-in that notes its arguments and refuses every job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

STUDENT = "results/tiny/students/be/lce.bm25.none/seed0/manifest.json"
STAND_INS = {
    "sbatch": 'echo "$@" >> sbatch-calls; exit 1',
    "scontrol": "echo 'MinJobAge = 300 sec'",
    "sinfo": "echo 'gpu|40:00'",
    "sacct": "exit 1",
    "squeue": "exit 0",
}


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
    project.edit("config/profiles/slurm/config.yaml", "{slurm_partition: gpu}", gpu)
    for name, script in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    command = [sys.executable, "-m", "snakemake", STUDENT, "--configfile", "tests/config/tiny.yaml", "--retries", "0"]
    done = subprocess.run(
        [*command, "--profile", "config/profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"],
        cwd=project.folder,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "SLURM sbatch failed" in done.stdout + done.stderr
    call = (project.folder / "sbatch-calls").read_text().split("--wrap")[0]
    # Training asks for 60 minutes: the partition gives 40, of which re-ranking and measuring in the group have theirs.
    assert asked in call and not_asked not in call and " -p gpu " in call and " -t 13 " in call
