"""The environment that Snakemake's jobs run in."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.storage.results import TREES, results_folder

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

CLOCK_TOLERANCE_S = 1
SNAKEMAKE_LIMIT = (100, 1)
"""Jobs, and seconds."""


def prepare_environment(root: Path) -> None:
    """Let jobs run ``python -m workflow_scripts.<stage>.<rule>`` with this Python, from any working directory.

    ``.venv/bin/snakemake`` is called without activating the environment, so its folder goes first on PATH.
    """
    # Paths and texts are UTF-8, whatever the locale; Snakemake itself starts again where it could not open such a path.
    os.environ["PYTHONUTF8"] = "1"
    if sys.getfilesystemencoding() != "utf-8" and "snakemake" in Path(sys.argv[0]).parts:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    # A file of the working directory that is named like a module (random.py) is not imported for it.
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONPATH"] = str(root)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # Jobs fill the cores; the tokenizers' own threads would fight them, where a script does not ask for its share.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def let_jobs_reuse(results: Iterable[str]) -> None:
    """Let jobs take artifacts over from the results of other experiments, given by name or path."""
    os.environ[TREES] = json.dumps([str(results_folder(each)) for each in results])


def start_jobs_as_they_come(workflow: Workflow) -> None:
    """Take away Snakemake's own limit of 100 jobs started a second; one that a user asks for stays.

    Under any limit its scheduler (9.27) has itself woken a second after each pass, and a job's end makes one pass more:
    the passes a second grow with the jobs that have run, and after some hundreds of them fill a core.
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == SNAKEMAKE_LIMIT:
        workflow.scheduler.job_rate_limiter = None


def take_over_locks(folder: Path = Path(".snakemake")) -> None:
    """Remove the locks that a killed Snakemake left in its working directory; those of one that runs stay.

    Every Snakemake of this project shares a lock of the kernel's until it ends, which its jobs do not inherit: who gets
    it alone is the only one there. Where the file system has no locks, ``snakemake --unlock`` is the user's to say.
    """
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = sorted((folder / "locks").glob("*.lock"))
            for path in left:
                path.unlink(missing_ok=True)
            if left:
                print("an earlier Snakemake was killed here: its locks are taken away", file=sys.stderr, flush=True)
        finally:
            # Waited for: another that starts at this moment has it alone, and soon shares it too.
            fcntl.flock(descriptor, fcntl.LOCK_SH)


def bring_to_now(path: str) -> None:
    """Give a file from the future (a clock was set back) the present time.

    Snakemake ends with an error where an output is older than an input, and would make it again for ever.
    """
    try:
        if os.path.getmtime(path) > time.time() + CLOCK_TOLERANCE_S:
            os.utime(path)
            print(f"{path} was from the future: it now has the present time", file=sys.stderr, flush=True)
    except OSError:  # absent, or another user's: Snakemake will say so
        pass
