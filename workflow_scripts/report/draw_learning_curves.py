"""Draw training loss and gradient norm by sampler: a column for each loss function, two rows for each student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.presentation.plots import PAGE, new_figure, plain_log_axis, save_figure, style
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table

QUANTITIES = ("loss", "gradient_norm")


def draw_learning_curves(*, spec: Mapping, students: Sequence[Path], png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``spec``: ``rankers`` ([student, loss, sampler, teacher, seed], as many as the manifests ``students`` and in their
    order), the lists ``students``, ``losses`` and ``samplers`` in the order of the panels, ``smoothing`` (the moving
    mean's share of the steps). A line is the mean over teachers and seeds. Gradient norms are before clipping.
    """
    cells: dict[tuple, list] = {}
    for ranker, manifest in zip(spec["rankers"], students, strict=True):
        cells.setdefault(tuple(ranker[:3]), []).append(manifest)
    curves = {cell: mean_curves(manifests, spec["smoothing"]) for cell, manifests in cells.items()}
    losses, samplers = spec["losses"], spec["samplers"]
    rows = [(student, quantity) for student in spec["students"] for quantity in QUANTITIES]
    figure, axes = new_figure(PAGE, 0.5 + 1.25 * len(rows), len(rows), len(losses), sharex=True)
    for (student, quantity), row in zip(rows, axes, strict=True):
        row[0].set_ylabel(f"{student}\n{quantity.replace('_', ' ')}")
        for loss, panel in zip(losses, row, strict=True):
            for sampler in samplers:
                if (student, loss, sampler) not in curves:
                    raise InputError(f"no student {student} of {loss} and {sampler} was given: train it")
                curve = curves[student, loss, sampler]
                panel.plot(curve["documents"] / 1000, curve[quantity], label=sampler, **style(samplers, sampler))
            panel.grid(True)
            if quantity == "gradient_norm":
                plain_log_axis(panel.yaxis)
    for loss, panel in zip(losses, axes[0], strict=True):
        panel.set_title(loss)
    figure.supxlabel("documents seen, thousands", fontsize=7.5)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), handlelength=2.6)
    figure.align_ylabels()
    save_figure(figure, png, pdf)


def mean_curves(students: Sequence[Path], share: float) -> dict[str, np.ndarray]:
    """``documents`` seen, ``loss`` and ``gradient_norm`` of one cell by step  # (steps,) each, mean over its students.

    Smoothed over a window of ``share`` of the steps. ``students`` are manifests. Raises :class:`InputError` where they
    were trained for different numbers of steps.
    """
    frames = [read_table(Artifact(manifest).file("history.parquet")) for manifest in students]
    if len({len(frame) for frame in frames}) != 1:
        raise InputError(f"{students[0]} and its other seeds were trained for different steps: train them again")
    curves = {"documents": frames[0]["documents"].to_numpy()}
    for name in QUANTITIES:
        # Mean of what is finite; NaN where nothing is.
        values = np.ma.masked_invalid(np.stack([frame[name].to_numpy() for frame in frames])).mean(axis=0)
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
    run(draw_learning_curves)
