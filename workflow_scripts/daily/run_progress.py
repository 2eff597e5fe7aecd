"""What a run says of itself: the Snakemake logger plugin ``--logger distillery``.

One line says how many jobs are done, how fast, how long the rest takes by measured times, and what runs; on a terminal
it is rewritten each second, elsewhere printed now and then. A failed job is reported at once, and at the end with its
rule, reason, the last lines of its log and the command that runs it again. Snakemake's own lines are in
``.snakemake/log``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase

from workflow_scripts.daily.job_times import JobTimes, duration, was_kept
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.logs import DONE
from workflow_scripts.storage.rerun import snakemake_command

LINE_EVERY_S, QUIET_AFTER_S = 10, 300
"""Where there is no terminal: least seconds between two lines, and most while nothing ends."""
SHOWN_JOBS, LOG_LINES, LOG_BYTES = 3, 8, 10_000
NOISE = re.compile(
    "Building DAG|Using shell|Conda env|Singularity|Group jobs|Select jobs|Execute |Complete log|Elapsed time|"
    "Will exit after|Exiting because|Shutting down|Removing output|Cannot restore|Assuming unrestricted|host:|"
    "Job .* submitted with|Submitted array job|Cleaning up|WorkflowError:\nAt least one job did not"
)
"""What Snakemake says of its own work."""
ONE = ("--profile", "--workflow-profile", "--cores", "-c", "--jobs", "-j", "--directory", "-d", "--snakefile", "-s")
MANY = ("--config", "-C", "--resources", "--set-resources", "--set-threads", "--default-resources")
PASSED_ON = dict.fromkeys([*ONE, "--executor", "-e", "--logger"], 1) | dict.fromkeys(MANY, 99)
"""Options of the command at hand that a job's own has too, and their most values."""


@dataclass(frozen=True)
class Running:
    """A job that was started: its rule, name and log, and when."""

    rule: str
    name: str
    log: Path | None
    start: float
    """By the clock of files: a log that is younger was written by this attempt."""


class LogHandler(LogHandlerBase):
    """Prints the progress of a run on stderr; a dry run, and who asks for details, gets Snakemake's own lines."""

    def __post_init__(self) -> None:
        self.times, self.began = JobTimes(), time.time()
        self.left: Counter[str] = Counter()
        self.running: dict[int, Running] = {}
        self.names: dict[int, str] = {}
        self.failed: dict[int, str] = {}
        self.done = self.total = 0
        self.configfiles: Sequence[Path] = ()
        self.remote = self.stopping = self._closed = False
        self._errors: list[str] = []
        self._worked = self._printed = 0.0
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._end = threading.Event()

    @property
    def details(self) -> bool:
        """Whether Snakemake's own lines are asked for."""
        settings = self.common_settings
        return settings.dryrun or settings.verbose or settings.debug_dag or settings.printshellcmds

    writes_to_stream, writes_to_file, needs_rulegraph = True, False, False

    @property
    def has_filter(self) -> bool:
        return not self.details

    @property
    def has_formatter(self) -> bool:
        return not self.details

    def emit(self, record: LogRecord) -> None:
        """Take one of Snakemake's events."""
        event = getattr(record, "event", None)
        if self.details:
            self._say(self.format(record))
        elif handler := getattr(self, f"_on_{event}", None):
            handler(record)
        elif event is None:
            self._on_message(record)

    def _on_workflow_started(self, record: Any) -> None:
        self.configfiles = record.configfiles

    def _on_resources_info(self, record: Any) -> None:
        self.remote = self.remote or hasattr(record, "nodes")

    def _on_run_info(self, record: Any) -> None:
        self.left.update({rule: count for rule, count in record.stats.items() if rule != "total"})
        self.total = sum(self.left.values())
        with contextlib.suppress(InputError, KeyError):
            experiment = read_config(*self.configfiles)["experiment"]
            self.times.read_logs(Path("results", experiment, "logs"))
        self.began = time.time()
        threading.Thread(target=self._tick, daemon=True).start()

    def _on_job_info(self, record: Any) -> None:
        log = Path(record.log[0]) if record.log else None
        name = " ".join([record.rule_name, *map(str, record.wildcards.values())])
        self.names[record.jobid] = name
        self.running[record.jobid] = Running(record.rule_name, name, log, time.time())
        self._show()

    def _on_job_finished(self, record: Any) -> None:
        self.failed.pop(record.job_id, None)
        if job := self.running.pop(record.job_id, None):
            seconds = time.time() - job.start
            self._worked += seconds
            self.left[job.rule] -= 1
            if not (job.log and was_kept(job.log)):
                self.times.add(job.rule, seconds)

    def _on_progress(self, record: Any) -> None:
        self.done, self.total = record.done, record.total
        self._show()

    def _on_job_error(self, record: Any) -> None:
        # The jobs of a group, each with an error of its own whether it failed or not, are _on_group_error's.
        if not record.indent:
            self._fail(vars(record))

    def _on_group_error(self, record: Any) -> None:
        begun = [info for info in record.job_error_info if any(map(_ended_badly, info["log"]))]
        for info in begun or record.job_error_info[:1]:
            self._fail({**info, "log": [*info["log"], *record.aux_logs]})
        for info in record.job_error_info:
            self.running.pop(info["jobid"], None)

    def _fail(self, info: Mapping[str, Any]) -> None:
        """Report a job that failed, not one that ends because the user stops the run."""
        if self.stopping:
            return
        job = self.running.pop(info["jobid"], None)
        after = f", after {duration(time.time() - job.start)}" if job else ""
        how = next((error for error in self._errors if info["shellcmd"] and info["shellcmd"] in error), "")
        logs = [(path, lines) for path in info["log"] if (lines := _last_lines(path))]
        # A cluster's own log matters where the script's does not say why it ended.
        logs = [each for each in logs if _last_words(each[1])][:1] or logs
        reason = (logs and _last_words(logs[0][1])) or info["rule_msg"] or _ending(how)
        report = [f"failed: {self.names.get(info['jobid'], info['rule_name'])}{after}", f"  reason: {reason}"]
        for path, lines in logs:
            report += [f"  {path} ends:", *(f"    {line}" for line in lines)]
        if info["output"]:
            report.append(f"  again: {rerun_command(sys.argv[1:], self.configfiles, info['output'][0].split(' (')[0])}")
        self.failed[info["jobid"]] = "\n".join(report)
        self._say("\n".join([*report[:2], *(f"  log: {path}" for path, _ in logs)]))

    def _on_error(self, record: Any) -> None:
        text = record.getMessage()
        if "CalledProcessError" in text:  # its job's report follows
            self._errors.append(text)
        elif not NOISE.match(text):
            self._say(f"error: {_in_short(text)}")

    def _on_message(self, record: LogRecord) -> None:
        text = record.getMessage()
        self.stopping = self.stopping or "on user request" in text
        if again := re.fullmatch(r"Trying to restart job (\d+)\.", text):
            self._say(f"tried again: {self.names.get(int(again[1]), again[1])}")
        elif text not in ("", "None") and not NOISE.match(text):
            self._say(text)

    def _tick(self) -> None:
        """Show the line as time passes."""
        while not self._end.wait(1 if self._terminal else LINE_EVERY_S):
            with self.lock:  # type: ignore[union-attr]
                if self._terminal or time.time() - self._printed > QUIET_AFTER_S:
                    self._show()

    def _show(self) -> None:
        """Print the line, unless there was one just now and nothing rewrites it."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{self.line()[:width]}\r")
            sys.stderr.flush()
        elif time.time() - self._printed >= LINE_EVERY_S:
            self._printed = time.time()
            print(time.strftime("%H:%M:%S"), self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """How far, how fast, how long still, and what runs."""
        spent = max(time.time() - self.began, 1e-9)
        parts = [f"{self.done:,} of {self.total:,} jobs"]
        if self.done:
            each = spent / self.done
            parts.append(f"{60 / each:,.0f} a minute" if each < 60 else f"{3600 / each:,.1f} an hour")
        if (left := self.seconds_left()) is not None:
            parts.append(f"about {duration(left)} to go")
        return f"{', '.join(parts)}: {self._jobs()}" if self.running else ", ".join(parts)

    def seconds_left(self) -> float | None:
        """Work that is left, by the times of jobs of the same rule, over the jobs that have run side by side."""
        now = time.time()
        ages = {job: now - job.start for job in self.running.values()}
        work = self.times.work(self.left)
        if work is None:
            return None
        spent = max(now - self.began, 1e-9)
        side_by_side = max((self._worked + sum(ages.values())) / spent, 1.0)
        under_way = sum(min(age, self.times.expected(job.rule) or 0) for job, age in ages.items())
        return max(work - under_way, 0.0) / side_by_side

    def _jobs(self) -> str:
        """What runs, the longest first; on a cluster also how many jobs run and how many wait."""
        jobs = sorted(self.running.values(), key=lambda job: job.start)
        begun = [job for job in jobs if not self.remote or _is_younger(job.log, job.start)]
        shown = [f"{job.name} ({_so_far(job)})" for job in (begun or jobs)[:SHOWN_JOBS]]
        more = len(begun or jobs) - len(shown)
        state = f"{len(begun)} running, {len(jobs) - len(begun)} submitted: " if self.remote else ""
        return state + ", ".join(shown) + (f" and {more} more" if more else "")

    def _say(self, text: str) -> None:
        clear = "\r\x1b[K" if self._terminal else ""
        print(f"{clear}{text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Report again what failed, and how far the run came."""
        if not self._closed and self.total and not self.details:
            for report in self.failed.values():
                self._say(f"\n{report}")
            failures = f"; {len(self.failed)} failed" if self.failed else ""
            self._say(f"{self.done:,} of {self.total:,} jobs done in {duration(time.time() - self.began)}{failures}")
        self._closed = True
        self._end.set()
        super().close()


def rerun_command(arguments: Sequence[str], configfiles: Sequence[Path], target: str) -> str:
    """The command that makes ``target`` alone, with the options of the one at hand that decide how and where."""
    kept, left = [], 0
    for word in arguments:
        if word == "--":
            break
        option, given, _ = word.partition("=")
        if re.match("-[a-zA-Z].", word):  # its value is joined to it: -c4
            option, given = word[:2], word[2:]
        if re.match("--?[a-zA-Z]", word):
            left = PASSED_ON.get(option, 0)
            kept += [word] if left else []
            left = 0 if given else left
        elif left:
            kept.append(word)
            left -= 1
    python = os.path.relpath(sys.executable) if sys.executable.startswith(os.getcwd()) else sys.executable
    return snakemake_command(map(os.path.relpath, configfiles), *kept, "--", target, python=python)


def _so_far(job: Running) -> str:
    """How long a job has run, and what it said last of how far it is."""
    lines = _last_lines(job.log) if job.log and _is_younger(job.log, job.start) else []
    # As storage.progress writes it.
    return ": ".join([duration(time.time() - job.start), *(line for line in lines[-1:] if " a second" in line)])


def _last_lines(path: str | Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-LOG_LINES:]


def _ended_badly(log: str) -> bool:
    lines = _last_lines(log)
    return bool(lines) and not lines[-1].startswith(DONE)


def _last_words(log: list[str]) -> str | None:
    """Why a script ended by itself, as the last line of its log says."""
    found = re.fullmatch(r"(?:error: |(?=\w+(?:Error|Exception)\b))(.+)", log[-1])
    return found and found[1]


def _ending(error: str) -> str:
    """How a command ended: ``returned non-zero exit status 137``, ``died with <Signals.SIGKILL: 9>``."""
    found = re.search(r"(returned non-zero exit status \d+|died with <[^>]+>)", error)
    return f"its command {found[1]}" if found else "its command failed, and said nothing"


def _in_short(text: str) -> str:
    """An error of Snakemake's: our own line in it, else all but the line that says in which file it was raised."""
    if own := re.search(r"InputError: (.+)", text):
        return own[1]
    if taken := re.search(r"in load_configfile\b.*^FileNotFoundError: .*: '(.+)'", text, re.DOTALL | re.MULTILINE):
        return f"there is no configuration file {taken[1]}: a target goes behind --, as in -- results/demo/report.html"
    first, _, rest = text.partition("\n")
    return rest if rest and re.match(r"\w*(Error|Exception)\b.*:$", first) else text


def _is_younger(log: Path | None, start: float) -> bool:
    try:
        return log is not None and log.stat().st_mtime >= start - 1
    except OSError:
        return False
