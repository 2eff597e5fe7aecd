"""Draw training loss and gradient norm by sampler: a column for each loss function, two rows for each student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.presentation.plots import PAGE, new_figure, plain_log_axis, save_figure, style
from workflow_scripts.report.histories import mean_curve
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError


def draw_training(*, spec: Mapping, students: Sequence[Path], png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``spec``: ``rankers`` ([student, loss, sampler, teacher, seed], as many as the manifests ``students`` and in their
    order), the lists ``students``, ``losses`` and ``samplers`` in the order of the panels, ``smoothing`` (the moving
    mean's share of the steps). A line is the mean over teachers and seeds. Gradient norms are before clipping.
    """
    if len(spec["rankers"]) != len(students):
        raise InputError(f"the spec names {len(spec['rankers'])} rankers and {len(students)} students are given")
    cells: dict[tuple, list] = {}
    for ranker, manifest in zip(spec["rankers"], students, strict=True):
        cells.setdefault(tuple(ranker[:3]), []).append(manifest)
    losses, samplers = spec["losses"], spec["samplers"]
    rows = [(student, quantity) for student in spec["students"] for quantity in ("loss", "gradient_norm")]
    figure, axes = new_figure(PAGE, 0.5 + 1.25 * len(rows), len(rows), len(losses), sharex=True)
    for (student, quantity), row in zip(rows, axes, strict=True):
        row[0].set_ylabel(f"{student}\n{quantity.replace('_', ' ')}")
        for loss, panel in zip(losses, row, strict=True):
            for sampler in samplers:
                if (student, loss, sampler) not in cells:
                    raise InputError(f"no student {student} of {loss} and {sampler} was given: train it")
                curve = mean_curve(cells[student, loss, sampler], spec["smoothing"])
                values = getattr(curve, quantity)
                panel.plot(curve.documents / 1000, values, label=sampler, **style(samplers, sampler))
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


if __name__ == "__main__":
    run(draw_training)
