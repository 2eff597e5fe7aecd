"""A study that no job has made: from a dry run's commands, every artifact's manifest, and metrics of random values."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.analysis.measures import KEYS, METRICS_FILE, METRICS_SCHEMA
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.long_argument import unpacked
from workflow_scripts.storage.provenance import MANIFEST, part_checksum, place

KINDS = {
    **{"index": "indexes", "scores": "teacher scores", "looked_up": "looked-up labels", "candidates": "evaluation"},
    "runs/bm25": "evaluation",
}
"""Kinds of artifacts by the folder below the results; any other's is the folder's name."""
COUNTS = {
    "groups": {"pairs_to_draw": 1000, "pairs_to_label": 1000},
    "labels": {"scored": 0},
    "teacher scores": {"pairs": 1000},
}
COST = {"wall_s": 1.0, "cpu_s": 1.0, "peak_rss_mb": 100.0}
PAYLOAD = b"generated\n"


@dataclass(frozen=True)
class Job:
    """A job of a plan: its script, its command, its options (name to values), the manifest or file that it makes."""

    script: str
    command: str
    options: Mapping[str, list[str]]

    @property
    def output(self) -> str:
        """The path it is named by."""
        return self.options["output"][0]

    @property
    def spec(self) -> dict:
        """What it is asked to make."""
        return json.loads(unpacked(self.options["spec"][0]))


def planned(dry_run: str) -> tuple[list[Job], list[str]]:
    """Jobs with one output or more that are named, and paths of all outputs, from what ``snakemake -n -p`` prints."""
    jobs = [_job(line) for line in re.findall(r"^Shell command: (python -m .*)$", dry_run, re.MULTILINE)]
    outputs = re.findall(r"^    output: (.*)$", dry_run, re.MULTILINE)
    return [job for job in jobs if "output" in job.options], [
        path.removesuffix(" (update)") for line in outputs for path in line.split(", ")
    ]


def _job(command: str) -> Job:
    # shlex reads a character at a time: the spec, most of the line, is one quoted word.
    before, quoted, after = re.fullmatch(r"(.*?--spec )('(?:[^']|'\"'\"')*'|\S+)(.*)", command).groups()  # type: ignore[union-attr]
    words = [*before.split()[:-1], "--spec", *shlex.split(quoted), *after.split()]
    options: dict[str, list[str]] = {}
    for word in words[3:]:
        if word.startswith("--"):
            values = options[word.removeprefix("--")] = []
        else:
            values.append(word)
    return Job(words[2].rpartition(".")[2], command, options)


def write_study(folder: Path, jobs: Sequence[Job], queries: Mapping[str, int]) -> int:
    """Write below ``folder`` the artifact of each job that makes one, and metrics of so many ``queries`` a collection.

    Files of an artifact without metrics hold a few bytes. Returns the rows of all metrics.
    """
    made_by = {job.output: job for job in jobs if Path(job.output).name == MANIFEST}
    written: dict[str, dict] = {}
    rows = 0
    for output in made_by:
        left = [output]
        while left:
            job = made_by[left[-1]]
            needed = [path for path in _manifests(job) if path in made_by and path not in written]
            if needed:
                left += needed
            else:
                left.pop()
                if job.output not in written:
                    written[job.output] = _write(folder, job, written, queries)
                    rows += written[job.output]["counts"].get("rows", 0)
    return rows


def _manifests(job: Job) -> list[str]:
    return [path for values in _inputs(job).values() for path in values if Path(path).name == MANIFEST]


def _inputs(job: Job) -> dict[str, list[str]]:
    """Paths that a job is given, by argument: the options whose values have a folder in them."""
    taken = ("spec", "output", "cells", "log")
    return {
        name: values
        for name, values in job.options.items()
        if name not in taken and all("/" in each for each in values)
    }


def _write(folder: Path, job: Job, written: Mapping[str, dict], queries: Mapping[str, int]) -> dict:
    path, spec = folder / job.output, job.spec
    path.parent.mkdir(parents=True, exist_ok=True)
    below = "/".join(job.output.split("/")[2:4])
    kind = KINDS.get(below, KINDS.get(below.split("/")[0], below.split("/")[0]))
    counts = dict(COUNTS.get(kind, {}))
    if kind == "metrics":
        name = METRICS_FILE
        counts["rows"] = write_metrics(path.parent / name, spec, queries)
    else:
        name = "payload"
        (path.parent / name).write_bytes(PAYLOAD)
    about = {"bytes": (path.parent / name).stat().st_size, "sha256": sha256(path.parent / name)}
    given = {each: values for each, values in _inputs(job).items() if all(one in written for one in values)}
    identities = {each: part_checksum(written[each], "identity") for values in given.values() for each in values}
    made = {
        **{"kind": kind, "place": place(path), "spec": spec, "seed": None, "files": {name: about}, "counts": counts},
        # Of a list of one path nobody can tell here whether the script takes several: the names of those that do.
        "inputs": {
            each: [{"path": one, "identity": identities[one]} for one in values]
            if len(values) > 1 or each in ("models", "pools", "known")
            else {"path": values[0], "identity": identities[values[0]]}
            for each, values in given.items()
        },
        "job": {
            **{"module": None, "code": None, "values": {}, "arguments": {}},
            "opened": {each: [{"identity": identities[one]} for one in values] for each, values in given.items()},
        },
        **{"versions": {"python": "generated"}, "device": "cpu", "arithmetic": {}, "commit": None},
        **{"finished": "2000-01-01T00:00:00+00:00", "cost": COST},
    }
    path.write_text(json.dumps(made), encoding="utf-8")
    return made


def write_metrics(path: Path, spec: Mapping, queries: Mapping[str, int]) -> int:
    """Write the metrics that ``spec`` asks for, values drawn by the ranker's keys; returns the rows."""
    keys = {name: spec["keys"].get(name) for name in KEYS}
    places = tuple((name, tuple(sorted(spec["measures"][name])), queries[name]) for name in sorted(spec["measures"]))
    columns = _columns(places)
    count = len(columns["query_id"])
    values = np.random.default_rng([*json.dumps(keys).encode()]).integers(0, 10_001, count) / 10_000
    named = {
        name: pa.nulls(count, pa.int32()) if value is None else pa.repeat(pa.scalar(value), count)
        for name, value in keys.items()
    }
    table = pa.table({**named, **columns, "value": values}).select(METRICS_SCHEMA.names).cast(METRICS_SCHEMA)
    pq.write_table(table, path, compression="zstd")
    return count


@cache
def _columns(places: Sequence[tuple[str, Sequence[str], int]]) -> dict[str, pa.Array]:
    """Collection, query and measure of each row, by (collection, measures, queries)."""
    collections, ids, measures = [], [], []
    for name, named, number in places:
        collections += [name] * number * len(named)
        ids += [f"{query:06}" for query in range(number) for _ in named]
        measures += [*named] * number
    return {"collection": pa.array(collections), "query_id": pa.array(ids), "measure": pa.array(measures)}
