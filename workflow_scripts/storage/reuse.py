"""Artifacts of other experiments' results that a job need not make: linked where it would make the same.

An experiment's setting ``reuse`` names results; the planner leaves their folders in the environment
(:data:`~workflow_scripts.storage.results.TREES`). The artifact at the job's own path below one of them is taken over
under the conditions under which a job keeps its own: the same code, spec and arguments, and the same bytes of every
file that was opened. Files are linked (copied where the file system has no links, and model cards, which readers edit),
and every byte is read and compared with the manifest. Nothing is written below the other folder.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.storage.artifacts import PARTIAL, Artifact, atomic_path, files_in, publish
from workflow_scripts.storage.checked import note_output, noted_checksum
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import STARTED
from workflow_scripts.storage.provenance import CARD, Job, describe_inputs, place, work_fault
from workflow_scripts.storage.results import TREES


def reuse(manifest: Path, job: Job, beside: Sequence[Path] = ()) -> Path | None:
    """Take over what ``job`` would make from the first tree that has it; that artifact's manifest, or None.

    ``beside``: files that the job writes outside of the artifact's folder. Why an artifact is not taken over is said on
    stderr.
    """
    own = place(manifest)
    for tree in map(Path, json.loads(os.environ.get(TREES, "[]")) if own else ()):
        found = tree / str(own) / manifest.name
        # Where the other tree has what the job writes beside the artifact.
        copies = {path: tree / path.relative_to(manifest.parents[len(Path(str(own)).parts)]) for path in beside}
        try:
            if found.is_file():
                _take_over(found, manifest, job, copies)
                return found
        except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"not reused: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return None


def _take_over(found: Path, manifest: Path, job: Job, copies: Mapping[Path, Path]) -> None:
    """Raise :class:`InputError` with the reason where the artifact is another, or damaged."""
    made = Artifact(found).manifest
    if found.with_name(STARTED).exists():
        raise InputError(f"{found} is being made again, or its job did not end")
    if fault := work_fault(made, job):
        raise InputError(f"{found}: {fault}")
    partial = manifest.parent / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        for name in made["files"]:
            if name == CARD:  # readers edit it
                shutil.copyfile(found.parent / name, partial / name)
            else:
                link(found.parent / name, partial / name)
        files = files_in(partial)
        for name, listed in made["files"].items():
            if files[name] != listed:
                raise InputError(f"{found.parent / name} has other bytes than were written")
        for target, source in copies.items():
            _copy_output(source, target, manifest)
        publish(partial, manifest, files, made | {"inputs": describe_inputs(job.paths), "reused": str(found)})
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it with its times where that cannot be: another file system, or user."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)


def _copy_output(source: Path, target: Path, made_from: Path) -> None:
    """Copy a file that has no manifest, if it is as its job noted it."""
    with atomic_path(target) as partial:
        shutil.copyfile(source, partial)
        if sha256(partial) != noted_checksum(source):
            raise InputError(f"{source} is not known to be what its job wrote")
    note_output(target, inputs=[made_from])
