"""Draw training loss and gradient norm by sampler: a column for each loss function, two rows for each student."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.presentation.plots import PAGE, legend_above, new_figure, plain_log_axis, save_figure, style
from workflow_scripts.report.smooth_curves import QUANTITIES
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table


def draw_learning_curves(*, spec: Mapping, curves: Path, png: Path, pdf: Path) -> None:
    """Write the figure twice, from the numbers of ``smooth_curves``.

    ``spec``: the lists ``students``, ``losses`` and ``samplers`` in the order of the panels.
    """
    found = dict(iter(read_table(curves).groupby(["student", "loss", "sampler"], sort=False)))
    losses, samplers = spec["losses"], spec["samplers"]
    rows = [(student, quantity) for student in spec["students"] for quantity in QUANTITIES]
    figure, axes = new_figure(PAGE, 0.5 + 1.25 * len(rows), len(rows), len(losses), sharex=True)
    for (student, quantity), row in zip(rows, axes, strict=True):
        row[0].set_ylabel(f"{student}\n{quantity.replace('_', ' ')}")
        for loss, panel in zip(losses, row, strict=True):
            for sampler in samplers:
                if (student, loss, sampler) not in found:
                    raise InputError(f"no student {student} of {loss} and {sampler} was given: train it")
                curve = found[student, loss, sampler]
                panel.plot(curve["documents"] / 1000, curve[quantity], label=sampler, **style(samplers, sampler))
            panel.grid(True)
            if quantity == "gradient_norm":
                plain_log_axis(panel.yaxis)
    for loss, panel in zip(losses, axes[0], strict=True):
        panel.set_title(loss)
    figure.supxlabel("documents seen, thousands", fontsize=7.5)
    legend_above(figure, axes[0, 0].get_legend_handles_labels()[0], handlelength=2.6)
    figure.align_ylabels()
    save_figure(figure, png, pdf)


if __name__ == "__main__":
    run(draw_learning_curves)
