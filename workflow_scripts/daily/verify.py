"""Name every artifact of an experiment that is not what it should be: ``make verify EXPERIMENT=demo``.

``python -m workflow_scripts.daily.verify results/demo [FILES OF THE EXPERIMENT]`` reads every byte below the folder
and trusts nothing that was compared before. It prints a line for each artifact that is missing, truncated, flipped,
swapped with another, unfinished, or stale (what its job opened is no longer the same; changed code and settings are
Snakemake's to see), then the command that makes those again and nothing else. What an earlier config has left and this
one does not make is named apart, with the command that takes it away. Exit status 1 where it found any. What the
archive that the results were restored from has left out is not missing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.leftovers import is_left_over
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.checked import file_fault, files_named, output_fault, outputs_noted
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import STARTED
from workflow_scripts.storage.provenance import MANIFEST, part_checksum, place_fault, stale_input
from workflow_scripts.storage.rerun import snakemake_command
from workflow_scripts.storage.results import LIST

UNREADABLE, DAMAGED = "cannot be read as a manifest", (ValueError, KeyError, TypeError, AttributeError)
"""Of a manifest that is no JSON any more, or lacks what it must have, and what reading it raises."""


def faults(results: Path) -> Iterator[tuple[Path, str]]:
    """(manifest or file, what is wrong with it) of everything damaged below an experiment's results."""
    outputs, left_out = outputs_noted(results), _left_out(results)
    named = [results.parents[1] / path for inputs in outputs.values() for path in inputs]
    made = {manifest: _read(manifest, results) for manifest in files_named(MANIFEST, results)}
    for each in made.values():
        named += itertools.chain(*_inputs(each, results).values())
    manifests = {path for path in named if path.name == MANIFEST and path.is_relative_to(results)}
    for manifest in sorted(manifests | set(made)):
        if fault := _artifact_fault(manifest, made, results, left_out) if manifest.exists() else "is missing":
            yield manifest, fault
    for path in sorted(outputs):
        if fault := output_fault(path, trust_memory=False) if path.is_file() else "is missing":
            yield path, fault


def _artifact_fault(
    manifest: Path, made: Mapping[Path, dict | None], results: Path, left_out: Mapping[Path, str]
) -> str | None:
    if (own := made.get(manifest)) is None:
        return UNREADABLE
    if fault := place_fault(manifest, own):
        return fault
    try:
        for name, listed in own["files"].items():
            path = manifest.parent / name
            if left_out.get(path) == listed["sha256"] and not path.exists():
                continue
            if fault := file_fault(manifest.parent, name, listed, trust_memory=False):
                return f"{name} {fault}"
        if manifest.with_name(STARTED).exists():
            return "was being made again when its job ended"
        inputs = _inputs(own, results)
        # An input that cannot be read is named itself; whether what was made from it is stale shows when it is back.
        if any(made.get(path, own) is None for path in itertools.chain(*inputs.values())):
            return None
        stale = stale_input(own, inputs)
    except OSError as error:
        return f"cannot be compared with what it was made from ({error.filename} is missing)"
    except DAMAGED:
        return UNREADABLE
    return f"is stale: {stale}" if stale else None


def _read(manifest: Path, results: Path) -> dict | None:
    try:
        made = json.loads(manifest.read_text(encoding="utf-8"))
        part_checksum(made, "identity")
        _inputs(made, results)
        return made if isinstance(made["job"]["opened"], dict) else None
    except (OSError, *DAMAGED):
        return None


def _left_out(results: Path) -> dict[Path, str]:
    """Files that the archive of restored results did not hold, with their SHA-256; none where there was no archive."""
    try:
        listed = json.loads((results / LIST).read_text(encoding="utf-8"))["left_out"]
        return {results / name: about["sha256"] for name, about in listed.items()}
    except (OSError, *DAMAGED):
        return {}


def _inputs(made: dict | None, results: Path) -> dict[str, list[Path]]:
    """What a job was given, by argument. Paths are relative to the folder in which results lie."""
    inputs = made["inputs"] if made else {}
    entries = {name: value if isinstance(value, list) else [value] for name, value in inputs.items()}
    return {name: [results.parents[1] / entry["path"] for entry in given] for name, given in entries.items()}


def main() -> None:
    """Print what is damaged and how to make it again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="an experiment's results: results/demo")
    parser.add_argument("configfiles", nargs="*", help="files of the experiment, for the command that is printed")
    options = parser.parse_args()
    if not options.results.is_dir():
        raise InputError(f"there are no results in {options.results}: name an experiment's, such as results/demo")
    results = options.results.absolute()
    found = {path.relative_to(results.parents[1]): fault for path, fault in faults(results)}
    left = _left_over(list(found), options.configfiles)
    # What is gone and nothing makes is as it should be, though tables of then still name it.
    found = {path: fault for path, fault in found.items() if path not in left or (results.parents[1] / path).exists()}
    for path, fault in found.items():
        print(f"{path}: {fault}")
    if not found:
        absent = sum(not path.exists() for path in _left_out(results))
        beside = f"; {absent:,} files were left out of the archive it was restored from" if absent else ""
        print(f"every artifact in {options.results} is as its job wrote it{beside}")
        return
    files = options.configfiles or [f"config/{results.name}.yaml"]
    for line in _commands(
        [path for path in found if path in left], [path for path in found if path not in left], files
    ):
        print(line)
    sys.exit(1)


def _commands(left: Sequence[Path], damaged: Sequence[Path], configfiles: Sequence[str]) -> Iterator[str]:
    """Lines with the commands that take away what was ``left`` and make what is ``damaged`` again."""
    where = "from the folder in which results/ lies:"
    if left:
        folders = [str(path.parent if path.name == MANIFEST else path) for path in left]
        yield f"{len(left)} of no cell of this config, left by an earlier one, {where}"
        yield f"rm -rf {shlex.join(folders)}"
    if damaged:
        names = [str(path) for path in damaged]
        yield f"{len(names)} to make again, {where}"
        yield f"rm -f {shlex.join(names)} && {snakemake_command(configfiles, '--cores', '2', '--', *names)}"


def _left_over(paths: Sequence[Path], configfiles: Sequence[str]) -> set[Path]:
    """Those of some paths (``results/demo/...``) that the experiment's config does not make; none without its files."""
    if not paths or not configfiles:
        return set()
    rankers = Rankers(Experiment(read_config(*configfiles)))
    return {path for path in paths if is_left_over(rankers, str(Path(*path.parts[2:])))}


if __name__ == "__main__":
    end_in_one_line(main)
