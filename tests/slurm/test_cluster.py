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
CONFIG = "tests/config/tiny.yaml"
# Two students, since every job costs a cluster seconds, in the evaluation sets that the profile names.
EDITS = {
    "{all: [demo, demo-hard]}": "{in-domain: [demo], out-of-domain: [demo-hard]}",
    "lce: {function: lce}": "lce: {function: lce, in_grid: false}",
    "  be: {architecture: bi-encoder, backbone: mini, learning_rate: 0.002}\n": "",
    "documents: 256\n  batch_groups": "documents: 2048\n  batch_groups",
}
LOSS = "    student_margin ="
# The first process that computes the loss under Slurm takes five seconds for each of 32 steps, and notes its job.
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
TARGETS = [f"results/tiny/tables/{name}.csv" for name in ("main", "equivalence")]
ON_SLURM = ["--profile", "config/profiles/slurm"]
# Short jobs: their states are asked for every few seconds.
QUICK = ["--slurm-init-seconds-before-status-checks", "1"]
GPU_MINUTES = 50
PATIENCE_S = 1200


def test_a_cluster_makes_the_bytes_of_a_local_run(tmp_path: Path) -> None:
    local, project = (Project.fresh(tmp_path / name) for name in ("local", "slurm"))
    for each in (local, project):
        each.edit("workflow_scripts/train/losses/marginmse.py", LOSS, SLOW_LOSS + LOSS)
        for old, new in EDITS.items():
            each.edit(CONFIG, old, new)
    assert snakemake(local, "--cores", "2").wait(PATIENCE_S) == 0, log_of(local)
    planned = local.planned(*TARGETS, "--forceall")
    with cluster(tmp_path / "cluster", gpu_minutes=GPU_MINUTES) as environment:
        with snakemake(project, *ON_SLURM, *QUICK, environment=environment) as run:
            try:
                job = wait_for_slow_job(project, run)
                slurm(environment, "scontrol", "update", f"JobId={job}", "TimeLimit=1")
                assert run.wait(PATIENCE_S) == 0, log_of(project)
            finally:
                run.kill()
        columns = "JobID:10,State:15,Partition:10,TimeLimit:10,tres-per-job:20"
        jobs = [line.split() for line in slurm(environment, "squeue", "--states=all", f"--Format={columns}")]
    states = {number: state for number, state, *_ in jobs}
    assert states.pop(job) == "TIMEOUT" and set(states.values()) == {"COMPLETED"}
    asked = {(minutes, gpus) for _, _, partition, minutes, gpus in jobs if partition == "gpu"}
    # All want an hour: alone they get the partition's 50 minutes, in a chain of five 10, and two measure at once.
    assert asked == {("50:00", "gres:gpu:1"), ("40:00", "gres:gpu:1"), ("1:00", "gres:gpu:1")}, asked
    results = [each.folder / "results/tiny" for each in (local, project)]
    assert "resumed after step" in "".join(path.read_text() for path in results[1].glob("logs/train_student/**/*.log*"))
    for pattern in ("tables/[!.]*", "metrics.parquet", "students/**/model.safetensors"):
        names = {path.relative_to(results[0]) for path in results[0].glob(pattern)}
        assert names and [name for name in names if len({(each / name).read_bytes() for each in results}) > 1] == []
    # A student's chain, five jobs here, is one of the cluster's; one was tried twice.
    assert len(jobs) == sum(planned.values()) - 4 * planned["train_student"] + 1


def snakemake(project: Project, *options: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Snakemake started in a project, writing to ``snakemake.log`` there."""
    command = [sys.executable, "-m", "snakemake", *TARGETS, "--configfile", CONFIG, *options]
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
