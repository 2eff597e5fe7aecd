"""Every job that an experiment still needs, and the jobs that it waits for."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from workflow_scripts.experiment.dry_run import fields_of_jobs, paths_of

MEASURING = re.compile(r"measure_students_(\w+)")
"""The rule that measures students on a set: it is named, with underscores, for the set."""


class Job(NamedTuple):
    """A rule, its wildcards' values, threads, the places of the jobs it waits for, the time and memory it asks for."""

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

    @property
    def shards(self) -> int:
        """Jobs that share the work, this one among them."""
        return int(self.wildcards.get("shard", "1-of-1").partition("-of-")[2])


def read_jobs(dry_run: str) -> list[Job]:
    """Jobs that a dry run prints, without the target ``all``, in an order of their own: Snakemake's changes."""
    found = [fields for fields in fields_of_jobs(dry_run) if fields["rule"] != "all"]
    found.sort(key=lambda fields: (fields["rule"], fields.get("wildcards", "")))
    made = {path: place for place, fields in enumerate(found) for path in paths_of(fields.get("output"))}
    return [_job(fields, made) for fields in found]


def _job(fields: Mapping[str, str], made: Mapping[str, int]) -> Job:
    """A job of printed fields; one that measures a student as one that measures any ranker on a set."""
    wildcards, asked = (
        dict(part.split("=", 1) for part in fields[name].split(", ")) if name in fields else {}
        for name in ("wildcards", "resources")
    )
    rule, needs = fields["rule"], {made[path] for path in paths_of(fields.get("input")) if path in made}
    if named := MEASURING.fullmatch(rule):
        ranker = "{student}/{point}/seed{seed}".format(**wildcards)
        rule, wildcards = "measure_runs", {"ranker": ranker, "set": named[1].replace("_", "-")}
    limits = (float(asked.get(name, math.inf)) for name in ("runtime", "mem_mb"))
    return Job(rule, wildcards, int(fields.get("threads", 1)), tuple(sorted(needs)), *limits)
