"""Artifacts: a folder with data files and, written last, the manifest that vouches for them.

One job writes one folder. Its ``manifest.json`` says what the artifact is (kind, spec, sizes and SHA-256 checksums of
its files, counts) and, through :mod:`~workflow_scripts.storage.provenance`, how it came about. A folder without a
manifest is not an artifact: a job that dies leaves none behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.storage.checked import file_fault, note_written
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import writer_lock
from workflow_scripts.storage.provenance import (
    CARD,
    MANIFEST,
    describe_inputs,
    describe_job,
    describe_run,
    how_to_remake,
    note_opened,
    part_checksum,
    place,
    place_fault,
)

PARTIAL = ".partial"
NOTHING = "nothing"
"""The count that says, in words, why an artifact holds nothing: of a model that could not be trained, and its runs."""
CHECKPOINT = ".checkpoint"
"""Folder of unfinished work beside a manifest."""
Inputs = Mapping[str, str | Path | Sequence[str | Path]]
"""Argument to the path, or paths, given under it: manifests or source files."""


class Artifact:
    """A finished artifact, opened through its manifest. What is read of it is noted for the manifest of the reader.

    Files are compared with the manifest's checksums when they are asked for, see
    :mod:`~workflow_scripts.storage.checked`. Raises :class:`InputError` where the manifest is missing, is not one, is
    another artifact's, or names a file outside its folder.
    """

    def __init__(self, manifest: str | Path) -> None:
        self.manifest_path = Path(manifest)
        try:
            self._manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
            self._files = self._manifest["files"]
            outside = [name for name in self._files if Path(name).is_absolute() or ".." in Path(name).parts]
            if not outside:
                part_checksum(self._manifest, "identity")  # it has all that an artifact must say of itself
        except FileNotFoundError:
            raise InputError(f"{manifest} is missing: build the artifact first") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                f"{manifest} is not an artifact's manifest: delete it and build the artifact again"
            ) from None
        if outside:
            raise InputError(
                f"{manifest} names {outside[0]!r}, a path outside its folder: delete it and build it again"
            )
        if fault := place_fault(self.manifest_path, self._manifest):
            raise InputError(f"{manifest} {fault}; {how_to_remake(self.manifest_path)}")

    def _note(self, part: str) -> None:
        note_opened(self.manifest_path, part, part_checksum(self._manifest, part))

    @property
    def folder(self) -> Path:
        """The artifact's folder, for a library that reads it whole: every file is as the manifest says."""
        for name in self._files:
            if name != CARD:  # readers may edit it; no library reads it
                self._check(name)
        self._note("folder")
        return self.manifest_path.parent

    @property
    def manifest(self) -> dict:
        self._note("identity")
        return self._manifest

    @property
    def identity(self) -> str:
        """Checksum of what the artifact is: kind, spec, counts and files, whenever and wherever it was made."""
        self._note("identity")
        return part_checksum(self._manifest, "identity")

    @property
    def kind(self) -> str:
        """What the artifact is, e.g. ``"groups"``."""
        self._note("identity")
        return self._manifest["kind"]

    @property
    def spec(self) -> dict:
        self._note("spec")
        return self._manifest["spec"]

    @property
    def counts(self) -> dict:
        """Counts recorded by the job, e.g. ``{"documents": 4000}``."""
        self._note("counts")
        return self._manifest["counts"]

    @property
    def nothing(self) -> str | None:
        """Why the artifact holds nothing; None where it does."""
        return self.counts.get(NOTHING)

    def __contains__(self, name: str) -> bool:
        self._note(f"file {name}")
        return name in self._files

    def file(self, name: str) -> Path:
        """Path of one of the artifact's files; :class:`InputError` where it is absent or not as it was written."""
        if name not in self._files:
            raise InputError(f"{self.manifest_path} lists no file {name!r}: it has {', '.join(sorted(self._files))}")
        self._check(name)
        self._note(f"file {name}")
        return self.manifest_path.parent / name

    def _check(self, name: str) -> None:
        if fault := file_fault(self.manifest_path.parent, name, self._files[name]):
            path = self.manifest_path.parent / name
            raise InputError(f"{path} {fault}; {how_to_remake(self.manifest_path)}")


class ArtifactWriter:
    """Context manager that writes an artifact whole or not at all.

    Files go to ``.partial`` inside the folder and are renamed into place when the block ends well; the manifest comes
    last. On an exception nothing of this job stays, and files the block did not make (training checkpoints) are left.
    What the running job was given is in the manifest; ``inputs`` are further paths that the artifact is made from, by
    argument. Set ``cost_before_resume`` where earlier, interrupted runs of the job have done a part of the work.
    """

    def __init__(
        self,
        manifest: str | Path,
        *,
        kind: str,
        spec: Mapping,
        inputs: Inputs | None = None,
        seed: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.manifest_path = Path(manifest)
        self.folder = self.manifest_path.parent
        self.partial = self.folder / PARTIAL
        self.kind, self.spec, self.seed, self.device = kind, dict(spec), seed, device
        self.inputs = dict(inputs or {})
        self.counts: dict = {}
        self.cost_before_resume: dict[str, float] = {}

    def __enter__(self) -> ArtifactWriter:
        self._lock = writer_lock(self.folder)
        self._lock.__enter__()
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        return self

    def path(self, name: str) -> Path:
        """Where to write the file (or folder) ``name``; parent folders are made."""
        path = self.partial / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                self._finish()
            else:
                shutil.rmtree(self.partial, ignore_errors=True)
        finally:
            self._lock.__exit__(None, None, None)

    def _finish(self) -> None:
        files = files_in(self.partial)
        manifest = {
            "kind": self.kind,
            "place": place(self.manifest_path),
            "spec": self.spec,
            "seed": self.seed,
            "counts": self.counts,
            "inputs": describe_inputs(self.inputs),
            "job": describe_job(self.inputs),
            **describe_run(self.device, self.cost_before_resume),
        }
        publish(self.partial, self.manifest_path, files, manifest)


def files_in(folder: Path) -> dict[str, dict]:
    """Size and SHA-256 of every file below a folder, by its path there."""
    return {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def publish(partial: Path, manifest_path: Path, files: Mapping[str, Mapping], manifest: Mapping) -> None:
    """Move the ``files`` of a folder ``partial`` to where their manifest lies, and write that last.

    What the earlier manifest there lists and ``files`` does not is deleted: a library that is given the folder would
    read it. The earlier manifest goes after that, so that a job that is killed on the way can be made up for.
    """
    folder = manifest_path.parent
    with contextlib.suppress(InputError):  # no manifest, or another artifact's
        for name in Artifact(manifest_path)._files.keys() - files.keys():
            if (folder / name).is_file():
                (folder / name).unlink()
    manifest_path.unlink(missing_ok=True)
    for path in sorted(partial.iterdir()):
        target = folder / path.name
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(path, target)
    partial.rmdir()
    note_written(folder, files)
    with atomic_path(manifest_path) as path:
        text = json.dumps({**manifest, "files": dict(files)}, indent=2, sort_keys=True)
        path.write_text(f"{text}\n", encoding="utf-8")


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; renamed onto it when the block ends well, removed otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays last, since writers choose a format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_manifest(path: str | Path) -> bool:
    """Is this the path of an artifact's manifest, not of a source file?"""
    return Path(path).name == MANIFEST
