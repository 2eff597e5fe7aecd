"""Draw score against rank ratio for teachers and students, log-log, with fitted curves: a panel for each domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.presentation.plots import COLUMN, PAGE, TEACHER, new_figure, save_figure, style
from workflow_scripts.report.profiles import domain_profiles, lines_of, positive
from workflow_scripts.report.rank_curves import POWER, curve_at
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_numbers, read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHED, DOTTED, NOT_FITTED = (0, (4, 2)), (0, (1, 1.5)), "#F2F2F2"


def draw_score_by_rank(*, spec: Mapping, profiles: Path, fits: Path, png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``profiles`` and ``fits``: the scores by rank ratio and their fits. ``spec``: ``domains``, ``students``,
    ``teachers``, ``fit_range`` of the rank ratio. A student's line is the mean over its losses, samplers, teachers and
    seeds, its band goes from the lowest to the highest of them. The power law is dashed and its best rival dotted, over
    the range that was fitted; a panel's legend names the curve of the least held-out error.
    """
    domains = parse_domains(spec["domains"])
    frame, laws = read_table(profiles), read_numbers(fits)[0].set_index(["domain", "ranker", "form"]).sort_index()
    columns = min(len(domains), 3)
    rows = -(-len(domains) // columns)
    width = COLUMN if columns == 1 else PAGE
    figure, axes = new_figure(width, 0.6 + 2.25 * rows, rows, columns, sharex=True, sharey=True)
    for domain, panel in zip(domains, axes.flat, strict=False):
        _draw_panel(panel, domain, frame, laws.loc[domain.name], spec)
    for panel in axes.flat[len(domains) :]:
        panel.set_visible(False)
    for row in axes:
        row[0].set_ylabel("mean normalised score")
    for panel in axes[-1]:
        panel.set_xlabel("rank ratio (rank / candidates)")
    _add_key(figure, 4 if columns > 1 else 2)
    save_figure(figure, png, pdf)


def _draw_panel(panel: Axes, domain: Domain, frame: pd.DataFrame, laws: pd.DataFrame, spec: Mapping) -> None:
    for label, chosen in lines_of(frame, spec):
        ratios, curves = domain_profiles(chosen, domain)  # (points,), (rankers, points)
        own = laws.loc[label]
        colour = style(spec["students"], label)["color"] if label in spec["students"] else TEACHER
        text = f"{label}: $r^{{-{own['rate'][POWER]:.2f}}}$\n{own.index[own['best']][0]} is best"
        panel.plot(ratios, positive(curves.mean(axis=0)), label=text, color=colour)
        if len(curves) > 1:
            low, high = positive(curves.min(axis=0)), positive(curves.max(axis=0))
            panel.fill_between(ratios, low, high, alpha=0.15, linewidth=0, color=colour)
        reach = np.geomspace(max(spec["fit_range"][0], ratios[0]), spec["fit_range"][1], 50)
        for form, dashes in ((POWER, DASHED), (own["rival"][POWER], DOTTED)):
            fit = curve_at(form, *own.loc[form, ["scale", "rate", "stretch"]], reach)
            panel.plot(reach, fit, linestyle=dashes, linewidth=0.8, zorder=3, color=colour)
    panel.set(xscale="log", yscale="log", title=domain.name, ylim=(None, 1.4))
    panel.axvspan(spec["fit_range"][1], 1, color=NOT_FITTED, linewidth=0, zorder=0)
    # Outside the layout: a long name must not make its panel narrow.
    panel.legend(loc="lower left", handlelength=1.4, fontsize=6).set_in_layout(False)


def _add_key(figure: Figure, columns: int) -> None:
    """What the dashes and greys of every panel mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    line = {"color": "#606060", "linewidth": 0.8}
    handles = [
        Line2D([], [], label="power law", linestyle=DASHED, **line),
        Line2D([], [], label="its best rival", linestyle=DOTTED, **line),
        Patch(label="lowest to highest ranker", color="#606060", alpha=0.15, linewidth=0),
        Patch(label="not fitted", color=NOT_FITTED),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, handlelength=2.2)


if __name__ == "__main__":
    run(draw_score_by_rank)
