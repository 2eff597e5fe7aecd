"""A killed Snakemake whose job lives on: the same command waits for the orphan and keeps what it made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from project import Project

TARGET = "results/tiny/corpora/demo/manifest.json"


def test_the_same_command_goes_on_after_a_kill(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    script = project.folder / "workflow_scripts/collect/prepare_corpus.py"
    wait = "    import time\n\n    time.sleep(12)\n"
    head, end = script.read_text().split('    """\n', 1)
    script.write_text(f'{head}    """\n{wait}{end}')
    command = [sys.executable, "-m", "snakemake", "--configfile", "tests/config/tiny.yaml", "--cores", "2", TARGET]
    killed = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = (project.folder / TARGET).with_name(".started")
    deadline = time.monotonic() + 60
    while not started.exists():
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    orphan = int(started.read_text().split()[1])
    os.kill(orphan, 0)  # it lives on
    # Beside a Snakemake that runs its locks are left alone: a second one started now is refused by Snakemake itself.
    running = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log = project.folder / "results/tiny/logs/prepare_corpus/demo.log"
    while not log.exists() or "waiting for it" not in log.read_text():
        assert time.monotonic() < deadline and running.poll() is None, running.communicate()
        time.sleep(0.05)
    assert "cannot be locked" in project.refused(TARGET)
    output = running.communicate(timeout=60)[0]
    assert running.returncode == 0, output
    assert "an earlier Snakemake was killed here: its locks are taken away" in output
    assert f"another process (process {orphan} on " in output
    waiting, kept, done = log.read_text().splitlines()
    assert f"process {orphan} on" in waiting and kept.startswith("kept: ") and done.startswith("done in ")
    assert project.planned(TARGET) == {}
