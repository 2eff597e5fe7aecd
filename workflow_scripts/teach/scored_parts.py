"""Scoring pairs part by part, and the finished parts of a long job, so that a killed one goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.storage.artifacts import CHECKPOINT, ArtifactWriter, atomic_path
from workflow_scripts.storage.provenance import cost_so_far, fingerprint
from workflow_scripts.teach.fold_teachers import FoldTeachers
from workflow_scripts.teach.pools import PART, PairCodes

DIGEST = hashlib.sha256().digest_size
"""Bytes of the SHA-256 that ends a part's file."""


class ScoredParts:
    """One file of scores a part (.npy, then its SHA-256), in ``.checkpoint`` beside the artifact's manifest.

    ``fingerprint`` is of what is scored, with what and how (:func:`~workflow_scripts.storage.provenance.fingerprint`):
    parts under another one are not read. ``cost_before_resume``: cost of earlier, interrupted runs of this job.
    """

    def __init__(self, folder: str | Path, fingerprint: str) -> None:
        self.folder = Path(folder) / CHECKPOINT
        self.parts = self.folder / fingerprint
        self.cost_before_resume: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError):
            self.cost_before_resume = json.loads((self.parts / "cost.json").read_text(encoding="utf-8"))

    def load(self, number: int, pairs: int) -> np.ndarray | None:
        """Scores float32 (pairs,) of a finished part; None, with a line where its file cannot be used, for others."""
        try:
            content = self._path(number).read_bytes()
        except FileNotFoundError:
            return None
        whole, checksum = content[:-DIGEST], content[-DIGEST:]
        if hashlib.sha256(whole).digest() == checksum:
            scores = np.load(io.BytesIO(whole))
            if scores.shape == (pairs,):
                return scores
            reason = f"{len(scores)} scores of {pairs} pairs"
        else:
            reason = "its checksum does not fit its bytes"
        print(f"part {number} is scored again: its file cannot be used ({reason})", file=sys.stderr, flush=True)
        return None

    def save(self, number: int, scores: np.ndarray) -> None:
        """Keep a finished part, and what the job has cost so far."""
        buffer = io.BytesIO()
        np.save(buffer, scores)
        with atomic_path(self._path(number)) as path:
            path.write_bytes(buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest())
        with atomic_path(self.parts / "cost.json") as path:
            path.write_text(json.dumps(cost_so_far(self.cost_before_resume)), encoding="utf-8")

    def remove(self) -> None:
        """Delete the parts: the artifact is final."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.parts / f"{number:06d}.npy"


def score_in_parts(
    writer: ArtifactWriter,
    spec: Mapping,
    models: Sequence[Path],
    stores: Mapping[str, Path],
    codes: PairCodes,
    pairs: np.ndarray,
) -> tuple[ScoredParts, Iterator[tuple[np.ndarray, np.ndarray]]]:
    """The files of finished parts, to be removed when the artifact is final, and each part's codes and scores float32.

    ``pairs``: sorted codes. Of several ``models`` each scores the queries of its fold. ``spec``: ``precision``;
    ``stores``: manifests of ``queries`` and ``documents``. A part that an earlier process finished is not scored again.
    """
    teachers = FoldTeachers(models, codes, spec["precision"])
    ranker = teachers.rankers[0]
    # The pairs stand for what they were taken from.
    named = {"precision": str(next(ranker.parameters()).dtype), "pairs": hashlib.sha256(pairs).hexdigest()}
    read = {**stores, **{f"model {fold}": model for fold, model in enumerate(models)}}
    parts = ScoredParts(writer.folder, fingerprint({**spec, **named}, read, ranker.device.type))
    writer.cost_before_resume = parts.cost_before_resume
    return parts, _scored(teachers, pairs, parts)


def _scored(teachers: FoldTeachers, pairs: np.ndarray, parts: ScoredParts) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    cut = [pairs[first : first + PART] for first in range(0, len(pairs), PART)]
    progress = None
    for number, part in enumerate(cut):
        scores = parts.load(number, len(part))
        if scores is None:
            # Finished parts come first, so what is left to score is certain here.
            progress = progress or teachers.progress(pairs[number * PART :], "score_pool")
            scores = teachers.score(part, progress)
            if number + 1 < len(cut):
                parts.save(number, scores)
        yield part, scores
