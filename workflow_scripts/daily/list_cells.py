"""The cells of an experiment and their state: ``make list EXPERIMENT=demo FILTER="be kl"``.

``python -m workflow_scripts.daily.list_cells --configfile config/demo.yaml [--filter WORDS]`` prints a line a cell:
done, missing, or stale and why; of a done cell too what made its student and not most others. What is stale Snakemake
itself says, in a dry run of these cells; a job that then finds what it would make keeps it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.experiment.dry_run import dry_run, fields_of_jobs, paths_of
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.circumstances import odd_ones
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.provenance import MANIFEST

DONE, STALE, MISSING = "done", "stale", "missing"
BY_ANOTHER, UPDATED, FORCED = "Input files updated by another job: ", "Updated input files: ", "Forced execution"
CHANGED = "Params have changed since last execution: "


def states(configs: Sequence[str | Path], words: Sequence[str] = ()) -> Iterator[tuple[str, str, str]]:
    """(cell, state, why) of each cell that has all ``words`` in its name or state, in the order of the config."""
    experiment = Experiment(read_config(*configs))
    places = Places(experiment)
    students = {cell: places.manifest("students", ranker.path) for cell, ranker in experiment.cells.items()}
    files = {cell: places.cells(cell, experiment.config["domains"]) for cell in students}
    lacking = {cell: [path for path in (students[cell], *files[cell]) if not os.path.exists(path)] for cell in students}
    whole = [cell for cell in students if not lacking[cell]]
    made = [path for cell in whole for path in files[cell]]
    printed = fields_of_jobs(dry_run(configs, made, quiet=("host",))) if made else []
    jobs = {path: job["reason"] for job in printed for path in paths_of(job.get("output"))}
    odd = odd_ones({cell: Artifact(students[cell]).manifest for cell in whole})
    for cell, paths in files.items():
        state, why = DONE, ""
        if lacking[cell]:
            # What was never trained needs no further word.
            state, why = MISSING, "" if lacking[cell][0].endswith(MANIFEST) else lacking[cell][0]
        elif awaited := [path for path in paths if path in jobs]:
            state, why = STALE, cause(awaited[0], jobs)
        elif cell in odd:
            why = f"most others were not made by {', '.join(odd[cell])}"
        if all(word in f"{cell} {state}" for word in words):
            yield cell, state, why.replace(f"{places.results}/", "")


def cause(path: str, jobs: Mapping[str, str]) -> str:
    """Why the job of ``path`` would run: of the jobs before it, what has set the first going."""
    while (reason := jobs[path]).startswith(BY_ANOTHER):
        path = _first(reason, BY_ANOTHER)
    name = path.removesuffix("/manifest.json")
    if reason == FORCED or reason.startswith("Missing output"):
        return f"{name} is missing" if not os.path.exists(path) else f"the job of {name} did not end, or an edit met it"
    if reason.startswith(UPDATED):
        return f"{_first(reason, UPDATED).removesuffix('/manifest.json')} was made again"
    if reason.startswith(CHANGED):
        reason = f"{_changed_settings(reason)} changed"
    return f"{name}: {reason}"


def _first(reason: str, before: str) -> str:
    return reason.removeprefix(before).split("; ")[0].split(", ")[0]


def _changed_settings(reason: str) -> str:
    """What of a job's parameters has changed: keys of its settings, or its code."""
    specs = []
    for found in re.findall(r"'(\{.*?\})'(?= |$)", reason):
        with contextlib.suppress(ValueError):
            specs.append(json.loads(found))
    if len(specs) < 2:
        return "code has" if not specs else "settings have"
    before, now = specs[:2]
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    return f"settings ({', '.join(keys)}) have"


def main() -> None:
    """Print the cells."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configfile", required=True, nargs="+", help="an experiment, and overlays of it")
    parser.add_argument("--filter", default="", help="words that a cell's name and state must hold, all of them")
    options = parser.parse_args()
    rows = list(states(options.configfile, options.filter.split()))
    if not rows:
        raise InputError(f"no cell has {options.filter!r} in its name or state: leave the filter out to see all")
    for cell, state, why in rows:
        print(f"{state:7}  {cell}{f'  ({why})' if why else ''}")
    counts = Counter(state for _, state, _ in rows)
    print(f"{len(rows)} cells: " + ", ".join(f"{counts[state]} {state}" for state in (DONE, STALE, MISSING)))


if __name__ == "__main__":
    end_in_one_line(main)
