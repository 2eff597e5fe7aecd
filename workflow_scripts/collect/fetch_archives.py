"""Fetch the archives of some collections of ir_datasets into its folder, IR_DATASETS_HOME, and unpack what they share.

The readers of the collections, which run side by side, then find everything there and write nothing that another reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from workflow_scripts.collect.ir_datasets_source import reading
from workflow_scripts.collect.transfer import checksum, fetch
from workflow_scripts.experiment.addresses import addresses_of
from workflow_scripts.experiment.archives import Archive, archives_of, ir_datasets, load, unpacked_of
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import job_lock

UNPACKED = ("docs", "queries", "qrels")
"""Parts whose first record makes ir_datasets unpack them for all readers. Training triples have one reader."""


def fetch_archives(spec: Mapping, output: Path) -> None:
    """Bring the archives of ``spec["datasets"]`` (id to parts) to where ir_datasets looks for them, held to their MD5.

    ``mirrors``: beginning of an address to what stands in its place. Writes ``archives.json``: address, MD5, bytes and
    path of each. An archive that is there already is checked and kept; one that broke off goes on. Raises
    :class:`InputError` for an archive that cannot be fetched or is not the published one.
    """
    datasets, mirrors = spec["datasets"], spec.get("mirrors", {})
    home = ir_datasets().util.home_path()
    archives: dict[Path, Archive] = {}
    # Two experiments may share the folder: one of them fetches.
    with _locked(home / "locks" / Path(output).parent.name) as folder:
        for name, parts in datasets.items():
            for part in parts:
                archives |= {archive.path: archive for archive in archives_of(name, part)}
        for archive in archives.values():
            _fetch(archive, mirrors)
        for name, parts in datasets.items():
            for part in sorted(set(parts) & set(UNPACKED)):
                _unpack(name, part, folder / "unpacking" if folder else None)
    with ArtifactWriter(output, kind="archives", spec=spec) as writer:
        rows = [
            {
                "address": archive.addresses[0],
                "md5": archive.md5,
                "bytes": archive.path.stat().st_size,
                "path": os.path.relpath(archive.path, home),
            }
            for archive in archives.values()
        ]
        rows.sort(key=lambda row: row["path"])
        writer.path("archives.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        writer.counts |= {"archives": len(rows), "bytes": sum(row["bytes"] for row in rows)}


def missing_archive(manifest: Path) -> str | None:
    """That an archive is not where ir_datasets looks for it, in words: its folder was purged, or is another."""
    home = ir_datasets().util.home_path()
    rows = json.loads(Artifact(manifest).file("archives.json").read_text(encoding="utf-8"))
    return next((f"{home / row['path']} is missing" for row in rows if not (home / row["path"]).exists()), None)


def _fetch(archive: Archive, mirrors: Mapping[str, str]) -> None:
    if archive.path.exists():
        found = checksum(archive.path, "md5")
        if found != (archive.md5 or found):
            raise InputError(f"{archive.path} has the MD5 {found}, not the published {archive.md5}: remove it")
        return
    if archive.notice:
        print(archive.notice, file=sys.stderr, flush=True)
    addresses = [each for address in archive.addresses for each in addresses_of(address, mirrors)]
    part = archive.path.with_name(f"{archive.path.name}.part")
    fetch(addresses, part, algorithm="md5", pinned=archive.md5, headers=dict(archive.headers))
    os.replace(part, archive.path)


def _unpack(name: str, part: str, mark: Path | None) -> None:
    """Read the first record, so that ir_datasets unpacks the part. ``mark``: a file that stands meanwhile.

    ir_datasets takes what a killed process has left half unpacked for the whole: where the mark stands, it is removed.
    """
    if mark and mark.exists() and mark.read_text(encoding="utf-8") == f"{name} {part}":
        for path in filter(Path.exists, unpacked_of(name, part)):
            print(f"{path} was left half unpacked: it is made again", file=sys.stderr, flush=True)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if mark:
        mark.write_text(f"{name} {part}", encoding="utf-8")
    with reading(name):
        next(iter(getattr(load(name, part), f"{part}_iter")()), None)
    if mark:
        mark.unlink()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[Path | None]:
    """Hold ``folder``; None where nothing can be written there: then nothing is fetched or unpacked either."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"{folder} cannot be made ({error}): what is there is read", file=sys.stderr, flush=True)
        yield None
        return
    with job_lock(folder):
        yield folder


if __name__ == "__main__":
    run(fetch_archives, missing_archive)
