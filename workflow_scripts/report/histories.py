"""Training histories of many students: one curve a student, loss and sampler, smoothed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table


@dataclass(frozen=True)
class Curve:
    """A cell's training, mean over its runs (seeds, teachers): each # (steps,), documents seen so far among them."""

    documents: np.ndarray
    loss: np.ndarray
    gradient_norm: np.ndarray


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving mean over ``window`` steps (made odd); at the ends over what there is, so nothing is shifted.

    A value that is not finite (the norm of a step that overflowed) is left out; NaN where a window holds no other.
    """
    half = max(window, 1) // 2
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0), dtype=np.float64)])
    counts = np.concatenate([[0], np.cumsum(finite)])
    places = np.arange(len(values))
    first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    with np.errstate(invalid="ignore"):
        return (sums[last] - sums[first]) / (counts[last] - counts[first])


def mean_curve(students: Sequence[str | Path], share: float) -> Curve:
    """Mean over students of one cell, then smoothed over a window of ``share`` of the steps; finite values only.

    ``students`` are manifests. Raises :class:`InputError` where they were trained for different numbers of steps.
    """
    frames = [read_table(Artifact(manifest).file("history.parquet")) for manifest in students]
    if len({len(frame) for frame in frames}) != 1:
        raise InputError(f"{students[0]} and its other seeds were trained for different steps: train them again")
    window = round(share * len(frames[0]))
    loss, norm = (_mean([frame[name].to_numpy() for frame in frames]) for name in ("loss", "gradient_norm"))
    return Curve(frames[0]["documents"].to_numpy(), smooth(loss, window), smooth(norm, window))


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over the first axis of what is finite; NaN where nothing is."""
    return np.ma.masked_invalid(np.stack(values)).mean(axis=0).filled(np.nan)
