"""What Snakemake would run, from its own dry run: every job by its rule and wildcards."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

RULE = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
WILDCARDS = re.compile(r" +wildcards: (.+)")
MEASURING = re.compile(r"measure_students_(\w+)")
"""The rule that measures students on a set: it is named, with underscores, for the set."""
COUNT = re.compile(r"(\w+) +(\d+)")


@dataclass(frozen=True)
class Job:
    """One job: its rule and the values of the rule's wildcards."""

    rule: str
    wildcards: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, wildcard: str) -> str:
        return dict(self.wildcards)[wildcard]


def plan_jobs(configs: Sequence[str | Path], experiment: str) -> tuple[list[Job], Counter]:
    """Jobs still to do of an experiment's config files, and how many a rule has in all, done or not.

    Runs nothing. Raises :class:`InputError` with Snakemake's own line where it refuses the config.
    """
    # Where nothing was made yet, all is still to do.
    whole = _start(configs, "--forceall") if Path("results", experiment).is_dir() else None
    jobs = read_jobs(_finish(_start(configs)))
    return jobs, Counter(job.rule for job in (jobs if whole is None else read_jobs(_finish(whole))))


def dry_run(configs: Sequence[str | Path], targets: Sequence[str]) -> str:
    """What Snakemake prints of the jobs that targets still need, each with its reason; refusals as in `plan_jobs`."""
    return _finish(_start(configs, "--", *targets, quiet=["host"]))


def read_jobs(text: str) -> list[Job]:
    """Jobs in what a dry run prints; :class:`InputError` where they are not as many as its own table counts."""
    jobs: list[Job] = []
    table: dict[str, int] = {}
    for line in text.splitlines():
        if named := RULE.fullmatch(line):
            jobs.append(Job(named[1]))
        elif jobs and (found := WILDCARDS.fullmatch(line)):
            pairs = tuple(tuple(part.split("=", 1)) for part in found[1].split(", "))
            jobs[-1] = Job(jobs[-1].rule, pairs)
        elif counted := COUNT.fullmatch(line):
            table[counted[1]] = int(counted[2])
    table.pop("total", None)
    if dict(Counter(job.rule for job in jobs)) != table:
        raise InputError(f"Snakemake's dry run lists {len(jobs)} jobs and counts {sum(table.values())}: report this")
    return list(map(_as_measured, jobs))


def _as_measured(job: Job) -> Job:
    """A job that measures a student as one that measures any ranker on a set."""
    if not (named := MEASURING.fullmatch(job.rule)):
        return job
    ranker = f"{job['student']}/{job['point']}/seed{job['seed']}"
    return Job("measure_runs", (("ranker", ranker), ("set", named[1].replace("_", "-"))))


def _start(configs: Sequence[str | Path], *options: str, quiet: Sequence[str] = ("reason", "host")) -> subprocess.Popen:
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    # The profile's rule of what counts as changed is the one that a run goes by.
    command += ["--profile", str(ROOT / "config" / "profiles" / "local"), "--configfile", *map(str, configs)]
    command += ["--dry-run", "--quiet", *quiet, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def _finish(process: subprocess.Popen) -> str:
    """What a dry run printed; its refusal as one line."""
    output, errors = process.communicate()
    if process.returncode:
        raise InputError(refusal(f"{errors}\n{output}".splitlines()))
    return output


def refusal(lines: Sequence[str]) -> str:
    """Snakemake's reason in the lines of a failed run: what follows the line that names the exception."""
    lines = [line.strip() for line in lines if line.strip()]
    for place, line in enumerate(lines[:-1]):
        if re.match(r"\w*(Error|Exception)\b", line):
            return lines[place + 1]
    return lines[-1] if lines else "snakemake failed and said nothing: run it with --dry-run"
