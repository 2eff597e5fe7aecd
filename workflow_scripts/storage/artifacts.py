"""Artifacts: a folder with data files and, written last, the manifest that vouches for them.

One job writes one folder. Its ``manifest.json`` holds what made the artifact (spec, seed, input checksums, library
versions, device, git commit), what it consists of (file sizes and SHA-256 checksums, counts) and what it cost. A folder
without a manifest is not an artifact: a job that dies leaves none behind.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from workflow_scripts.storage.energy import start_meter

MANIFEST = "manifest.json"
PARTIAL = ".partial"
_STARTED = time.monotonic()
_METER = start_meter()
_LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow",
    "torch",
    "transformers",
    "tokenizers",
    "pyserini",
    "faiss-cpu",
    "ir_datasets",
    "ir_measures",
)


class InputError(Exception):
    """Bad input; the message is one line that names the item and the fix."""


def run(main: Callable[[], None]) -> None:
    """Run a script's ``main``; an :class:`InputError` becomes one line on stderr and exit status 1.

    ``--log FILE`` on the command line, taken off before ``main`` sees it, sends all that the process and its children
    print to FILE; what ends a failed run is then said on stderr too, in one line.
    """
    terminal = _log_to(_take_option("--log"))
    try:
        main()
    except InputError as error:
        _end(f"error: {' '.join(str(error).split())}", terminal)
    except Exception as error:
        traceback.print_exc()
        _end(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", terminal)


def _take_option(name: str) -> str | None:
    """Take ``name VALUE`` off the command line."""
    if name not in sys.argv[:-1]:
        return None
    index = sys.argv.index(name)
    value = sys.argv[index + 1]
    del sys.argv[index : index + 2]
    return value


def _log_to(path: str | None) -> int | None:
    """Point file descriptors 1 and 2 at ``path``; returns a copy of the old stderr, None without a path."""
    if path is None:
        return None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    # Descriptors, not sys.stderr: the JVM and the tokenizers' threads write to these.
    with open(path, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return terminal


def _end(message: str, terminal: int | None) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    if terminal is not None:
        os.write(terminal, f"{message}\n".encode())
    sys.exit(1)


def parse_spec(text: str) -> dict:
    """Read the JSON object of ``--spec``; raises ``argparse.ArgumentTypeError`` for anything else."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("the spec is a JSON object")
    return value


def derive_seed(seed: int, *parts: object) -> int:
    """A 64-bit seed from ``seed`` and what the draw is for, e.g. ``derive_seed(0, "sampling", query_id)``.

    BLAKE2b over the parts' text, so a draw depends on neither the order nor the sharding of the work.
    """
    text = "\0".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Artifact:
    """A finished artifact, opened through its manifest.

    Raises :class:`InputError` where the manifest is missing, is not one, or names a file outside its folder.
    """

    def __init__(self, manifest: str | Path) -> None:
        self.manifest_path = Path(manifest)
        self.folder = self.manifest_path.parent
        try:
            self.manifest = json.loads(self.manifest_path.read_text())
            self._files = self.manifest["files"]
        except FileNotFoundError:
            raise InputError(f"{manifest} is missing: build the artifact first") from None
        except (json.JSONDecodeError, KeyError, TypeError):
            raise InputError(
                f"{manifest} is not an artifact's manifest: delete it and build the artifact again"
            ) from None
        for name in self._files:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise InputError(f"{manifest} names {name!r}, a path outside its folder: delete it and build it again")

    @property
    def spec(self) -> dict:
        """The spec that the artifact was made with."""
        return self.manifest["spec"]

    @property
    def counts(self) -> dict:
        """Counts recorded by the job, e.g. ``{"documents": 4000}``."""
        return self.manifest["counts"]

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def file(self, name: str) -> Path:
        """Path of one of the artifact's files; :class:`InputError` where it is absent or its size has changed."""
        path = self.folder / name
        if name not in self._files:
            raise InputError(f"{self.manifest_path} lists no file {name!r}: it has {', '.join(sorted(self._files))}")
        if not path.is_file() or path.stat().st_size != self._files[name]["bytes"]:
            raise InputError(
                f"{path} is missing or not what its manifest says: delete {self.manifest_path} to make it again"
            )
        return path


class ArtifactWriter:
    """Context manager that writes an artifact whole or not at all.

    Files go to ``.partial`` inside the folder and are renamed into place when the block ends well; the manifest comes
    last. On an exception nothing of this job stays, and files the block did not make (training checkpoints) are left.
    """

    def __init__(
        self,
        manifest: str | Path,
        *,
        spec: Mapping,
        inputs: Mapping[str, str | Path | list[str | Path]] | None = None,
        seed: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.manifest_path = Path(manifest)
        self.folder = self.manifest_path.parent
        self.partial = self.folder / PARTIAL
        self.spec, self.seed, self.device = dict(spec), seed, device
        self.inputs = dict(inputs or {})
        self.counts: dict = {}
        self.earlier: dict[str, float] = {}  # what processes that ended before the job did have cost

    def __enter__(self) -> ArtifactWriter:
        self._lock = _lock_folder(self.folder)
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
            os.close(self._lock)

    def _finish(self) -> None:
        self.manifest_path.unlink(missing_ok=True)
        files = {
            str(path.relative_to(self.partial)): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(self.partial.rglob("*"))
            if path.is_file()
        }
        for path in sorted(self.partial.iterdir()):
            target = self.folder / path.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(path, target)
        self.partial.rmdir()
        manifest = {
            "spec": self.spec,
            "seed": self.seed,
            "inputs": {name: _input_checksums(paths) for name, paths in self.inputs.items()},
            "files": files,
            "counts": self.counts,
            "versions": _versions(),
            "device": self.device,
            "commit": _commit(),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "cost": cost_so_far(self.earlier),
        }
        with atomic_path(self.manifest_path) as path:
            path.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def _lock_folder(folder: Path) -> int:
    """Lock a folder for this process; the lock goes with the descriptor that is returned, or with the process.

    A killed Snakemake leaves its jobs running: the same job, started again, must not write beside the orphan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InputError(f"another process is writing {folder}: wait for it or end it, then run this again") from None
    except OSError:  # a file system without locks
        pass
    return descriptor


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


def _input_checksums(paths: str | Path | list[str | Path]) -> dict | list[dict]:
    if isinstance(paths, str | Path):
        return {"path": str(paths), "sha256": sha256(Path(paths))}
    return [_input_checksums(path) for path in paths]


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _commit() -> str | None:
    """The code's git commit, with ``-dirty`` where the working tree differs; None outside a checkout."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _peak_rss_kb(own: resource.struct_rusage) -> int:
    """This process' own peak. Linux' ru_maxrss outlives exec: a small job would tell the size of what started it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return own.ru_maxrss
    return int(status.partition("VmHWM:")[2].split()[0])


def cost_so_far(earlier: Mapping[str, float]) -> dict[str, float]:
    """What this process and ``earlier`` ones of the same job have cost: times and energies add up, peaks are maxima.

    ``gpu_energy_wh`` is left out where only some of the processes measured it: a part is not the job's energy.
    """
    cost = _cost()
    if earlier and ("gpu_energy_wh" in earlier) != ("gpu_energy_wh" in cost):
        cost.pop("gpu_energy_wh", None)
        earlier = {name: value for name, value in earlier.items() if name != "gpu_energy_wh"}
    for name, value in earlier.items():
        now = cost.get(name, 0.0)
        cost[name] = max(now, value) if name.startswith("peak_") else round(now + value, 3)
    return cost


def _cost() -> dict[str, float]:
    """What this process has cost so far; wall time from the import of this module, among a script's first.

    ``gpu_energy_wh`` is measured over the same time, on the GPUs where this process has held memory.
    """
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "wall_s": round(time.monotonic() - _STARTED, 3),
        "cpu_s": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 3),
        "peak_rss_mb": round(max(_peak_rss_kb(own), children.ru_maxrss) / 1024, 1),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        cost["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        used = [index for index in range(torch.cuda.device_count()) if torch.cuda.max_memory_reserved(index)]
        energy = _METER.used_wh(str(torch.cuda.get_device_properties(index).uuid) for index in used)
        if energy is not None:
            cost["gpu_energy_wh"] = round(energy, 3)
    return cost
