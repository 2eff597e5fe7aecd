"""Arithmetic that a process was started with: its limits, its manifest, its refusals."""

import json
import subprocess
import sys

import pytest
from project import ROOT

from workflow_scripts.storage import command, processor
from workflow_scripts.storage.errors import InputError

ASK = (
    "import json, os, workflow_scripts\n"
    "from workflow_scripts.storage import processor\n"
    "print(json.dumps([processor.description(), {name: os.environ.get(name) for name in processor.LIMITS}]))"
)


def started(*arguments: str, before: str = "") -> tuple[dict, dict]:
    command = [sys.executable, "-c", before + ASK, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env={"OMP_NUM_THREADS": "2"})
    return tuple(json.loads(done.stdout))


def test_a_process_is_limited_only_where_it_is_asked_to_be() -> None:
    for arguments in (
        (),
        ("--arithmetic", "fast"),
        ("--arithmetic",),
        ("--arithmetic", "portable", "--arithmetic", "fast"),
    ):
        about, limits = started(*arguments)
        assert about == {"setting": "fast"} and {limits.pop("OMP_NUM_THREADS"), *limits.values()} == {"2", None}


def test_a_typed_command_has_the_threads_that_it_names_where_the_environment_names_none() -> None:
    _, limits = started("--threads", "3")
    assert (limits["OMP_NUM_THREADS"], limits["OPENBLAS_NUM_THREADS"]) == ("2", "3")


@pytest.mark.skipif(processor._fault() is not None, reason="this processor cannot compute portably")
def test_portable_arithmetic_has_every_limit() -> None:
    about, limits = started("--spec", "{}", "--arithmetic", "portable")
    assert about == {"setting": "portable"} and limits == processor.LIMITS


def test_another_processor_keeps_its_own_way_and_says_why() -> None:
    before = "import platform; platform.machine = lambda: 'aarch64'\n"
    about, limits = started("--arithmetic", "portable", before=before)
    assert about["not_portable"] == "the processor is aarch64, not x86-64" and limits["OPENBLAS_CORETYPE"] is None


def test_a_spec_of_another_arithmetic_is_refused(tmp_path) -> None:
    from workflow_scripts.evaluate.collect_metrics import collect_metrics

    with pytest.raises(InputError, match="says arithmetic portable: give --arithmetic portable on the command line"):
        command.call(
            collect_metrics, ["--spec", '{"arithmetic": "portable"}', "--output", str(tmp_path / "metrics.parquet")]
        )
