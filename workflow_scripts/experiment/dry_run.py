"""What Snakemake would run, from its own dry run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):((?:\n {4}.+)*)", re.MULTILINE)
CORES = 1024
"""More than any job asks for, so that threads are those of the config."""


def dry_run(
    configs: Sequence[str | Path], targets: Sequence[str] = (), quiet: Sequence[str] = ("host", "reason")
) -> str:
    """What Snakemake prints of the jobs that targets (without any, the experiment) still need, less what is ``quiet``.

    Runs nothing. Raises :class:`InputError` with Snakemake's own line where it refuses the config or a target.
    """
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    # The profile's rule of what counts as changed is the one that a run goes by.
    command += ["--profile", str(ROOT / "config" / "profiles" / "local"), "--configfile", *map(str, configs)]
    command += ["--dry-run", "--cores", str(CORES), "--quiet", *quiet, "--", *targets]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise InputError(refusal(f"{done.stderr}\n{done.stdout}".splitlines()))
    return done.stdout


def fields_of_jobs(text: str) -> list[dict[str, str]]:
    """Fields of each job that a dry run printed, its ``rule`` among them.

    Raises :class:`InputError` where the jobs are not as many as Snakemake's own table counts.
    """
    found = [
        {"rule": job[1], **dict(re.findall(r"^ {4}(\w+): (.+)$", job[2], re.MULTILINE))} for job in JOB.finditer(text)
    ]
    table = Counter({rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)})
    del table["total"]
    if Counter(each["rule"] for each in found) != table:
        raise InputError(f"Snakemake's dry run lists {len(found)} jobs and counts {table.total()}: report this")
    return found


def paths_of(listed: str | None) -> list[str]:
    """Paths in a job's field ``input`` or ``output``."""
    return [path.removesuffix(" (update)") for path in listed.split(", ")] if listed else []


def refusal(lines: Sequence[str]) -> str:
    """Snakemake's reason in the lines of a failed run: what follows the line that names the exception."""
    lines = [line.strip() for line in lines if line.strip()]
    for place, line in enumerate(lines[:-1]):
        if re.match(r"\w*(Error|Exception)\b", line):
            return lines[place + 1]
    return lines[-1] if lines else "snakemake failed and said nothing: run it with --dry-run"
