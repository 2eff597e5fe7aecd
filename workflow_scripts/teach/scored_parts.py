"""The finished parts of a long scoring job, so that a killed one goes on where it was."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from workflow_scripts.storage.artifacts import CHECKPOINT, atomic_path
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.provenance import cost_so_far


class ScoredParts:
    """One file of scores a part, in ``.checkpoint`` beside the artifact's manifest.

    ``fingerprint`` is of what is scored, with what and how (:func:`~workflow_scripts.storage.provenance.fingerprint`):
    parts under another one are not read. ``cost_before_resume``: cost of earlier, interrupted runs of this job.
    """

    def __init__(self, folder: str | Path, fingerprint: str) -> None:
        self.folder = Path(folder) / CHECKPOINT
        self.parts = self.folder / fingerprint
        self.cost_before_resume: dict[str, float] = {}
        self.checksums: dict[str, str] = {}  # of the parts, by the names of their files
        with contextlib.suppress(OSError, ValueError):
            about = json.loads((self.parts / "about.json").read_text())
            self.cost_before_resume, self.checksums = about["cost"], about["checksums"]

    def load(self, number: int, pairs: int) -> np.ndarray | None:
        """Scores float32 (pairs,) of a finished part; None, with a line where its file is damaged, for others."""
        path = self._path(number)
        if not path.exists():
            return None
        if sha256(path) == self.checksums.get(path.name):
            scores = np.load(path)
            if scores.shape == (pairs,):
                return scores
        print(f"part {number} is scored again: {path} is not the file that was written", file=sys.stderr, flush=True)
        return None

    def save(self, number: int, scores: np.ndarray) -> None:
        """Keep a finished part, and what the job has cost so far."""
        with atomic_path(self._path(number)) as path:
            np.save(path, scores)
        self.checksums[self._path(number).name] = sha256(self._path(number))
        with atomic_path(self.parts / "about.json") as path:
            path.write_text(json.dumps({"cost": cost_so_far(self.cost_before_resume), "checksums": self.checksums}))

    def remove(self) -> None:
        """Delete the parts: the artifact is final."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.parts / f"{number:06d}.npy"
