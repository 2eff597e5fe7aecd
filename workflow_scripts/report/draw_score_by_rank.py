"""Draw score against rank ratio for teachers and students, log-log, with power-law fits: a panel for each domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.presentation.plots import COLUMN, PAGE, TEACHER, new_figure, save_figure, style
from workflow_scripts.report.profiles import domain_profiles, fit_power_law, positive
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("domain", "ranker", "exponent", "scale", "r_squared")


def draw_score_by_rank(*, spec: Mapping, profiles: Path, png: Path, pdf: Path, fits: Path) -> pd.DataFrame:
    """Write the figure twice and its fits (CSV), which are returned.

    ``spec``: ``domains``, ``students``, ``teachers``, ``fit_range`` of the rank ratio. A student's line is the mean
    over its losses, samplers, teachers and seeds, its band goes from the lowest to the highest of them; a fit, dashed,
    is :func:`fit_power_law` of the line within the range. Scores are those of :func:`mean_profile`.
    """
    domains = parse_domains(spec["domains"])
    frame = read_table(profiles)
    columns = min(len(domains), 3)
    rows = -(-len(domains) // columns)
    width = COLUMN if columns == 1 else PAGE
    figure, axes = new_figure(width, 0.35 + 2.25 * rows, rows, columns, sharex=True, sharey=True)
    found = []
    for domain, panel in zip(domains, axes.flat, strict=False):
        found += _draw_panel(panel, domain, frame, spec)
    for panel in axes.flat[len(domains) :]:
        panel.set_visible(False)
    for row in axes:
        row[0].set_ylabel("mean normalised score")
    for panel in axes[-1]:
        panel.set_xlabel("rank ratio (rank / candidates)")
    save_figure(figure, png, pdf)
    table = pd.DataFrame(found, columns=list(COLUMNS))
    with atomic_path(fits) as path:
        table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    return table


def _draw_panel(panel: Axes, domain: Domain, frame: pd.DataFrame, spec: Mapping) -> list[tuple]:
    several = len(spec["teachers"]) > 1
    lines = [(f"teacher {name}" if several else "teacher", "teacher", name) for name in spec["teachers"]]
    lines += [(name, name, None) for name in spec["students"]]
    found = []
    for label, student, teacher in lines:
        chosen = frame[frame["student"] == student]
        if teacher is not None:
            chosen = chosen[chosen["teacher"] == teacher]
        ratios, curves = domain_profiles(chosen, domain)  # (points,), (rankers, points)
        mean = positive(curves.mean(axis=0))
        law = fit_power_law(ratios, mean, spec["fit_range"])
        look = {"color": TEACHER} if teacher else {"color": style(spec["students"], student)["color"]}
        panel.plot(ratios, mean, label=f"{label}: $r^{{-{law.exponent:.2f}}}$, $R^2$ {law.r_squared:.2f}", **look)
        if len(curves) > 1:
            low, high = positive(curves.min(axis=0)), positive(curves.max(axis=0))
            panel.fill_between(ratios, low, high, alpha=0.15, linewidth=0, **look)
        reach = np.array([max(spec["fit_range"][0], ratios[0]), spec["fit_range"][1]])
        panel.plot(reach, law.at(reach), linestyle=(0, (4, 2)), linewidth=0.8, zorder=3, **look)
        found.append((domain.name, label, law.exponent, law.scale, law.r_squared))
    panel.set(xscale="log", yscale="log", title=domain.name, ylim=(None, 1.4))
    panel.axvspan(spec["fit_range"][1], 1, color="#F2F2F2", linewidth=0, zorder=0)
    panel.legend(loc="lower left", handlelength=1.4)
    return found


if __name__ == "__main__":
    run(draw_score_by_rank)
