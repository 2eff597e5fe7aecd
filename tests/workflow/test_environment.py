"""Where a user works: any locale, any folder, files named like modules, a clock that was set back."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from project import ROOT, Project
from snakemake.cli import get_argument_parser
from snakemake.scheduling.job_scheduler import JobRateLimiter
from snakemake.settings.types import MaxJobsPerTimespan

from workflow_scripts.experiment.environment import bring_to_now, start_jobs_as_they_come, take_over_locks

OWN = "corpora:\n  own: {source: files, documents: \u00e9t\u00e9.tsv}\n"


@pytest.mark.parametrize("inside", [True, False], ids=["in the project", "elsewhere"])
def test_an_index_is_built_in_any_locale_beside_files_named_like_modules(tmp_path: Path, inside: bool) -> None:
    project = Project.fresh(tmp_path / "jos\u00e9" / "it's")
    folder = project.folder if inside else tmp_path / "\u00e9lan"
    folder.mkdir(exist_ok=True)
    project.edit("tests/config/tiny.yaml", "corpora:\n", OWN)
    (folder / "\u00e9t\u00e9.tsv").write_text("d1\tone wing\nd2\ttwo wings\n", encoding="utf-8")
    for name in ("random", "torch", "numpy", "json", "yaml"):
        (folder / f"{name}.py").write_text("raise SystemExit('shadowed')")
    future = time.time() + 1e6
    os.utime(folder / "\u00e9t\u00e9.tsv", (future, future))
    command = [Path(sys.executable).with_name("snakemake"), "--snakefile", project.folder / "Snakefile"]
    command += ["--configfile", project.folder / "tests/config/tiny.yaml", "--cores", "2"]
    environment = {name: value for name, value in os.environ.items() if name not in ("LANG", "LC_CTYPE", "PYTHONPATH")}
    environment |= {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [*command, "results/tiny/index/own/manifest.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was from the future" in done.stderr


def test_only_a_file_from_the_future_gets_the_present_time(tmp_path: Path) -> None:
    now = time.time()
    for name, when in (("past", now - 100), ("future", now + 100)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))
        bring_to_now(str(tmp_path / name))
    assert (tmp_path / "past").stat().st_mtime == pytest.approx(now - 100)
    assert (tmp_path / "future").stat().st_mtime == pytest.approx(now, abs=50)
    bring_to_now(str(tmp_path / "absent"))


def test_who_starts_while_another_takes_over_locks_has_its_share(tmp_path: Path) -> None:
    first, third = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    fcntl.flock(first, fcntl.LOCK_EX)
    second = threading.Thread(target=take_over_locks, args=[tmp_path])
    second.start()
    second.join(0.5)
    os.close(first)
    second.join(10)
    # A third would take the second's locks away.
    with pytest.raises(BlockingIOError):
        fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_braces_in_the_projects_path_are_refused_in_words(tmp_path: Path) -> None:
    output = Project.fresh(tmp_path / "a{b}").refused("--dry-run")
    assert "move the project to a path without braces" in output and "Traceback" not in output


def test_a_project_whose_path_is_not_utf_8_is_refused_before_a_job_starts(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path / os.fsdecode(b"\xe9t\xe9"))
    output = project.refused("results/tiny/corpora/demo/manifest.json")
    *_, last = output.splitlines()
    assert last.startswith("error: Java cannot work in ") and r"\udce9t\udce9': move the project" in last
    assert "Traceback" not in output
    assert not (project.folder / "results").exists()


def test_snakemakes_own_limit_of_jobs_a_second_is_taken_away_and_a_users_stays() -> None:
    own = get_argument_parser().get_default("max_jobs_per_timespan")
    for said, stays in {own: False, "99/1s": True, "100/1m": True}.items():
        limiter = JobRateLimiter(MaxJobsPerTimespan.parse_choice(said))
        workflow = SimpleNamespace(scheduler=SimpleNamespace(job_rate_limiter=limiter))
        start_jobs_as_they_come(workflow)
        assert (workflow.scheduler.job_rate_limiter is limiter) is stays, said
    assert "    start_jobs_as_they_come(workflow)\n" in (ROOT / "Snakefile").read_text().split("onstart:")[1]
