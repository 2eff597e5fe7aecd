"""A warm start: the same command as a fork of a process that has loaded the libraries, or as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow_scripts.experiment import warm_command, warm_start

pytestmark = pytest.mark.slow

PROBE = """
import json, os, sys, time
if sys.argv[1] == "sleep":
    print(os.getpid(), flush=True)
    time.sleep(60)
about = {
    "module": __spec__.name, "main": sys.modules["__main__"].__spec__.name, "folder": os.getcwd(),
    "arguments": sys.argv[1:], "environment": os.environ["PROBE"], "umask": os.umask(0), "stdin": sys.stdin.read(),
}
print(json.dumps(about))
print("torch" in sys.modules, file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose one script tells what it was started as, with a warm process that has loaded the libraries."""
    folder = tmp_path_factory.mktemp("it's a project")
    (folder / "workflow_scripts").mkdir()
    (folder / "workflow_scripts" / "__init__.py").touch()
    (folder / "workflow_scripts" / "probe.py").write_text(PROBE)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1", "PROBE": "a b"}.items():
            patch.setenv(name, value)
        for name in warm_start.SETTINGS:
            patch.setenv(name, "1")
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        warm_start.start(jobs=warm_start.FEWEST_JOBS)
        folder_of_warm = Path(os.environ["PATH"].split(os.pathsep)[0])
        deadline = time.monotonic() + 120
        while not (folder_of_warm / "socket").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield folder
        process = warm_start._started.pop()
        process.communicate()
        assert not folder_of_warm.exists()
        # The command is the same where the warm process is gone.
        assert probe(folder, "0")[2] == "False"


def probe(folder: Path, *arguments: str, **environment: str) -> tuple[int, dict, str]:
    """Exit status, what the script tells, and whether it found the libraries loaded."""
    command = ["sh", "-c", 'python -m workflow_scripts.probe "$@"', "sh", *arguments]
    options = {"cwd": folder, "env": os.environ | environment, "input": "given", "umask": 0o027}
    done = subprocess.run(command, capture_output=True, text=True, **options)
    return done.returncode, json.loads(done.stdout), done.stderr.strip()


def test_a_job_is_started_as_its_command_says(project: Path) -> None:
    name = "workflow_scripts.probe"
    about = {"module": name, "main": name, "folder": str(project), "environment": "a b", "umask": 0o027}
    for arguments in (["0", "--spec", '{"a": "é b"}'], ["3"]):
        expected = about | {"arguments": arguments, "stdin": "given"}
        assert probe(project, *arguments) == (int(arguments[0]), expected, "True")
        # Of libraries that were loaded with other settings, another process.
        assert probe(project, *arguments, OMP_NUM_THREADS="2") == (int(arguments[0]), expected, "False")


def test_a_job_runs_the_code_that_is_there_when_it_starts(project: Path) -> None:
    script = project / "workflow_scripts" / "probe.py"
    script.write_text(PROBE.replace('"folder": os.getcwd()', '"folder": "edited"'))
    assert probe(project, "0")[1]["folder"] == "edited"
    script.write_text(PROBE)


@pytest.mark.parametrize(("to_job", "sent"), [(False, signal.SIGTERM), (True, signal.SIGKILL)])
def test_a_signal_ends_the_job_and_its_command(project: Path, to_job: bool, sent: signal.Signals) -> None:
    command = [shutil.which("python"), "-m", "workflow_scripts.probe", "sleep"]
    running = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)
    job = int(running.stdout.readline())
    assert job != running.pid
    os.kill(job if to_job else running.pid, sent)
    assert running.wait(10) == warm_command.KILLED
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # killed, it is there until the process that forked it asks for it
            os.kill(job, 0)
            time.sleep(0.1)


def test_what_ends_the_warm_process_while_it_loads_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "workflow_scripts").mkdir()
    loads = "import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(60)"
    (tmp_path / "workflow_scripts" / "__init__.py").write_text(loads)
    (tmp_path / "warm").mkdir()
    (tmp_path / "warm" / "python").touch()
    process = subprocess.Popen(
        [sys.executable, warm_start.__file__, "serve", str(tmp_path / "warm" / "socket")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (tmp_path / "loading").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)  # Ctrl-C reaches it too, and is not for it
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=50)[1] == b"" and process.returncode == 1
    assert not (tmp_path / "warm").exists()


def test_few_jobs_start_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process is started"))
    warm_start.start(jobs=warm_start.FEWEST_JOBS - 1)
