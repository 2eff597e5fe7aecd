"""What a cluster must answer before a run starts, and the time that a job may ask for; its commands are stand-ins."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow_scripts.experiment import slurm
from workflow_scripts.experiment.rule_parameters import resources_of
from workflow_scripts.storage.errors import InputError

LIMITS = "cpu*|30:00\ngpu|1:00:00\nlong|2-12:00:00\nopen|infinite\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a cluster's commands on an otherwise empty PATH; ``accounts`` None: sacct is not installed."""

    def stand_in(min_job_age: int, accounts: bool | None = False) -> None:
        commands = {"scontrol": f"echo 'MinJobAge               = {min_job_age} sec'", "sinfo": f"printf '{LIMITS}'"}
        if accounts is not None:
            commands["sacct"] = "exit 0" if accounts else "exit 1"
        for name, script in commands.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    slurm._partition_limits.cache_clear()
    yield stand_in
    slurm._partition_limits.cache_clear()


@pytest.mark.parametrize(
    ("command", "min_job_age", "accounts"),
    [
        ("squeue", 300, False),
        ("squeue", 181, True),
        ("squeue", 60, True),  # the executor turns to sacct by itself
        ("squeue", 300, None),
        ("squeue", 0, None),  # 0: nothing is forgotten
        ("sacct", 60, True),
        ("sacct", 300, None),  # no sacct: the executor turns to squeue
    ],
)
def test_a_run_starts_where_a_finished_job_is_seen(site, command: str, min_job_age: int, accounts: bool | None) -> None:
    site(min_job_age, accounts)
    slurm.check_states_are_seen(command, first_pause_s=40)


@pytest.mark.parametrize(
    ("command", "min_job_age", "accounts", "message"),
    [
        ("squeue", 180, None, r"forgets a finished job after 180 s .* turn on accounting .* above 180 \(now 180\)"),
        ("squeue", 180, True, r"asks squeue, .* set slurm-status-command: sacct"),
        ("squeue", 60, False, r"keeps no accounts, .* asks sacct, .* turn on accounting .* above 180 \(now 60\)"),
        ("squeue", 0, False, r"keeps no accounts, .* asks sacct"),
        ("sacct", 300, False, r"keeps no accounts, .* set slurm-status-command: squeue"),
    ],
)
def test_a_run_that_would_wait_for_ever_is_refused(
    site, command: str, min_job_age: int, accounts: bool | None, message: str
) -> None:
    site(min_job_age, accounts)
    with pytest.raises(InputError, match=message):
        slurm.check_states_are_seen(command, first_pause_s=40)


def test_a_machine_without_slurm_is_refused_in_words(site) -> None:
    with pytest.raises(InputError, match="start Snakemake on a node that can submit jobs"):
        slurm.check_states_are_seen("squeue", first_pause_s=40)


@pytest.mark.parametrize(
    ("partitions", "minutes"),
    [(None, 30), ("cpu", 30), ("gpu", 60), ("long", 3600), ("gpu,long", 60), ("open", math.inf), ("gone", math.inf)],
)
def test_a_partitions_limit(site, partitions: str | None, minutes: float) -> None:
    site(300)
    assert slurm.partition_limit(partitions) == minutes


def workflow(executor: str | None, partition: str | None = "gpu", groups: tuple[str, ...] = ()) -> SimpleNamespace:
    """What of Snakemake's workflow is asked."""
    resources = {} if partition is None else {"slurm_partition": SimpleNamespace(raw=partition)}
    return SimpleNamespace(
        executor_plugin=executor and SimpleNamespace(name=executor),
        get_rule=lambda rule: SimpleNamespace(resources=resources),
        group_settings=SimpleNamespace(overwrite_groups=dict.fromkeys(groups, "student")),
    )


def test_run_time_doubles_with_each_attempt_up_to_the_partitions_limit(site) -> None:
    site(300)
    config = {"device": "auto", "resources": {"train": {"runtime": 25}}}

    def runtimes(of: SimpleNamespace) -> list[int]:
        resources = resources_of(
            config, "train", limit=lambda rule, wildcards: slurm.time_limit(of, rule, jobs_in_group=3)
        )
        return [resources["runtime"]({}, attempt, "train_student") for attempt in (1, 2, 3)]

    assert runtimes(workflow("slurm")) == [25, 50, 60]
    assert runtimes(workflow("slurm", partition=None)) == [25, 30, 30]
    assert runtimes(workflow("slurm", groups=("train_student",))) == [20, 20, 20]
    assert runtimes(workflow("local")) == runtimes(workflow(None)) == [25, 50, 100]


def test_only_slurm_is_asked() -> None:
    slurm.check_jobs_are_seen(workflow("local"))
