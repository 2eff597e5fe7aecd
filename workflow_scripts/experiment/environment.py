"""The environment that Snakemake's jobs run in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from pathlib import Path


def prepare_environment(root: Path) -> None:
    """Let jobs run ``python -m workflow_scripts.<rule>`` with this Python, from any working directory.

    ``.venv/bin/snakemake`` is called without activating the environment, so its folder goes first on PATH.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    os.environ["PYTHONPATH"] = str(root)
    # Jobs fill the cores; the tokenizers' own threads would fight them, where a script does not ask for its share.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def take_over_locks(folder: Path = Path(".snakemake")) -> None:
    """Remove the locks that a killed Snakemake left in its working directory; those of one that runs stay.

    Every Snakemake of this project shares a lock of the kernel's until it ends, which its jobs do not inherit: who gets
    it alone is the only one there. Where the file system has no locks, ``snakemake --unlock`` is the user's to say.
    """
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = sorted((folder / "locks").glob("*.lock"))
            for path in left:
                path.unlink(missing_ok=True)
            if left:
                print("an earlier Snakemake was killed here: its locks are taken away", file=sys.stderr, flush=True)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
