"""The log of a job: all that it and its children print, and the logs of attempts that did not end well."""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path

DONE = "done in "


def log_to(path: str) -> int:
    """Send all that this process and its children print to ``path``; returns a copy of the old stderr.

    The log of an attempt that did not end well is kept beside it: ``NAME.log.1``, then ``.2``, until one does.
    """
    log = Path(path)
    log.parent.mkdir(parents=True, exist_ok=True)
    earlier = sorted(log.parent.glob(f"{glob.escape(log.name)}.[0-9]*"))
    if _ended_well(log):
        for attempt in (log, *earlier):  # a new file: an orphan of a killed run may still write to the old one
            attempt.unlink(missing_ok=True)
    else:
        os.replace(log, log.with_name(f"{log.name}.{len(earlier) + 1}"))
    terminal = os.dup(2)
    # Descriptors, not sys.stderr: the JVM and the tokenizers' threads write to these.
    with open(path, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return terminal


def end_log(seconds: float) -> None:
    """Print the line by which the next run knows that this one ended well, after so many seconds."""
    print(f"{DONE}{seconds:.1f} s", file=sys.stderr, flush=True)


def _ended_well(log: Path) -> bool:
    """Whether there is nothing to keep: no log, an empty one, or one whose last line :func:`end_log` printed."""
    try:
        lines = log.read_bytes().splitlines()
    except FileNotFoundError:
        return True
    return not lines or lines[-1].startswith(DONE.encode())
