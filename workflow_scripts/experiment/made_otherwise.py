"""What jobs have made by other code or settings than were planned: edited while a run went on, and perhaps taken back.

Snakemake records of a job what it planned; the job notes what it found when it started. Where these differ, a later
plan would take the one for the other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workflow_scripts.storage.checked import maker_of, noted_maker
from workflow_scripts.storage.long_argument import unpacked

TOUCH = "touch"
"""The executor of ``--touch``, whose user takes everything for what is planned."""


def ask_again_what_was_made_otherwise(workflow: Any) -> None:
    """Have the next run ask those jobs of this one again that ran other code or settings than were planned.

    To Snakemake they are jobs that did not end. A line on stderr says how many there are.
    """
    if workflow.executor_plugin.name == TOUCH:
        return
    found = [job for job in workflow.dag.finished_jobs if _ran_otherwise(job)]
    for job in found:
        workflow.persistence.started(job)
    if found:
        said = f"{len(found)} jobs ran other code or settings than were planned, which were edited meanwhile"
        print(f"{said}: the next run asks them again", file=sys.stderr, flush=True)


def _ran_otherwise(job: Any) -> bool:
    if job.params.get("code") is None:
        return False
    code, spec = job.params.code.split()[0], json.loads(unpacked(job.params.spec))
    return any(_is_made_otherwise(path, code, spec) for path in map(Path, job.output))


def _is_made_otherwise(path: Path, code: str, spec: dict) -> bool:
    """Whether a file was made by other code than this digest's, or from another spec; not where nothing says so."""
    try:
        if path.name != "manifest.json":
            return noted_maker(path) not in (None, maker_of(code, spec))
        made = json.loads(path.read_text(encoding="utf-8"))
        return (made["job"]["code"], made["spec"]) != (code, spec)
    except (OSError, ValueError, KeyError, TypeError):  # whoever reads it will say so
        return False
