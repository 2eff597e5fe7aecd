"""Two processes never write one artifact: a job waits for another one and keeps what it made, a stale lock is taken."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from factories import artifact

from workflow_scripts.storage import locks
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

JOB = """
import fcntl, os, sys, time
from collections.abc import Mapping
from pathlib import Path
from workflow_scripts.storage import locks
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import run

def refused(*arguments):
    raise OSError(95, "Operation not supported")

locks.POLL_S = 0.05
if os.environ["LOCKS"] == "none":
    fcntl.flock = refused

def job(spec: Mapping, output: Path) -> None:
    with ArtifactWriter(output, kind="test", spec=spec) as writer:
        Path(os.environ["TRACE"]).open("a").write("made\\n")
        time.sleep(spec["seconds"])
        writer.path("file").write_text(str(os.getpid()))

run(job)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script without a module of the project: its digest is replaced, all else is as in a job."""
    path = tmp_path / "job.py"
    path.write_text(
        JOB.replace(
            "run(job)",
            "from workflow_scripts.storage import provenance\n"
            "provenance.job_digest = lambda *arguments: 'code'\nrun(job)",
        )
    )
    return path


def start(script: Path, kind: str, seconds: float) -> subprocess.Popen:
    folder = script.parent
    options = ["--spec", json.dumps({"seconds": seconds}), "--output", str(folder / "x/manifest.json")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LOCKS": kind, "TRACE": str(folder / "trace")}
    return subprocess.Popen([sys.executable, str(script), *options], env=environment, stderr=subprocess.PIPE, text=True)


def until(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["kernel", "none"])
def test_a_job_waits_for_the_orphan_and_keeps_what_it_made(script: Path, kind: str) -> None:
    orphan = start(script, kind, 2)
    until(script.parent / "trace")
    again = start(script, kind, 2)
    said = again.communicate(timeout=30)[1].splitlines()
    assert orphan.wait(timeout=30) == again.returncode == 0
    assert said[0].startswith(f"another process (process {orphan.pid} on ") and said[0].endswith(": waiting for it")
    assert len(said) == 2 and said[1].startswith("kept: ")
    assert (script.parent / "trace").read_text() == "made\n"
    assert Artifact(script.parent / "x/manifest.json").file("file").read_text() == str(orphan.pid)
    assert {path.name for path in (script.parent / "x").iterdir()} == {"manifest.json", "file", ".checked"}


@pytest.mark.parametrize("kind", ["kernel", "none"])
def test_a_job_takes_over_from_an_orphan_that_dies(script: Path, kind: str) -> None:
    orphan = start(script, kind, 60)
    until(script.parent / "trace")
    waiting = [start(script, kind, 0.2) for _ in range(3)]
    time.sleep(1.5)
    orphan.kill()
    outputs = [job.communicate(timeout=30)[1] for job in waiting]
    assert [job.returncode for job in waiting] == [0, 0, 0] and sum("kept: " in said for said in outputs) == 2
    # The orphan's, and that of one of the three.
    assert (script.parent / "trace").read_text() == "made\n" * 2
    assert not list((script.parent / "x").glob(f"{locks.LOCK}*"))


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refused)


@pytest.mark.parametrize("kind", ["kernel", "none"])
def test_two_writers_never_meet(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    if kind == "none":
        request.getfixturevalue("no_locks")
    manifest = tmp_path / "x" / "manifest.json"
    said = "another process" if kind == "kernel" else rf"another process \(process {os.getpid()} on .*\)"
    with ArtifactWriter(manifest, kind="test", spec={}) as writer:
        writer.path("file").write_text("first")
        with pytest.raises(InputError, match=f"{said} is writing"):
            artifact(manifest, {"file": "second"})
    assert Artifact(manifest).file("file").read_text() == "first"
    artifact(manifest, {"file": "second"})
    assert Artifact(manifest).file("file").read_text() == "second"
    assert kind == "kernel" or not list(manifest.parent.glob(f"{locks.LOCK}*"))


@pytest.mark.parametrize(
    ("holder", "age", "stale"),
    [
        ({}, 0, False),
        ({"start": "1"}, 0, True),  # another process under a number that was free again
        ({"boot": "before"}, 0, True),
        ({"pid": 2**22 + 1, "start": "1"}, 0, True),
        ({"host": "elsewhere"}, 0, False),
        ({"host": "elsewhere"}, locks.SILENCE_S / 2, False),
        ({"host": "elsewhere"}, 2 * locks.SILENCE_S, True),
        (None, 0, False),  # being written
    ],
)
def test_a_stale_lock_is_known(tmp_path: Path, no_locks: None, holder: dict | None, age: float, stale: bool) -> None:
    lock = tmp_path / "x" / locks.LOCK
    lock.parent.mkdir()
    about = {**locks._this_process(), "token": "t"}
    lock.write_text("" if holder is None else json.dumps(about | holder))
    os.utime(lock, (time.time() - age, time.time() - age))
    if stale:
        artifact(tmp_path / "x" / "manifest.json", {})
    else:
        with pytest.raises(InputError, match="is writing"):
            artifact(tmp_path / "x" / "manifest.json", {})
    assert lock.exists() == (not stale) and not list(lock.parent.glob("*.new"))
