"""An experiment on a real Slurm cluster: the local run's bytes, also of a student whose job met its time limit."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from project import Project

from tests.slurm.cluster import cluster, lacking

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(lacking() is not None, reason=lacking() or "Slurm is here"),
]
CONFIGS = ["--configfile", "tests/config/tiny.yaml", "tests/config/slurm.yaml"]
TARGETS = [f"results/tiny/tables/{name}.csv" for name in ("main", "equivalence", "variance")]
GPU_MINUTES = 50
PATIENCE_S = 1200
# Short jobs: ask for their states every few seconds.
POLL = ["--slurm-init-seconds-before-status-checks", "1"]
# The first process that computes this loss under Slurm takes five seconds a step, and says which job it is.
LOSS = "    student_margin ="
SLOW_LOSS = """\
    import os
    import time

    if job := os.environ.get("SLURM_JOB_ID"):
        try:
            with open("slow-job", "x") as file:
                file.write(f"{job} {os.getpid()}")
        except FileExistsError:
            pass
        if open("slow-job").read() == f"{job} {os.getpid()}":
            time.sleep(5)
"""


def test_a_cluster_makes_the_bytes_of_a_local_run(tmp_path: Path) -> None:
    local, project = (Project.fresh(tmp_path / name) for name in ("local", "slurm"))
    for each in (local, project):
        each.edit("workflow_scripts/train/losses/marginmse.py", LOSS, SLOW_LOSS + LOSS)
    assert snakemake(local, "--cores", "2").wait(PATIENCE_S) == 0, log_of(local)
    with cluster(tmp_path / "cluster", gpu_minutes=GPU_MINUTES) as environment:
        with snakemake(project, "--profile", "config/profiles/slurm", *POLL, environment=environment) as run:
            try:
                job = wait_for_slow_job(project, run)
                slurm(environment, "scontrol", "update", f"JobId={job}", "TimeLimit=1")
                assert run.wait(PATIENCE_S) == 0, log_of(project)
            finally:
                run.kill()
        jobs = [line.split("|") for line in slurm(environment, "squeue", "--states=all", "--format=%i|%T|%P|%l")]
    states = {number: state for number, state, _, _ in jobs}
    assert states.pop(job) == "TIMEOUT" and set(states.values()) == {"COMPLETED"}
    # All asked for no more than their partition gives, although training, re-ranking and measuring take an hour each.
    assert max(minutes for _, _, partition, minutes in jobs if partition == "gpu") == f"{GPU_MINUTES}:00"
    results = [folder.folder / "results/tiny" for folder in (local, project)]
    assert "resumed after step" in "".join(path.read_text() for path in results[1].glob("logs/train_student/**/*.log"))
    for pattern in ("tables/*", "metrics.parquet", "students/**/model.safetensors"):
        names = {path.relative_to(results[0]) for path in results[0].glob(pattern)}
        assert names, pattern
        assert [name for name in names if (results[0] / name).read_bytes() != (results[1] / name).read_bytes()] == []
    chains = len(list(results[0].glob("students/**/model.safetensors")))
    print(len(jobs), chains, jobs)


def snakemake(project: Project, *options: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Snakemake started in a project, writing to ``snakemake.log`` there."""
    command = [sys.executable, "-m", "snakemake", *TARGETS, *CONFIGS, *options]
    with open(project.folder / "snakemake.log", "w") as log:
        return subprocess.Popen(command, cwd=project.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)


def log_of(project: Project) -> str:
    """The end of what Snakemake wrote."""
    return (project.folder / "snakemake.log").read_text()[-4000:]


def wait_for_slow_job(project: Project, run: subprocess.Popen) -> str:
    """The number of the Slurm job whose training is slow, once it trains."""
    deadline = time.monotonic() + PATIENCE_S
    marker = project.folder / "slow-job"
    while not marker.exists() or not marker.read_text():
        assert run.poll() is None and time.monotonic() < deadline, log_of(project)
        time.sleep(0.2)
    return marker.read_text().split()[0]


def slurm(environment: Mapping[str, str], *command: str) -> list[str]:
    """The lines that one of Slurm's commands prints, without its header."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
