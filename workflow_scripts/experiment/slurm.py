"""What a Slurm cluster is asked before jobs are sent: whether a finished job is seen, and how long a job may take."""

from __future__ import annotations

import functools
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from workflow_scripts.storage.errors import InputError

LONGEST_PAUSE_S = 180
"""Snakemake's Slurm executor asks for the states of its jobs after pauses that grow to this."""
EXECUTOR = "slurm"


def check_jobs_are_seen(workflow: Any) -> None:
    """Raise :class:`InputError` where Snakemake would wait for a finished job for ever; nothing on other executors."""
    if workflow.executor_plugin.name == EXECUTOR:
        settings = workflow.executor_settings
        check_states_are_seen(settings.status_command, settings.init_seconds_before_status_checks)


def check_states_are_seen(status_command: str | None, first_pause_s: int) -> None:
    """Raise :class:`InputError` where a job's end can be missed: the executor takes a job that it misses for queued.

    ``squeue`` shows a finished job for MinJobAge seconds, ``sacct`` for good, but only where the cluster keeps
    accounts. The executor (2.8.0) turns from ``squeue`` to ``sacct`` where MinJobAge is below three first pauses.
    """
    age = _seconds_remembered()
    if age is None:
        raise InputError("Slurm does not answer (scontrol show config): start Snakemake on a node that can submit jobs")
    accounts = _output(["sacct", "--allocations", "--noheader"]) is not None
    longest_pause = max(LONGEST_PAUSE_S, 3 * first_pause_s)
    if shutil.which("sacct") and (status_command == "sacct" or age < 3 * first_pause_s):
        asked, seen = "sacct", accounts
    else:
        asked, seen = "squeue", age > longest_pause or age == 0  # 0: nothing is forgotten
    if seen:
        return
    reason = "keeps no accounts" if asked == "sacct" else f"forgets a finished job after {age} s (MinJobAge)"
    if accounts:
        fix = "set slurm-status-command: sacct in the profile"
    elif age > longest_pause:
        fix = "set slurm-status-command: squeue in the profile"
    else:
        fix = f"its administrators must turn on accounting (sacct) or set MinJobAge above {longest_pause} (now {age})"
    raise InputError(f"this cluster {reason}, so Snakemake, which asks {asked}, would wait for it for ever: {fix}")


def time_limit(workflow: Any, rule: str, jobs_in_group: int) -> float:
    """Minutes that a job of ``rule`` may ask for: its Slurm partition's limit; infinite on other executors.

    A job that asks for more is refused, or waits in the queue for ever. Jobs of one group, of which a chain has
    ``jobs_in_group``, ask for the sum of their times and share the limit.
    """
    if workflow.executor_plugin is None or workflow.executor_plugin.name != EXECUTOR:
        return math.inf
    partition = workflow.get_rule(rule).resources.get("slurm_partition")
    limit = partition_limit(None if partition is None else str(partition.raw).strip("'\""))
    return max(limit // jobs_in_group, 1) if rule in workflow.group_settings.overwrite_groups else limit


def partition_limit(partitions: str | None) -> float:
    """The least time limit, in minutes, of some partitions (``cpu,long``); of Slurm's default one where None."""
    limits = _partition_limits()
    names = partitions.split(",") if partitions else [name for name in limits if name.endswith("*")]
    return min((limits.get(name, limits.get(f"{name}*", math.inf)) for name in names), default=math.inf)


@functools.cache
def _partition_limits() -> dict[str, float]:
    """Minutes by partition, the default one's name with a star."""
    lines = (_output(["sinfo", "--noheader", "--format=%P|%l"]) or "").splitlines()
    return {name: _minutes(limit) for name, _, limit in (line.partition("|") for line in lines)}


def _minutes(limit: str) -> float:
    """Minutes of a limit as sinfo prints it: ``[days-][hours:]minutes:seconds`` or a word for none."""
    if not re.fullmatch(r"(\d+-)?(\d+:){1,2}\d+", limit):
        return math.inf
    days, _, time = limit.rpartition("-")
    parts = [0, *map(int, time.split(":"))][-3:]
    return int(days or 0) * 1440 + parts[0] * 60 + parts[1] + parts[2] / 60


def _seconds_remembered() -> int | None:
    """MinJobAge: seconds for which Slurm shows a finished job; None where it does not answer."""
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", _output(["scontrol", "show", "config"]) or "", re.MULTILINE)
    return None if found is None else int(found[1])


def _output(command: Sequence[str]) -> str | None:
    """Standard output of a command; None where it is not there, fails or does not end in a minute."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
