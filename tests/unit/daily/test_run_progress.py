"""The line of a run and its reports, by a clock that the test moves; times against hand-computed values."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow_scripts.daily import run_progress
from workflow_scripts.daily.job_times import JobTimes, duration

SETTINGS = SimpleNamespace(dryrun=False, verbose=False, debug_dag=False, printshellcmds=False)


class Run:
    """A handler, and Snakemake's events as it gets them."""

    def __init__(self, folder: Path, now: list[float]) -> None:
        self.handler, self.folder, self.now = run_progress.LogHandler(SETTINGS, None), folder, now

    def event(self, event: str | None, message: str = "", **about: object) -> None:
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, message, (), None)
        vars(record).update(about, event=event)
        self.handler.handle(record)

    def start(self, number: int, rule: str, wildcards: Mapping[str, str]) -> None:
        log = self.folder / "logs" / rule / f"{'.'.join(wildcards.values())}.log"
        self.event("job_info", jobid=number, rule_name=rule, wildcards=wildcards, log=[str(log)])

    def finish(self, number: int, done: int, total: int) -> None:
        self.event("job_finished", job_id=number)
        self.event("progress", done=done, total=total)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    now = [1_000_000.0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("experiment: mine")
    monkeypatch.setattr(run_progress.time, "time", lambda: now[0])
    run = Run(tmp_path / "results" / "mine", now)
    run.event("workflow_started", configfiles=[tmp_path / "mine.yaml"])
    yield run
    run.handler.close()


def log(folder: Path, name: str, *lines: str) -> str:
    path = folder / "logs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_time_left_is_by_this_run_then_by_earlier_logs(run: Run) -> None:
    log(run.folder, "train_student/a.log", "400 steps", "done in 30.0 s")
    log(run.folder, "train_student/b.log", "done in 50.0 s")
    log(run.folder, "train_student/c.log", "kept: c", "done in 0.1 s")
    log(run.folder, "mine_negatives/a.log", "done in 8.0 s")
    log(run.folder, "mine_negatives/b.log", "error: no")
    run.event("run_info", stats={"mine_negatives": 2, "train_student": 3, "all": 1, "total": 6})
    run.start(1, "mine_negatives", {"groups_id": "bm25"})
    run.start(2, "mine_negatives", {"groups_id": "random"})
    run.now[0] += 4
    # 2 x 8 + 3 x 40 + one that was never timed, at the rules' mean of 24, less 2 x 4 under way; two side by side.
    assert run.handler.seconds_left() == (16 + 120 + 24 - 8) / 2
    run.finish(1, 1, 6)
    run.now[0] += 4
    # One is done in 4 s, the other after 8: a job of this rule takes 4.
    assert run.handler.seconds_left() == (4 + 120 + 22 - 4) / (12 / 8)
    assert run.handler.line() == "1 of 6 jobs, 8 a minute, about 95 s to go: mine_negatives random (8 s)"
    # A job that has found what it would make says nothing of what others will take.
    for number, line in enumerate(("another process is writing x\nkept: x", "not reused: no\nreused: from x"), 3):
        log(run.folder, f"train_student/{number}.log", line, "done in 0.1 s")
        run.start(number, "train_student", {"ranker": str(number)})
        run.finish(number, number - 1, 6)
    assert run.handler.times.expected("train_student") == 40


def test_lines_are_ten_seconds_apart(run: Run, capsys: pytest.CaptureFixture) -> None:
    run.event("run_info", stats={"train_student": 3, "total": 3})
    for number in range(3):
        run.start(number, "train_student", {"ranker": "abc"[number]})
        run.now[0] += 6
        run.finish(number, number + 1, 3)
    run.handler.close()
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == [
        "0 of 3 jobs: train_student a (0 s)",
        "2 of 3 jobs, 10 a minute, about 6 s to go",
        "of 3 jobs done in 18 s",
    ]


def test_a_cluster_says_what_waits(run: Run) -> None:
    run.event("resources_info", nodes=50)
    run.event("run_info", stats={"train_student": 2, "total": 2})
    run.now[0] = 0.0
    for number, name in enumerate("ab"):
        run.start(number, "train_student", {"ranker": name})
    log(run.folder, "train_student/b.log", "400 steps", "800 of 6,400 documents, 80 a second, 70 s to go")
    run.now[0] = 10.0
    state = "1 running, 1 submitted: train_student b (10 s: 800 of 6,400 documents, 80 a second, 70 s to go)"
    assert run.handler.line() == f"0 of 2 jobs: {state}"


def test_a_group_that_fails_reports_the_jobs_that_failed(run: Run, capsys: pytest.CaptureFixture) -> None:
    run.event("run_info", stats={"train_student": 1, "rerank_candidates": 1, "total": 2})
    logs = [
        log(run.folder, "train_student/a.log", "done in 3.0 s"),
        log(run.folder, "rerank_candidates/a.log", "error: no memory"),
    ]
    common = {"rule_msg": "SLURM status is: 'FAILED'", "shellcmd": "python", "output": ["a/manifest.json (update)"]}
    infos = [
        {"jobid": number, "rule_name": Path(path).parent.name, "log": [path], **common}
        for number, path in enumerate([*logs, str(run.folder / "never-began.log")])
    ]
    run.start(2, "measure_runs", {"ranker": "never-began"})
    capsys.readouterr()
    run.event("group_error", job_error_info=infos, aux_logs=[log(run.folder, "slurm.log", "exit code 1")])
    for info in infos:
        run.event("job_error", **info, indent=True)
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "failed: rerank_candidates",
        "  reason: no memory",
        f"  log: {logs[1]}",
    ]
    assert run.handler.line() == "0 of 2 jobs"
    # Tried again, and well: nothing is reported at the end.
    run.finish(1, 2, 2)
    run.handler.close()
    assert "failed" not in capsys.readouterr().err


def test_the_command_of_a_rerun_keeps_how_and_where() -> None:
    given = shlex.split("--logger distillery --profile=p --cores 2 -k --configfile a.yaml -- results/a/report.html")
    command = run_progress.rerun_command(given, [Path("a.yaml").absolute()], "results/a b.csv")
    options = "-m snakemake --configfile a.yaml --logger distillery --profile=p --cores 2 -- 'results/a b.csv'"
    assert command.partition(" ")[2] == options


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("-j 4 -k x.csv", "-j 4"),
        ("--jobs=4 -c4 -k", "--jobs=4 -c4"),
        ("-j4 -n x.csv", "-j4"),
        ("-C experiment=mine 'seeds=[0, 1]' -c 2", "-C experiment=mine 'seeds=[0, 1]' -c 2"),
        ("--config seeds=[-1] -- x.csv", "--config 'seeds=[-1]'"),
        ("-s /p/Snakefile --workflow-profile w -kF", "-s /p/Snakefile --workflow-profile w"),
        ("--snakefile=S -dout --executor local", "--snakefile=S -dout --executor local"),
        ("--set-resources a:mem_mb=1 b:mem_mb=2 --forcerun a b", "--set-resources a:mem_mb=1 b:mem_mb=2"),
    ],
)
def test_the_command_of_a_rerun_keeps_every_form_of_an_option(given: str, kept: str) -> None:
    command = run_progress.rerun_command(shlex.split(given), [Path("a.yaml").absolute()], "t")
    assert command.partition(" -m snakemake --configfile a.yaml ")[2] == f"{kept} -- t"


@pytest.mark.parametrize(
    ("seconds", "words"), [(99, "99 s"), (720, "12 min"), (12_000, "3 h 20 min"), (190_000, "2 d 5 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_without_any_time_nothing_is_estimated() -> None:
    assert JobTimes().work({"train_student": 3}) is None
