"""Smooth each cell's training histories: loss and gradient norm by documents seen, mean over teachers and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table, write_numbers

QUANTITIES = {"training_loss": "loss", "gradient_norm": "gradient_norm"}
"""A curve's column, and the history's."""


def smooth_curves(*, spec: Mapping, students: Sequence[Path], output: Path) -> None:
    """Write the numbers: student, loss, sampler, documents, training_loss, gradient_norm.

    ``spec``: ``rankers`` ([student, loss, sampler, teacher, seed], as many as the manifests ``students`` and in their
    order), ``smoothing`` (the moving mean's share of the steps). Gradient norms are before clipping.
    """
    cells: dict[tuple, list] = {}
    for ranker, manifest in zip(spec["rankers"], students, strict=True):
        cells.setdefault(tuple(ranker[:3]), []).append(manifest)
    frames = []
    for (student, loss, sampler), manifests in cells.items():
        curves = mean_curves(manifests, spec["smoothing"])
        frames.append(pd.DataFrame({"student": student, "loss": loss, "sampler": sampler, **curves}))
    write_numbers(output, pd.concat(frames, ignore_index=True), spec)


def mean_curves(students: Sequence[Path], share: float) -> dict[str, np.ndarray]:
    """``documents``, ``training_loss`` and ``gradient_norm`` of a cell by step  # (steps,) each: means over students.

    Smoothed over a window of ``share`` of the steps. ``students`` are manifests. Raises :class:`InputError` where they
    were trained for different numbers of steps.
    """
    frames = [read_table(Artifact(manifest).file("history.parquet")) for manifest in students]
    if len({len(frame) for frame in frames}) != 1:
        raise InputError(f"{students[0]} and its other seeds were trained for different steps: train them again")
    curves = {"documents": frames[0]["documents"].to_numpy()}
    for name, column in QUANTITIES.items():
        # Mean of what is finite; NaN where nothing is.
        values = np.ma.masked_invalid(np.stack([frame[column].to_numpy() for frame in frames])).mean(axis=0)
        curves[name] = smooth(values.filled(np.nan), round(share * len(frames[0])))
    return curves


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


if __name__ == "__main__":
    run(smooth_curves)
