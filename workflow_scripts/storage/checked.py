"""Files whose bytes are those that were written: compared with their SHA-256 once, then remembered.

A folder's ``.checked`` has a line for each file that was hashed: its name, its SHA-256, and what changes whenever a
file is written, replaced or copied (inode, size, times of modification and change). A line that fits no file, or cannot
be read, counts for nothing; where the folder cannot be written, files are hashed by every job that opens them.

Cost: a job hashes what it writes anyway and notes it, so a file is read once more only where it was copied or changed
since. 100 GB are then some two minutes of a core (``openssl speed sha256`` tells a machine's own), or what the disk
takes. A bit that flips on the disk without a write is found by :mod:`workflow_scripts.daily.verify`, which trusts no
line. No result depends on this.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from workflow_scripts.storage.checksums import checksum_of, sha256

MEMORY = ".checked"
WRITTEN = ".written"
"""The same for files without a manifest, with what they were made from."""
NOTED = (7, 8)
"""Fields of its lines; the eighth, who made a file, is new in 0.2.0."""
_intact: set[tuple] = set()


def signature(path: Path) -> tuple | None:
    """What changes when a file is written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def file_fault(folder: Path, name: str, listed: Mapping, trust_memory: bool = True) -> str | None:
    """What is wrong with the file ``name`` of a folder, in words; None where it is as ``listed`` (bytes, sha256)."""
    path = folder / name
    found = signature(path)
    if found is None or not path.is_file():
        return "is missing"
    if found[1] != listed["bytes"]:
        return f"has {found[1]} bytes, not {listed['bytes']}"
    line = (name, listed["sha256"], *found)
    if trust_memory and ((folder, *line) in _intact or line in _remembered(folder)):
        return None
    if sha256(path) != listed["sha256"]:
        return "has other bytes than were written (its SHA-256 differs)"
    if signature(path) == found:
        _intact.add((folder, *line))
        _append(folder / MEMORY, [line])
    return None


def note_written(folder: Path, files: Mapping[str, Mapping]) -> None:
    """Remember files just written, name to their bytes and sha256: nobody need read them again."""
    lines = [(name, about["sha256"], *(signature(folder / name) or ())) for name, about in files.items()]
    _append(folder / MEMORY, lines)


def note_output(path: Path, inputs: Iterable[Path] = (), maker: str | None = None) -> None:
    """Remember a file that has no manifest beside it, what it was made from, and by which :func:`maker_of`."""
    line = (path.name, sha256(path), *(signature(path) or ()), list(map(str, inputs)), maker)
    _append(path.with_name(WRITTEN), [line])


def maker_of(code: str | None, spec: Mapping) -> str:
    """What stands for the code and the settings of a job."""
    return checksum_of([code, spec])


def noted_maker(path: Path) -> str | None:
    """The maker that :func:`note_output` has last noted of a file, if any."""
    noted = _noted(path)
    return noted[7] if noted and len(noted) > 7 else None


def output_fault(path: Path, trust_memory: bool = True) -> str | None:
    """What is wrong with a file that :func:`note_output` has noted; None for any other file."""
    noted = _noted(path)
    if not noted or not path.is_file():
        return None
    _, checksum, _, size, *_ = noted
    return file_fault(path.parent, path.name, {"bytes": size, "sha256": checksum}, trust_memory)


def noted_checksum(path: Path) -> str | None:
    """The SHA-256 that :func:`note_output` has last noted of a file."""
    noted = _noted(path)
    return noted[1] if noted else None


def _noted(path: Path) -> tuple | None:
    """The last line of a file."""
    lines = [line for line in _lines(path.with_name(WRITTEN), *NOTED) if line[0] == path.name]
    return lines[-1] if lines else None


def outputs_noted(results: Path) -> dict[Path, list[Path]]:
    """Files below ``results`` that :func:`note_output` has noted to what each was last made from."""
    noted = [(memory, line) for memory in files_named(WRITTEN, results) for line in _lines(memory, *NOTED)]
    return {memory.with_name(line[0]): list(map(Path, line[6])) for memory, line in noted}


def files_named(name: str, folder: Path) -> Iterator[Path]:
    """Files of this name in a folder and below it, also where a link leads to another disk."""
    for place, _, files in os.walk(folder, followlinks=True):
        if name in files:
            yield Path(place, name)


def _remembered(folder: Path) -> list[tuple]:
    return [*_lines(folder / MEMORY, 6), *(line[:6] for line in _lines(folder / WRITTEN, *NOTED))]


def _lines(memory: Path, *lengths: int) -> list[tuple]:
    lines = []
    with contextlib.suppress(OSError):
        for line in memory.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                values = json.loads(line)
                if isinstance(values, list) and len(values) in lengths:
                    lines.append(tuple(values))
    return lines


def _append(memory: Path, lines: Iterable[tuple]) -> None:
    """Add lines in one write: jobs that run at once may lose none of each other's, and a torn line fits no file."""
    text = "".join(f"\n{json.dumps(line)}" for line in lines)
    with contextlib.suppress(OSError):
        descriptor = os.open(memory, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, f"{text}\n".encode())
        finally:
            os.close(descriptor)
