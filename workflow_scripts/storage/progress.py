"""How far a long job is: a bar on a terminal, a line every ten seconds in a log; its numbers go to a tracker too."""

from __future__ import annotations

import sys
import time
from typing import Any

from workflow_scripts.storage.tracking import Tracker

EVERY_S = 10


class Progress:
    """Counts what is done of ``total`` (None where it is not known), in ``unit``, on stderr; a last line at the end.

    What is left to go is judged by the time that what is done has taken.
    """

    def __init__(self, total: float | None, unit: str) -> None:
        self.total, self.unit, self.done = total, unit, 0.0
        self._began = self._said = time.monotonic()
        self._ended = False
        self._tracker: Tracker | None = None
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit=f" {unit}", unit_scale=True, file=sys.stderr)

    @property
    def due(self) -> bool:
        """Is it time for a line? For a caller whose note costs something."""
        return time.monotonic() - self._said > EVERY_S

    def add(self, done: float, note: str = "") -> None:
        """Count ``done`` more; the ``note`` stands at the end of the line, if there is one now."""
        self.done += done
        # What is counted may exceed a total that was estimated.
        ends = self.total is not None and self.done >= self.total and not self._ended
        self._ended = self._ended or ends
        if note:
            self._tracker = self._tracker or Tracker()
            self._tracker.log(note, self.done)
        if ends and self._tracker:
            self._tracker.close()
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done)
            if ends:
                self._bar.close()
        elif ends or self.due:
            self._said = time.monotonic()
            print(self._line(note), file=sys.stderr, flush=True)

    def _line(self, note: str) -> str:
        spent = max(time.monotonic() - self._began, 1e-9)
        of = f" of {self.total:,.0f}" if self.total else ""
        parts = [f"{self.done:,.0f}{of} {self.unit}", f"{self.done / spent:,.0f} a second"]
        if self.total and 0 < self.done < self.total:
            parts.append(f"{spent * (self.total / self.done - 1):,.0f} s to go")
        return ", ".join([*parts, *([note] if note else [])])
