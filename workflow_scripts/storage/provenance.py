"""What a manifest says beside its files: what a job read, what code and libraries it ran, what it cost.

And, from a manifest that is there, whether a job would make the same artifact again (:func:`difference`). Nothing here
can touch a result: this module is outside every digest of code.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import platform
import resource
import shlex
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.storage.checked import file_fault, output_fault, signature
from workflow_scripts.storage.checksums import checksum_of, sha256
from workflow_scripts.storage.code import ROOT, forget, git_commit, job_digest
from workflow_scripts.storage.energy import start_meter
from workflow_scripts.storage.processor import description, model

MANIFEST = "manifest.json"
CARD = "README.md"
_START = time.monotonic()
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


@dataclass
class Job:
    """One run of a script: its module, spec, paths by argument, other values, and its code's digest at the start."""

    module: str
    spec: Mapping
    paths: Mapping[str, Path | Sequence[Path]]
    values: Mapping[str, object]
    code: str = field(init=False)
    sources: Mapping[Path, tuple | None] = field(init=False)

    def __post_init__(self) -> None:
        self.code = job_digest(self.module, self.spec)
        paths = [path for given in self.paths.values() for path in _as_list(given)]
        self.sources = {path: signature(path) for path in paths if path.name != MANIFEST}

    @property
    def label(self) -> str:
        """Experiment and name of what is made, ``demo/be/kl.bm25.base/seed0``, or the script where it has no name."""
        parts = next((path.parts for paths in self.paths.values() for path in _as_list(paths)), ())
        experiment = parts[parts.index("results") + 1] if "results" in parts[:-1] else ""
        return f"{experiment}/{self.spec.get('name', self.module.rpartition('.')[2])}"

    def changed_source(self) -> Path | None:
        """A source file that was written while the job ran, if there is one: nobody can say what was read."""
        return next((path for path, before in self.sources.items() if signature(path) != before), None)

    def code_at_end(self) -> str | None:
        """The code's digest; None where a file was edited while the job ran: nobody can say what ran."""
        forget()
        return self.code if job_digest(self.module, self.spec) == self.code else None


_current: list[Job] = []
_opened: dict[Path, dict[str, str]] = {}


def current_job() -> Job | None:
    """The job that writes now; None outside of one."""
    return _current[-1] if _current else None


@contextlib.contextmanager
def doing(job: Job) -> Iterator[None]:
    """What is written within the block is written by ``job``."""
    _current.append(job)
    _opened.clear()
    try:
        yield
    finally:
        _current.remove(job)


def note_opened(manifest: Path, part: str, checksum: str) -> None:
    """Note that the process has read ``part`` (a file, the spec, the counts) of an artifact."""
    _opened.setdefault(manifest.absolute(), {})[part] = checksum


def part_checksum(manifest: Mapping, part: str) -> str:
    """Checksum of a part of an artifact: ``spec``, ``counts``, ``folder`` (its files), ``identity`` or ``file NAME``.

    Cards count nowhere. ``identity`` is what an artifact is: kind, spec, counts and files, whenever, wherever and by
    whichever library version it was made.
    """
    files = {name: about["sha256"] for name, about in manifest["files"].items() if name != CARD}
    if part.startswith("file "):
        return files.get(part.removeprefix("file "), "absent")
    if part in ("spec", "counts"):
        return checksum_of(manifest[part])
    if part == "folder":
        return checksum_of(files)
    return checksum_of([manifest.get("kind"), manifest["spec"], manifest["counts"], files])


def fingerprint(decisive: Mapping, inputs: Mapping[str, Path], device: str) -> str:
    """SHA-256 of what decides the numbers of unfinished work: code, settings, inputs' files, device, torch."""
    files = {name: json.loads(path.read_text(encoding="utf-8"))["files"] for name, path in inputs.items()}
    for listed in files.values():
        listed.pop(CARD, None)
    code = _current[-1].code if _current else None
    torch = importlib.metadata.version("torch")
    return checksum_of({"code": code, "spec": dict(decisive), "inputs": files, "device": device, "torch": torch})


def difference(manifest: Path, job: Job, beside: Sequence[Path] = ()) -> str | None:
    """Why ``job`` has to run although an artifact is there, in words; None where it would make the same again.

    Compared: code, spec, arguments, and of every file that the job opened then the checksum that it has now, looked up
    through today's arguments. Manifests are read, only source files are hashed. ``beside``: files that the job
    writes outside of the artifact's folder.
    """
    try:
        made = json.loads(manifest.read_text(encoding="utf-8"))
        if fault := work_fault(made, job):
            return fault
        if fault := place_fault(manifest, made):
            return f"it {fault}"
        for name, listed in made["files"].items():
            if fault := file_fault(manifest.parent, name, listed):
                return f"{manifest.parent / name} {fault}"
        for path in beside:
            if fault := output_fault(path) if path.is_file() else "is missing":
                return f"{path} {fault}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its manifest cannot be compared ({type(error).__name__})"
    return None


def work_fault(made: Mapping, job: Job) -> str | None:
    """What ``job`` would do otherwise than the one that wrote the manifest ``made``, in words; None where nothing."""
    job_then = made["job"]
    if made["spec"] != job.spec:
        return "the spec has changed"
    if job_then["code"] != job.code:
        return "the code has changed"
    if job_then["values"] != _plain(job.values) or job_then["arguments"] != _shape(job.paths):
        return "the arguments have changed"
    return stale_input(made, job.paths)


def stale_input(made: Mapping, paths: Mapping[str, Path | Sequence[Path]]) -> str | None:
    """What an artifact's job opened and is no longer the same, in words; None where all of it is.

    ``made``: its manifest; ``paths``: the job's arguments as they are now.
    """
    for name, entries in made["job"]["opened"].items():
        for path, parts in zip(_as_list(paths[name]), entries, strict=True):
            if changed := _changed_part(path, parts):
                return f"--{name}: {changed} of {path} has changed"
    return None


def place(manifest: Path) -> str | None:
    """An artifact's folder below ``results/EXPERIMENT``; None where it lies elsewhere."""
    parts = manifest.parent.parts
    starts = [at for at, part in enumerate(parts[:-2]) if part == "results"]
    return "/".join(parts[starts[-1] + 2 :]) if starts else None


def place_fault(path: Path, manifest: Mapping) -> str | None:
    """That a manifest is another artifact's, in words; None where it lies where it was made, or outside any results."""
    made = manifest.get("place")
    if made is None or place(path) is None or f"/{path.parent.as_posix()}".endswith(f"/{made}"):
        return None
    return f"is the manifest of {made}"


def how_to_remake(path: Path) -> str:
    """The end of an error's line: how what a manifest vouches for, or a damaged file without one, is made again."""
    return f"make it again: rm {shlex.quote(str(path))}, then the same snakemake or make command as before"


def _changed_part(path: Path, parts: Mapping[str, str]) -> str | None:
    if path.name != MANIFEST:
        return None if parts["source"] == sha256(path) else "the content"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return next((part for part, checksum in parts.items() if part_checksum(manifest, part) != checksum), None)


def describe_job(inputs: Mapping[str, str | Path | Sequence[str | Path]]) -> dict:
    """The manifest's entry ``job``: code, arguments and what was opened under each (``inputs`` where no job runs)."""
    job = _current[-1] if _current else None
    paths = job.paths if job else inputs
    return {
        "module": job.module if job else None,
        "code": job.code_at_end() if job else None,
        "values": _plain(job.values) if job else {},
        "arguments": _shape(paths),
        "opened": {name: [_parts_read(path) for path in _as_list(given)] for name, given in paths.items()},
    }


def _parts_read(path: Path) -> dict[str, str]:
    if path.name != MANIFEST:
        return {"source": sha256(path)}
    return dict(sorted(_opened.get(path.absolute(), {}).items()))


def describe_inputs(inputs: Mapping[str, str | Path | Sequence[str | Path]]) -> dict:
    """Path and identity of each artifact, path and checksum of each source file, the job's arguments among them."""
    inputs = {**(_current[-1].paths if _current else {}), **inputs}
    return {
        name: [_input(path) for path in _as_list(given)] if _is_many(given) else _input(_as_list(given)[0])
        for name, given in inputs.items()
    }


def _input(path: Path) -> dict[str, str]:
    if path.name != MANIFEST:
        return {"path": str(path), "sha256": sha256(path)}
    return {"path": str(path), "identity": part_checksum(json.loads(path.read_text(encoding="utf-8")), "identity")}


def _shape(paths: Mapping) -> dict[str, int | None]:
    """Argument to the number of its paths, None where it takes one."""
    return {name: len(given) if _is_many(given) else None for name, given in sorted(paths.items())}


def _plain(values: Mapping) -> dict:
    """Values as JSON gives them back."""
    return json.loads(json.dumps(dict(values)))


def _is_many(given: object) -> bool:
    return isinstance(given, list | tuple)


def _as_list(given) -> list[Path]:
    return [Path(path) for path in (given if _is_many(given) else [given])]


def describe_run(device: str, cost_before_resume: Mapping[str, float]) -> dict:
    """Versions, hardware, arithmetic, commit, time, cost: what may change from run to run, of the same artifact."""
    return {
        "versions": _versions(),
        "device": device,
        "processor": model(),
        "arithmetic": description(device),
        "commit": git_commit(),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cost": cost_so_far(cost_before_resume),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    with contextlib.suppress(OSError, KeyError, tomllib.TOMLDecodeError):
        versions["distillery"] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "version"
        ]
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _peak_rss_kb(own: resource.struct_rusage) -> int:
    """This process's own peak. On Linux ru_maxrss survives exec: a small job would report its parent's; read VmHWM."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return _in_kb(own.ru_maxrss)
    return int(status.partition("VmHWM:")[2].split()[0])


def _in_kb(ru_maxrss: int) -> int:
    return ru_maxrss // 1024 if sys.platform == "darwin" else ru_maxrss  # macOS counts bytes


def cost_so_far(before_resume: Mapping[str, float]) -> dict[str, float]:
    """Cost of this process and of earlier, interrupted runs of the job: times and energies add up, peaks are maxima.

    ``gpu_energy_wh`` is left out where only some of the processes measured it: a part is not the job's energy.
    """
    cost = _cost()
    if before_resume and ("gpu_energy_wh" in before_resume) != ("gpu_energy_wh" in cost):
        cost.pop("gpu_energy_wh", None)
        before_resume = {name: value for name, value in before_resume.items() if name != "gpu_energy_wh"}
    for name, value in before_resume.items():
        now = cost.get(name, 0.0)
        cost[name] = max(now, value) if name.startswith("peak_") else round(now + value, 3)
    return cost


def _cost() -> dict[str, float]:
    """Cost of this process; wall time from the import of this module, among a script's first.

    ``gpu_energy_wh`` is measured over the same time, on the GPUs where this process has held memory.
    """
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "wall_s": round(time.monotonic() - _START, 3),
        "cpu_s": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 3),
        "peak_rss_mb": round(max(_peak_rss_kb(own), _in_kb(children.ru_maxrss)) / 1024, 1),
    }
    torch = sys.modules.get("torch")
    # Nothing more is asked of a job that used no GPU: is_available would load the driver.
    if torch is not None and torch.cuda.is_initialized():
        cost["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        used = [index for index in range(torch.cuda.device_count()) if torch.cuda.max_memory_reserved(index)]
        energy = _METER.used_wh(str(torch.cuda.get_device_properties(index).uuid) for index in used)
        if energy is not None:
            cost["gpu_energy_wh"] = round(energy, 3)
    return cost


def seconds_so_far() -> float:
    """Wall time since the import of this module, among a script's first."""
    return time.monotonic() - _START
