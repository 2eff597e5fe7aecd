"""How long jobs take: measured in this run, else read from the logs of earlier ones."""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from workflow_scripts.storage.logs import DONE

KEPT = re.compile(rb"^(kept|reused): ", re.MULTILINE)
"""In the first lines of the log of a job that found what it would make, here or in another experiment's results."""
FIRST_LINES = 2000
"""Bytes."""


class JobTimes:
    """Mean seconds of a rule's jobs."""

    def __init__(self) -> None:
        self._now: dict[str, list[float]] = defaultdict(list)
        self._before: dict[str, list[float]] = defaultdict(list)

    def add(self, rule: str, seconds: float) -> None:
        """Note a job that has ended in this run."""
        self._now[rule].append(seconds)

    def read_logs(self, folder: Path) -> None:
        """Read what earlier jobs took from the last lines of their logs, ``folder/RULE.log`` or below ``folder/RULE``.

        Jobs that found what they would make are left out.
        """
        for path in folder.rglob("*.log"):
            with contextlib.suppress(OSError):
                with open(path, "rb") as file:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - 40))
                    ended = re.search(rf"^{DONE}([\d.]+) s$".encode(), file.read(), re.MULTILINE)
                if ended and not was_kept(path):
                    self._before[path.relative_to(folder).parts[0].removesuffix(".log")].append(float(ended[1]))

    def expected(self, rule: str) -> float | None:
        """Seconds of a job of the rule; of one that was never timed the mean of all rules, None where none was."""
        # The rules that measure students, one for each evaluation set, share the folder of measure_runs.
        earlier = re.sub(r"^measure_students_\w+", "measure_runs", rule)
        if seconds := self._now.get(rule) or self._before.get(earlier):
            return fmean(seconds)
        timed = [*map(fmean, {**self._before, **self._now}.values())]
        return fmean(timed) if timed else None

    def work(self, jobs: Mapping[str, int]) -> float | None:
        """Seconds that so many jobs of each rule take one after another; None where nothing was ever timed."""
        expected = {rule: self.expected(rule) for rule in jobs}
        if None in expected.values():
            return None
        return sum(count * (expected[rule] or 0.0) for rule, count in jobs.items())


def was_kept(log: Path) -> bool:
    """Does the log of a job that has ended say that it found what it would make?"""
    try:
        with open(log, "rb") as file:
            return KEPT.search(file.read(FIRST_LINES)) is not None
    except OSError:
        return False


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 20 min``, ``2 d 5 h``."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"
