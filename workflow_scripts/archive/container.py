"""The file that an archive is: a plain tar whose first member lists all others, with sizes and checksums.

The large files are compressed already, so the tar is not: its bytes depend on no version of a compressor, and it holds
what it weighs. What comes from elsewhere is refused in one line unless it is exactly what its list says, and nothing in
it could run or grow when it is read (:mod:`~workflow_scripts.archive.suspicion`).
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workflow_scripts.archive.contents import PRODUCTS, TABLES, measured_from, read_manifest
from workflow_scripts.archive.suspicion import CONFIG, config_fault, content_fault, name_fault
from workflow_scripts.storage.errors import InputError, one_line
from workflow_scripts.storage.provenance import MANIFEST
from workflow_scripts.storage.results import LIST

FORMAT = 1
MOST_FILES = 400_000
LARGEST_LIST = 2**27
BLOCK = 2**20
KEYS = {
    "format": int,
    "experiment": str,
    "configs": list,
    "models": bool,
    "texts": bool,
    "files": dict,
    "left_out": dict,
}
"""Of the list; further keys are for people."""
OTHER_PIPELINE = re.compile("results/[a-z0-9-]+/metrics.parquet")
"""What the table of pipelines reads of other experiments."""
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
Take = Callable[[str, io.BufferedIOBase], None]


def write_archive(path: Path, about: Mapping, files: Mapping[str, Path | bytes]) -> None:
    """Write ``files`` (name to source), sorted by name, behind the list: ``about`` with ``files`` as they should be.

    Equal files give equal bytes: no member has a time, an owner or a mode of its own.
    """
    listed = json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, source in [(LIST, listed), *sorted(files.items())]:
            member = tarfile.TarInfo(name)
            if isinstance(source, bytes):
                member.size = len(source)
                tar.addfile(member, io.BytesIO(source))
            else:
                with open(source, "rb") as file:
                    member.size = os.fstat(file.fileno()).st_size
                    tar.addfile(member, file)


def read_archive(path: Path, take: Take | None = None) -> dict:
    """Check every byte of an archive and return its list; each file's bytes are given to ``take`` too.

    Raises :class:`InputError`, one line, at the first thing that is wrong; what ``take`` was given then is not to be
    used. Memory: the list and the manifests.
    """
    manifests: dict[str, dict] = {}
    with _tar(path) as members:
        about = _read_list(path, members)
        files, left = about["files"], dict(about["files"])
        if take:
            take(LIST, io.BytesIO(json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"))
        for member, file in members:
            name = member.name
            if name not in left:
                raise InputError(f"{path}: {name!r} is {'there twice' if name in files else 'not in its list'}")
            if fault := _member_fault(member, left.pop(name), file, take):
                raise InputError(f"{path}: {name} {fault}")
            if name in about["configs"]:
                file.seek(0)
                if fault := config_fault(file.read()):
                    raise InputError(f"{path}: {name} {fault}: refused")
            if name.rpartition("/")[2] == MANIFEST:
                file.seek(0)
                made = manifests[name] = read_manifest(file.read(), f"{path}: {name}")
                if name.startswith(f"results/{about['experiment']}/metrics/"):
                    measured_from(made, f"{path}: {name}")
    if left:
        raise InputError(f"{path}: {next(iter(left))} is missing, {len(left)} of {len(files)} files are: it is cut off")
    if fault := _tree_fault(about, manifests):
        raise InputError(f"{path}: {fault}")
    return about


def unpack(path: Path, folder: Path) -> dict:
    """:func:`read_archive`, with every file written below ``folder``, which must not be there yet; removed on an error.

    All files get one time, so that Snakemake takes none for newer than another.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already: move it away, or unpack elsewhere")
    now = time.time()

    def take(name: str, file: io.BufferedIOBase) -> None:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as copy:
            shutil.copyfileobj(file, copy, BLOCK)
        os.utime(target, (now, now))

    try:
        return read_archive(path, take)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _tar(path: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, io.BufferedIOBase]]]:
    """Members one after the other, each with its bytes; what tarfile cannot read is an :class:`InputError`."""

    def members(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, io.BufferedIOBase]]:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # it would keep them all
            if member.type not in PLAIN or member.sparse is not None:  # type: ignore[attr-defined]
                raise InputError(
                    f"{path}: {member.name[:200]!r} is no plain file (a link, a folder, a device): refused"
                )
            if fault := name_fault(member.name):
                raise InputError(f"{path}: {member.name[:200]!r} {fault}: refused")
            yield member, tar.extractfile(member)  # type: ignore[misc]

    try:
        with tarfile.open(path, "r:") as tar:
            yield members(tar)
    except FileNotFoundError:
        raise InputError(f"there is no {path}: name an archive that make archive has written") from None
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is no plain tar, or is damaged ({one_line(error)}): get it again") from None


def _read_list(path: Path, members: Iterator[tuple[tarfile.TarInfo, io.BufferedIOBase]]) -> dict:
    member, file = next(members, (None, None))
    if member is None or file is None or member.name != LIST or member.size > LARGEST_LIST:
        raise InputError(f"{path} does not begin with {LIST}: it is no archive of make archive, or is damaged")
    try:
        about = json.loads(file.read())
        sound = all(isinstance(about[key], kind) for key, kind in KEYS.items())
        sound = sound and re.fullmatch("[a-z0-9-]+", about["experiment"]) is not None
        sound = sound and bool(about["configs"])
        sound = sound and all(CONFIG.fullmatch(name) and name in about["files"] for name in about["configs"])
        sizes = [listed for key in ("files", "left_out") for listed in about[key].values()]
        sound = sound and all(isinstance(size["bytes"], int) and isinstance(size["sha256"], str) for size in sizes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound, about = False, {}
    if not sound:
        raise InputError(f"{path}: {LIST} is not the list of an archive: get it again")
    if about["format"] != FORMAT:
        raise InputError(f"{path} has format {about['format']}, not {FORMAT}: take the Distillery that wrote it")
    if len(about["files"]) > MOST_FILES:
        raise InputError(f"{path} lists {len(about['files'])} files, more than {MOST_FILES}: refused")
    if fault := _names_fault(about):
        raise InputError(f"{path}: {fault}: refused")
    return about


def _names_fault(about: Mapping) -> str | None:
    """What is wrong with the listed names taken together: each is to have a place when all are unpacked."""
    results = f"results/{about['experiment']}/"
    if not any(name.startswith(results) for name in about["files"]):
        return f"it holds nothing of {results}"
    # Where restore puts the list and the experiment's own files.
    places = [*about["files"], LIST, f"{results}{LIST}", *(f"{results}{name}" for name in about["configs"])]
    for one, other in itertools.pairwise(sorted(name.split("/") for name in places)):
        if other[: len(one)] == one:
            return f"{'/'.join(other)!r} has no place beside {'/'.join(one)!r}"
    return None


def _member_fault(member: tarfile.TarInfo, listed: Mapping, file: io.BufferedIOBase, take: Take | None) -> str | None:
    """What is wrong with a member, in words; its bytes go to ``take`` where size and checksum are as listed."""
    if member.size != listed["bytes"]:
        return f"has {member.size} bytes, not {listed['bytes']} as its list says"
    if hashlib.file_digest(file, "sha256").hexdigest() != listed["sha256"]:
        return "has other bytes than were packed (its SHA-256 differs)"
    file.seek(0)
    if fault := content_fault(member.name, file, member.size):
        return f"{fault}: refused"
    if take:
        file.seek(0)
        take(member.name, file)
    return None


def _tree_fault(about: Mapping, manifests: Mapping[str, dict]) -> str | None:
    """What is wrong between the manifests and the list: every file of an artifact is as its manifest says."""
    results = f"results/{about['experiment']}/"
    everything = about["files"] | {f"{results}{name}": listed for name, listed in about["left_out"].items()}
    accounted = set()
    for path, made in manifests.items():
        folder = path.removesuffix(MANIFEST)
        if not path.startswith(results) or made.get("place") != folder.removeprefix(results).rstrip("/"):
            return f"{path} is the manifest of {made.get('place')}"
        for name, listed in made["files"].items():
            found = everything.get(folder + name)
            if found is None:
                return f"{folder}{name} is missing, and not among what was left out"
            if (found["bytes"], found["sha256"]) != (listed["bytes"], listed["sha256"]):
                return f"{folder}{name} is not as its manifest says: make verify names what makes it again"
            accounted.add(folder + name)
    for name in about["files"]:
        inner = name.removeprefix(results)
        folder = inner.rpartition("/")[0]
        is_product = folder in PRODUCTS or inner in TABLES
        if name.startswith("results/") and not (
            (name.startswith(results) and (name in accounted or name in manifests or is_product))
            or OTHER_PIPELINE.fullmatch(name)
        ):
            return f"{name} belongs to no artifact: refused"
    return None
