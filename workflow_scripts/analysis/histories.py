"""Training histories of many students: one curve a student, loss and sampler, smoothed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.storage.artifacts import Artifact, InputError
from workflow_scripts.storage.tables import read_table


@dataclass(frozen=True)
class Curve:
    """A cell's training, mean over its runs (seeds, teachers): each # (steps,), documents seen so far among them."""

    documents: np.ndarray
    loss: np.ndarray
    gradient_norm: np.ndarray


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving mean over ``window`` steps (made odd); at the ends over what there is, so nothing is shifted."""
    half = max(window, 1) // 2
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(len(values))
    first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def mean_curve(students: Sequence[str | Path], share: float) -> Curve:
    """Mean over students of one cell, then smoothed over a window of ``share`` of the steps.

    ``students`` are manifests. Raises :class:`InputError` where they were trained for different numbers of steps.
    """
    frames = [read_table(Artifact(manifest).file("history.parquet")) for manifest in students]
    if len({len(frame) for frame in frames}) != 1:
        raise InputError(f"{students[0]} and its other seeds were trained for different steps: train them again")
    window = round(share * len(frames[0]))
    loss, norm = (np.mean([frame[name] for frame in frames], axis=0) for name in ("loss", "gradient_norm"))
    return Curve(frames[0]["documents"].to_numpy(), smooth(loss, window), smooth(norm, window))
