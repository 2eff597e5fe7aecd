"""Renew the locks from pyproject.toml: ``make lock``, which keeps every version that still fits.

``make lock UPGRADE="torch numpy"`` takes the newest of these, ``make lock UPGRADE=all`` of everything.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError

ROOT = Path(__file__).parents[1]
CPU_BUILDS = ROOT / "environment/torch-cpu.txt"
ANALYSIS = "environment/analysis.txt"
CUDA = re.compile(r"(cuda|nvidia|triton)(?!-ml-py)(-[\w-]+)?")
"""Packages that torch needs on a GPU alone. A build of torch for CPUs does without these gigabytes."""
LOCKS = {
    "requirements.txt": "The lock of what the pipeline runs with, on every platform, every file by its hash.",
    "requirements-cuda.txt": "Beside requirements.txt where torch is a CUDA build, as PyPI's is on Linux.",
    "requirements-dev.txt": "The lock of development: beside the runtime's, what lint, types, tests and locks need.",
}
ABOUT_ANALYSIS = "Of requirements.txt, what rebuilding an archive's numbers needs: no torch, no Java."
Entries = dict[str, str]
"""Package to its lines of a lock: name, version, platforms; hashes; what requires it."""


def renew(upgrade: list[str], *, root: Path = ROOT) -> None:
    """Write :data:`LOCKS`. Raises :class:`InputError` where nothing fits, or torch's CPU builds are not listed."""
    locked = [path.read_text(encoding="utf-8") for path in map(root.joinpath, LOCKS) if path.exists()]
    with tempfile.TemporaryDirectory() as folder:
        all_of_it, runtime = Path(folder, "all.txt"), Path(folder, "runtime.txt")
        # What uv finds in its output it keeps.
        all_of_it.write_text("\n".join(locked).replace("-r requirements.txt\n", ""), encoding="utf-8")
        options = ["--upgrade"] if upgrade == ["all"] else [f"--upgrade-package={name}" for name in upgrade]
        _compile(root, all_of_it, "--group", "dev", *options)
        shutil.copyfile(all_of_it, runtime)
        _compile(root, runtime)
        analysis = Path(shutil.copyfile(all_of_it, Path(folder, "analysis.txt")))
        _compile(root, analysis, "--group", "analysis", sources=())
        paths = (all_of_it, runtime, analysis)
        everything, needed, small = (entries(path.read_text(encoding="utf-8")) for path in paths)
    needed["torch"] = with_hashes(needed["torch"], CPU_BUILDS.read_text(encoding="utf-8"))
    cuda = {name for name in needed if CUDA.fullmatch(name)}
    parts = (
        [entry for name, entry in needed.items() if name not in cuda],
        [needed[name] for name in sorted(cuda)],
        ["-r requirements.txt\n", *(entry for name, entry in everything.items() if name not in needed)],
    )
    written = [*zip(LOCKS.items(), parts, strict=True), ((ANALYSIS, ABOUT_ANALYSIS), [needed[name] for name in small])]
    for (name, about), lines in written:
        head = f"# {about}\n# Written by make lock from pyproject.toml; not edited by hand.\n"
        (root / name).write_text(head + "".join(lines), encoding="utf-8")


def _compile(root: Path, output: Path, *options: str, sources: Sequence[str] = ("pyproject.toml",)) -> None:
    python = next(line for line in (root / "environment.yml").read_text().splitlines() if "python=" in line)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", *sources, "--quiet", "--no-header"),
            *("--universal", "--fork-strategy", "fewest", "--generate-hashes", "--annotation-style", "line"),
            *("--python-version", python.partition("=")[2], "--output-file", str(output), *options),
        ],
        cwd=root,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise InputError(f"uv finds no versions that fit together: {' '.join(done.stderr.split())}")


def entries(lock: str) -> Entries:
    """The packages of a lock by name."""
    found = re.findall(r"^[A-Za-z0-9].*\n(?:^[ \t].*\n)*", lock, re.MULTILINE)
    return {re.split(r"[=\s]", entry)[0]: entry for entry in found}


def with_hashes(torch: str, builds: str) -> str:
    """Torch's entry with the hashes of its CPU ``builds``, an entry of the same version, before PyPI's own."""
    version = re.match(r"torch==(\S+)", torch)[1]  # type: ignore[index]
    if not re.search(rf"^torch=={re.escape(version)}\+cpu\s", builds, re.MULTILINE):
        raise InputError(f"{CPU_BUILDS.name} is not of torch {version}: replace its lines, its head says whence")
    ours = re.findall(r"--hash=sha256:[0-9a-f]{64}", builds)
    line, *rest = [each for each in torch.splitlines() if each.split()[0] not in ours]
    return "\n".join([line, *(f"    {each} \\" for each in ours), *rest, ""])


def main() -> None:
    """Command line of :func:`renew`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upgrade", nargs="*", default=[], help="packages to take anew, or all")
    renew(parser.parse_args().upgrade)


if __name__ == "__main__":
    end_in_one_line(main)
