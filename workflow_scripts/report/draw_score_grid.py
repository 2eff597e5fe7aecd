"""Draw the mean score at each rank, log-log: a grid of losses (rows) and samplers (columns), students and teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.presentation.plots import PAGE, TEACHER, legend_above, new_figure, save_figure, style
from workflow_scripts.report.profiles import domain_profiles, positive
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_score_grid(*, spec: Mapping, profiles: Path, png: Path, pdf: Path) -> None:
    """Write the figure twice: the first of ``spec["domains"]``, scores as :func:`mean_profile` makes them.

    ``spec``: ``domains``, ``students``, ``losses``, ``samplers``, ``teachers``, ``depth`` (candidates of a query, so
    that a rank ratio reads as a rank). A line is the mean over teachers and seeds.
    """
    domain, frame = parse_domains(spec["domains"])[0], read_table(profiles)
    losses, samplers = spec["losses"], spec["samplers"]
    width, height = PAGE, 0.55 + 1.35 * len(losses)
    figure, axes = new_figure(width, height, len(losses), len(samplers), sharex=True, sharey=True)
    for row, loss in zip(axes, losses, strict=True):
        for panel, sampler in zip(row, samplers, strict=True):
            _draw_panel(panel, domain, frame, spec, loss, sampler)
        row[0].set_ylabel(f"{loss}\nmean normalised score")
    for panel, sampler in zip(axes[0], samplers, strict=True):
        panel.set_title(sampler)
    for panel in axes[-1]:
        panel.set_xlabel("rank")
    legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    save_figure(figure, png, pdf)


def _draw_panel(panel: Axes, domain: Domain, frame: pd.DataFrame, spec: Mapping, loss: str, sampler: str) -> None:
    teachers = frame[(frame["student"] == "teacher") & frame["teacher"].isin(spec["teachers"])]
    cell = frame[(frame["loss"] == loss) & (frame["sampler"] == sampler)]
    lines = [("teacher", teachers, {"color": TEACHER, "linewidth": 0.9})]
    lines += [(name, cell[cell["student"] == name], style(spec["students"], name)) for name in spec["students"]]
    for label, chosen, look in lines:
        ratios, curves = domain_profiles(chosen, domain)  # (points,), (rankers, points)
        panel.plot(ratios * spec["depth"], positive(curves.mean(axis=0)), label=label, **look)
    panel.set(xscale="log", yscale="log")
    panel.grid(True, which="major")


if __name__ == "__main__":
    run(draw_score_grid)
