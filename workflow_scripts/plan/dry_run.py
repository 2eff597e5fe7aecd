"""What Snakemake would run, from its own dry run: every job, and the jobs that it waits for."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

RULE = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
FIELD = re.compile(r" {4}(\w+): (.+)")
MEASURING = re.compile(r"measure_students_(\w+)")
"""The rule that measures students on a set: it is named, with underscores, for the set."""
COUNT = re.compile(r"(\w+) +(\d+)")
CORES = 1024
"""More than any job asks for, so that threads are those of the config."""


class Job(NamedTuple):
    """One job: its rule, its wildcards' values, its threads, the places of the jobs it waits for, what it asks for."""

    rule: str
    wildcards: Mapping[str, str] = {}
    threads: int = 1
    needs: tuple[int, ...] = ()
    minutes: float = math.inf
    megabytes: float = math.inf

    def __getitem__(self, wildcard) -> str:
        return self.wildcards[wildcard]

    def __str__(self) -> str:
        return " ".join([self.rule, *self.wildcards.values()])


def plan_jobs(configs: Sequence[str | Path]) -> list[Job]:
    """Jobs still to do of an experiment's config files; runs nothing.

    Raises :class:`InputError` with Snakemake's own line where it refuses the config.
    """
    return read_jobs(dry_run(configs))


def dry_run(
    configs: Sequence[str | Path], targets: Sequence[str] = (), quiet: Sequence[str] = ("host", "reason")
) -> str:
    """What Snakemake prints of the jobs that targets (without any, the experiment) still need, less what is ``quiet``.

    Raises :class:`InputError` with Snakemake's own line where it refuses the config or a target.
    """
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    # The profile's rule of what counts as changed is the one that a run goes by.
    command += ["--profile", str(ROOT / "config" / "profiles" / "local"), "--configfile", *map(str, configs)]
    command += ["--dry-run", "--cores", str(CORES), "--quiet", *quiet, "--", *targets]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise InputError(refusal(f"{done.stderr}\n{done.stdout}".splitlines()))
    return done.stdout


def read_jobs(text: str) -> list[Job]:
    """Jobs in what a dry run prints; :class:`InputError` where they are not as many as its own table counts."""
    found: list[dict[str, str]] = []
    table: Counter = Counter()
    for line in text.splitlines():
        if named := RULE.fullmatch(line):
            found.append({"rule": named[1]})
        elif found and (field := FIELD.fullmatch(line)):
            found[-1][field[1]] = field[2]
        elif counted := COUNT.fullmatch(line):
            table[counted[1]] = int(counted[2])
    del table["total"]
    if Counter(each["rule"] for each in found) != table:
        raise InputError(f"Snakemake's dry run lists {len(found)} jobs and counts {table.total()}: report this")
    # Snakemake's order changes from run to run.
    found.sort(key=lambda each: (each["rule"], each.get("wildcards", "")))
    made = {path: place for place, each in enumerate(found) for path in _paths(each.get("output"))}
    return [_job(each, made) for each in found]


def _job(fields: Mapping[str, str], made: Mapping[str, int]) -> Job:
    """A job whose fields the dry run printed; one that measures a student as one that measures any ranker on a set."""
    wildcards = dict(part.split("=", 1) for part in fields["wildcards"].split(", ")) if "wildcards" in fields else {}
    needs = {made[path] for path in _paths(fields.get("input")) if path in made}
    rule, threads = fields["rule"], int(fields.get("threads", 1))
    if named := MEASURING.fullmatch(rule):
        ranker = "{student}/{point}/seed{seed}".format(**wildcards)
        rule, wildcards = "measure_runs", {"ranker": ranker, "set": named[1].replace("_", "-")}
    asked = dict(part.split("=", 1) for part in fields["resources"].split(", ")) if "resources" in fields else {}
    limits = (float(asked.get(name, math.inf)) for name in ("runtime", "mem_mb"))
    return Job(rule, wildcards, threads, tuple(sorted(needs)), *limits)


def _paths(listed: str | None) -> list[str]:
    return [path.removesuffix(" (update)") for path in listed.split(", ")] if listed else []


def refusal(lines: Sequence[str]) -> str:
    """Snakemake's reason in the lines of a failed run: what follows the line that names the exception."""
    lines = [line.strip() for line in lines if line.strip()]
    for place, line in enumerate(lines[:-1]):
        if re.match(r"\w*(Error|Exception)\b", line):
            return lines[place + 1]
    return lines[-1] if lines else "snakemake failed and said nothing: run it with --dry-run"
