"""A real Slurm cluster of three small nodes on this machine, for tests: needs root and Debian's Slurm packages.

Nodes n1 and n2 make the partition ``cpu``, g1 with two stand-in GPUs the partition ``gpu``. Everything lies in one
folder and listens on free ports of 127.0.0.1; nothing outside the folder is written. No accounting, no systemd.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("n1", "n2", "g1")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge/socket
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
MinJobAge=3600
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000
NodeName=g1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]} CPUs=4 RealMemory=16000 Gres=gpu:2
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=30 State=UP
PartitionName=gpu Nodes=g1 MaxTime={gpu_minutes} State=UP
"""
# Slurm takes any character device for a GPU.
GPUS = "NodeName=g1 Name=gpu File=/dev/null\nNodeName=g1 Name=gpu File=/dev/zero\n"


def lacking() -> str | None:
    """Why no cluster can be started here; None where it can."""
    if os.geteuid() != 0:
        return "a Slurm cluster is started as root"
    missing = [name for name in DAEMONS if not shutil.which(name)]
    return f"{', '.join(missing)} not installed: make test-slurm installs them" if missing else None


@contextlib.contextmanager
def cluster(root: Path, *, gpu_minutes: int) -> Iterator[dict[str, str]]:
    """The environment in which ``sbatch``, ``squeue`` and Snakemake find a running cluster, which ends with the block.

    ``gpu_minutes``: time limit of partition ``gpu``.
    """
    environment = _configure(root, gpu_minutes)
    try:
        try:
            _start(root, environment)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            # A container may forbid what its daemons need.
            pytest.skip(f"no Slurm cluster starts on this machine: {error}")
        yield environment
    finally:
        subprocess.run(["scancel", "--full", "--user", "root"], env=environment, capture_output=True)
        _stop(root)


def _configure(root: Path, gpu_minutes: int) -> dict[str, str]:
    for name in ("munge", "state", "run", "log", "bin", *(f"spool/{node}" for node in NODES)):
        (root / name).mkdir(parents=True, mode=0o755)
    key = root / "munge/munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    host = socket.gethostname().split(".")[0]
    configuration = root / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(root=root, host=host, ports=_free_ports(4), gpu_minutes=gpu_minutes))
    (root / "gres.conf").write_text(GPUS)
    # A job step's environment loses SLURM_CONF before it calls srun.
    srun = root / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    path = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "SLURM_CONF": str(configuration), "PATH": path, "OMP_NUM_THREADS": "1"}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _start(root: Path, environment: Mapping[str, str]) -> None:
    munge = root / "munge"
    files = [
        f"--{name}={munge / file}"
        for name, file in (
            ("key-file", "munge.key"),
            ("socket", "socket"),
            ("pid-file", "munged.pid"),
            ("log-file", "munged.log"),
            ("seed-file", "seed"),
        )
    ]
    # --force: a temporary folder's parents may be written by others.
    subprocess.run(["munged", "--force", *files], check=True)
    _wait_for(["munge", "-n", "-S", str(munge / "socket")], "", environment)
    subprocess.run(["slurmctld"], check=True, env=environment)
    _wait_for(["scontrol", "ping"], "UP", environment)
    for node in NODES:
        subprocess.run(["slurmd", "-N", node], check=True, env=environment)
    _wait_for(["sinfo", "--noheader", "--Node", "--format=%T"], "idle\n" * len(NODES), environment)


def _wait_for(command: list[str], expected: str, environment: Mapping[str, str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode == 0 and expected in done.stdout:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready: {' '.join(command)}\n{done.stdout}{done.stderr}")
        time.sleep(0.1)


def _stop(root: Path) -> None:
    files = [*sorted((root / "run").glob("slurmd.*.pid")), root / "run/slurmctld.pid", root / "munge/munged.pid"]
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            process = int(file.read_text())
            os.kill(process, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                os.kill(process, 0)
                time.sleep(0.1)
