"""Draw effectiveness against cost, a panel for each student, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.analysis.query_values import standing_at
from workflow_scripts.analysis.summaries import BM25
from workflow_scripts.analysis.summaries import TEACHER as TEACHER_ROWS
from workflow_scripts.presentation.plots import (
    MARKERS,
    PAGE,
    PALETTE,
    TEACHER,
    new_figure,
    plain_log_axis,
    save_figure,
)
from workflow_scripts.report.costs import pareto_front
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_cost(*, spec: Mapping, cost: Path, effectiveness: Path, png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``cost`` and ``effectiveness`` are the cost and the main table's CSV. ``spec``: ``students``, ``losses``,
    ``samplers``, ``domain`` and ``measure`` of the vertical axis. Horizontal: the energy estimate of all that stands
    behind one trained student, from raw data (evaluation apart). A point is a loss, sampler and teacher, mean over
    seeds; the front joins those that nothing cheaper reaches.
    """
    points = _points(spec, cost, effectiveness)
    students = spec["students"]
    figure, axes = new_figure(PAGE, 3.2, 1, len(students), sharex=True, sharey=True)
    references = _values(spec, effectiveness)
    for student, panel in zip(students, axes[0], strict=True):
        _draw_panel(panel, points[points["student"] == student], spec)
        for name, label, dashes in ((BM25, "BM25", ":"), (TEACHER_ROWS, "teacher", "-.")):
            values = references.loc[references["student"] == name, "mean"]
            panel.axhline(values.max(), color=TEACHER, linewidth=0.7, linestyle=dashes, zorder=1)
            if panel is axes[0, -1]:
                place = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
                panel.annotate(label, (1.01, values.max()), **place)
        panel.set(title=student, xlabel="energy of one student from raw data, Wh (estimate)")
        plain_log_axis(panel.xaxis)
    axes[0, 0].set_ylabel(f"{spec['measure']}, {spec['domain']}")
    _add_legend(figure, spec)
    save_figure(figure, png, pdf)


def _draw_panel(panel: Axes, points: pd.DataFrame, spec: Mapping) -> None:
    front = points.iloc[pareto_front(points["energy_wh"].to_numpy(), points["mean"].to_numpy())]
    panel.step(front["energy_wh"], front["mean"], where="post", color="#B0B0B0", linewidth=1.4, zorder=1)
    for row in points.itertuples():
        marker = MARKERS[spec["losses"].index(row.loss) % len(MARKERS)]
        colour = PALETTE[spec["samplers"].index(row.sampler) % len(PALETTE)]
        panel.plot(row.energy_wh, row.mean, marker, color=colour, markersize=5, markeredgewidth=0, alpha=0.75, zorder=3)
    panel.grid(True, which="major")


def _points(spec: Mapping, cost: str | Path, effectiveness: str | Path) -> pd.DataFrame:
    """Energy and effectiveness of every student of the spec's losses and samplers."""
    keys = ["student", "loss", "sampler", "teacher"]
    costs = pd.read_csv(cost, keep_default_na=False, na_values={"energy_wh": [""]})
    costs = costs.loc[costs["scope"] == "student", [*keys, "energy_wh"]]
    values = _values(spec, effectiveness)
    chosen = values[
        values["student"].isin(spec["students"])
        & values["loss"].isin(spec["losses"])
        & values["sampler"].isin(spec["samplers"])
    ]
    energy = costs.set_index(keys)["energy_wh"].to_dict()
    cells = chosen[keys].itertuples(index=False, name=None)
    points = chosen.assign(energy_wh=[energy.get(standing_at(cell, energy), np.nan) for cell in cells])
    if points.empty or points[["mean", "energy_wh"]].isna().any(axis=None):
        raise InputError(
            f"a student's cost or its {spec['measure']} on {spec['domain']} is missing: make both tables again"
        )
    return points.sort_values("energy_wh", kind="stable")


def _values(spec: Mapping, effectiveness: str | Path) -> pd.DataFrame:
    """The main table's rows of the domain and measure."""
    table = pd.read_csv(effectiveness, keep_default_na=False, na_values={"mean": [""]})
    chosen = (table["domain"] == spec["domain"]) & (table["collection"] == ALL) & (table["measure"] == spec["measure"])
    return table[chosen]


def _add_legend(figure: object, spec: Mapping) -> None:
    from matplotlib.lines import Line2D

    blank = {"linestyle": "none", "markersize": 5}
    samplers = [
        Line2D([], [], marker="o", color=PALETTE[place % len(PALETTE)], label=name, **blank)
        for place, name in enumerate(spec["samplers"])
    ]
    losses = [
        Line2D([], [], marker=MARKERS[place % len(MARKERS)], color="#606060", label=name, **blank)
        for place, name in enumerate(spec["losses"])
    ]
    front = [Line2D([], [], color="#B0B0B0", linewidth=1.4, label="Pareto front")]
    handles = [*samplers, *losses, *front]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.0, handletextpad=0.3)


if __name__ == "__main__":
    run(draw_cost)
