"""Draw effectiveness against cost, a panel for each student, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workflow_scripts.analysis.query_values import RANKER
from workflow_scripts.analysis.summaries import BM25, values_at, whole_domains
from workflow_scripts.analysis.summaries import TEACHER as TEACHER_ROWS
from workflow_scripts.presentation.plots import (
    MARKERS,
    PAGE,
    PALETTE,
    TEACHER,
    legend_above,
    new_figure,
    plain_log_axis,
    save_figure,
)
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {"student": "students", "loss": "losses", "sampler": "samplers"}


def draw_cost(*, spec: Mapping, cost: Path, main: Path, png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``cost`` and ``main``: the numbers of these two tables. ``spec``: ``students``, ``losses``, ``samplers``,
    ``domain`` and ``measure`` of the vertical axis. Horizontal: the energy estimate of one student bought alone, from
    raw data (evaluation apart); a line leads to what it is charged with where the teacher's pools are made for all
    samplers. A point is a loss, sampler and teacher, mean over seeds, with the main table's interval; the front joins
    those whose mean nothing cheaper reaches, its band their intervals.
    """
    values = whole_domains(read_numbers(main)[0], spec["measure"])
    values = values[values["domain"] == spec["domain"]]
    points = _points(spec, read_numbers(cost)[0], values)
    students = spec["students"]
    figure, axes = new_figure(PAGE, 3.2, 1, len(students), sharex=True, sharey=True)
    for student, panel in zip(students, axes[0], strict=True):
        _draw_panel(panel, points[points["student"] == student], spec)
        for name, label, dashes in ((BM25, "BM25", ":"), (TEACHER_ROWS, "teacher", "-.")):
            height = values.loc[values["student"] == name, "mean"].max()
            panel.axhline(height, color=TEACHER, linewidth=0.7, linestyle=dashes, zorder=1)
            if panel is axes[0, -1]:
                place = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
                panel.annotate(label, (1.01, height), **place)
        panel.set(title=student, xlabel="energy of one student bought alone, Wh (estimate)")
        plain_log_axis(panel.xaxis)
    axes[0, 0].set_ylabel(f"{spec['measure']}, {spec['domain']}")
    _add_legend(figure, spec)
    save_figure(figure, png, pdf)


def _points(spec: Mapping, costs: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Energy and effectiveness of every student of the spec's losses and samplers, cheapest first."""
    chosen = values[np.all([values[axis].isin(spec[names]) for axis, names in AXES.items()], axis=0)]
    of_students = costs[costs["scope"] == "student"].set_index(list(RANKER))
    energies = {name: values_at(chosen, of_students[name].to_dict()) for name in ("energy_wh", "alone_wh")}
    points = chosen.assign(**energies)
    if points.empty or points[["mean", *energies]].isna().any(axis=None):
        raise InputError(
            f"a student's cost or its {spec['measure']} on {spec['domain']} is missing: make both tables again"
        )
    return points.sort_values("alone_wh", kind="stable")


def pareto_front(cost: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Indices of the points that no other point reaches (value as high) at as little or less cost, cheapest first.

    ``cost`` and ``value``  # (points,). Of points equal in both the first stays.
    """
    order = np.lexsort((-value, cost))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], value[order][:-1]]))
    return order[value[order] > best]


def _draw_panel(panel: Axes, points: pd.DataFrame, spec: Mapping) -> None:
    front = points.iloc[pareto_front(points["alone_wh"].to_numpy(), points["mean"].to_numpy())]
    panel.step(front["alone_wh"], front["mean"], where="post", color="#B0B0B0", linewidth=1.4, zorder=1)
    band = {"step": "post", "color": "#B0B0B0", "alpha": 0.25, "linewidth": 0, "zorder": 0}
    panel.fill_between(front["alone_wh"], front["ci_low"], front["ci_high"], **band)
    panel.hlines(points["mean"], points["alone_wh"], points["energy_wh"], color="#B0B0B0", linewidth=0.5, zorder=1)
    for row in points.itertuples():
        marker, colour = _marker(spec, row.loss), _colour(spec, row.sampler)
        panel.vlines(row.alone_wh, row.ci_low, row.ci_high, color=colour, linewidth=0.5, alpha=0.5, zorder=2)
        panel.plot(row.alone_wh, row.mean, marker, color=colour, markersize=5, markeredgewidth=0, alpha=0.75, zorder=3)
    panel.grid(True, which="major")


def _marker(spec: Mapping, loss: str) -> str:
    return MARKERS[spec["losses"].index(loss) % len(MARKERS)]


def _colour(spec: Mapping, sampler: str) -> str:
    return PALETTE[spec["samplers"].index(sampler) % len(PALETTE)]


def _add_legend(figure: Figure, spec: Mapping) -> None:
    from matplotlib.lines import Line2D

    looks = [("o", _colour(spec, name), name) for name in spec["samplers"]]
    looks += [(_marker(spec, name), "#606060", name) for name in spec["losses"]]
    handles = [
        Line2D([], [], marker=marker, color=colour, label=name, linestyle="none", markersize=5)
        for marker, colour, name in looks
    ]
    handles.append(Line2D([], [], color="#B0B0B0", linewidth=1.4, label="Pareto front"))
    handles.append(Line2D([], [], color="#B0B0B0", linewidth=0.5, label="to its cost with shared pools"))
    legend_above(figure, handles, columnspacing=1.0, handletextpad=0.3)


if __name__ == "__main__":
    run(draw_cost)
