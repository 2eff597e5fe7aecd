"""The grid as a picture: for each domain and student a row for each loss and sampler, a dot with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.analysis.summaries import Grid, reference_label, whole_domains
from workflow_scripts.report.page.charts import MARKERS, Axis

CELL = ["student", "loss", "sampler", "teacher", "domain"]
WIDTH, LABELS, ROW, TOP, BOTTOM = 420, 152, 17, 22, 34


@dataclass(frozen=True)
class Row:
    """A cell of the grid: where its dot and interval lie, and what a reader is told of it."""

    label: str
    loss: int
    sampler: int
    marker: str
    mean: float
    x: float
    low: float
    high: float
    y: float
    text: str
    command: str
    strip: tuple[float, float] | None


@dataclass(frozen=True)
class Panel:
    """One domain and student."""

    domain: str
    student: str
    height: float
    axis: Axis
    rows: Sequence[Row]
    references: Sequence[tuple[float, str, str]]


def panels(main: pd.DataFrame, variance: pd.DataFrame, spec: Mapping, confidence: float) -> list[Panel]:
    """A panel for each domain and student of the main table's numbers; the students of a domain share their axis.

    ``variance``: numbers of the variance table, whose bands say where a cell comes out when it is trained again.
    ``confidence``: of the main table's intervals. ``spec``: ``measure``, ``make`` and the axes of the grid.
    """
    grid, measure = Grid.of(spec), spec["measure"]
    interval = f"{100 * confidence:g}% interval over queries"
    whole = whole_domains(main, measure)
    bands = variance[variance["band_low"].notna() & (variance["measure"] == measure)]
    whole = whole.merge(bands[[*CELL, "band_low", "band_high"]], how="left", on=CELL)
    found = []
    for domain, rows in whole.groupby("domain", sort=False):
        values = rows[["mean", "ci_low", "ci_high", "band_low", "band_high"]].stack().dropna()
        axis = Axis.around(values, LABELS, WIDTH - 12, label=measure)
        for student in grid.students:
            found.append(_panel(rows, grid, axis, str(domain), student, spec["make"], interval))
    return found


def _panel(rows: pd.DataFrame, grid: Grid, axis: Axis, domain: str, student: str, make: str, interval: str) -> Panel:
    own = rows[rows["student"] == student].reset_index(drop=True)
    shown = [_row(place, row, grid, axis, domain, make, interval) for place, row in enumerate(own.itertuples())]
    references = []
    for ranker in grid.references:
        mean = rows.set_index(["student", "loss", "sampler", "teacher"])["mean"].get(ranker)
        if mean is not None:
            label = " ".join(filter(None, reference_label(ranker, len(grid.teachers) > 1)))
            references.append((axis.at(mean), label, f"{label} {mean:.3f}"))
    return Panel(domain, student, TOP + ROW * len(shown) + BOTTOM, axis, shown, references)


def _row(place: int, row: tuple, grid: Grid, axis: Axis, domain: str, make: str, interval: str) -> Row:
    several = len(grid.teachers) > 1
    names = [row.loss, row.sampler, *([row.teacher] if several else [])]
    cell = ".".join((row.student, row.loss, row.sampler, row.teacher, f"seed{grid.seeds[0]}"))
    spread = "" if pd.isna(row.std_seed) else f", sd over seeds {row.std_seed:.4f}"
    strip = None if pd.isna(row.band_low) else (axis.at(row.band_low), axis.at(row.band_high))
    again = f"; trained again: {row.band_low:.4f} to {row.band_high:.4f}" if strip else ""
    seeds = f"{row.n_seeds} seed{'s' * (row.n_seeds > 1)}, {row.n_queries} queries"
    return Row(
        label=" · ".join(names),
        loss=grid.losses.index(row.loss),
        sampler=grid.samplers.index(row.sampler),
        marker=MARKERS[grid.samplers.index(row.sampler) % len(MARKERS)],
        mean=row.mean,
        x=axis.at(row.mean),
        low=axis.at(row.ci_low),
        high=axis.at(row.ci_high),
        y=TOP + ROW * place + ROW / 2,
        text=f"{row.mean:.4f}, {interval} {row.ci_low:.4f} to {row.ci_high:.4f}; {seeds}{spread}{again}",
        command=f"make cell {make} CELL={cell} DOMAIN={domain}",
        strip=strip,
    )
