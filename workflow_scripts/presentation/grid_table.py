"""A table of the main grid: references, then loss x sampler (x teacher) down; across, values of a student each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np

from workflow_scripts.analysis.summaries import Grid, reference_label
from workflow_scripts.presentation.table_formats import Cell, TextTable, best_per_column, format_value, text_table

NOISE_BAND = "noise band"
"""Stands for a sampler in the row of a block's noise band."""


@dataclass(frozen=True)
class Column:
    """A spanning header, the header below it, and what the values are of: a student, and a domain or a collection."""

    group: str
    header: str
    student: str
    key: tuple[str, ...]


def grid_table(
    grid: Grid,
    columns: Sequence[Column],
    values: Mapping[tuple[str, ...], Sequence[float]],
    *,
    letters: Mapping[tuple[str, ...], str] | None = None,
    bands: Mapping[tuple[str, ...], float] | None = None,
    least: bool = False,
) -> TextTable:
    """The best student of each column bold (with ``least``, the one of the smallest value).

    ``values``: (student, loss, sampler, teacher, *key of a column) to mean and spread; ``letters``, where given, to the
    letters of a student's value; ``bands``: (student, loss, teacher, *key) to the noise band of a block, a row below
    its cells. A reference has one value for a key, shown under each student.
    """
    several = len(grid.teachers) > 1
    labels = ("loss", "sampler", "teacher") if several else ("loss", "sampler")
    rows = list(product(grid.losses, grid.samplers, grid.teachers))
    keys = [[(column.student, *row, *column.key) for column in columns] for row in rows]
    found = np.array([[values[key] for key in row] for row in keys], dtype=float)  # (rows, columns, mean and spread)
    texts = np.array([[format_value(*pair) for pair in row] for row in found], dtype=object)
    best = best_per_column(texts, -found[:, :, 0] if least else found[:, :, 0])
    above = [[letters[key] if letters else "" for key in row] for row in keys]
    lines: list[tuple] = [
        ((), reference_label(ranker, several), [format_value(*values[(*ranker, *column.key)]) for column in columns])
        for ranker in grid.references
    ]
    for row, *of_row in zip(rows, texts, best, above, strict=True):
        lines.append((row[0], row[: len(labels)], [Cell(*parts) for parts in zip(*of_row, strict=True)]))
    for loss, teacher in product(grid.losses, grid.teachers) if bands else ():
        widths = [bands[column.student, loss, teacher, *column.key] for column in columns]
        if not np.isnan(widths).all():
            cells = ["" if np.isnan(width) else f"±{width:.3f}" for width in widths]
            lines.append((loss, (loss, NOISE_BAND, teacher)[: len(labels)], cells))
    groups = [(group, [column.header for column in own]) for group, own in groupby(columns, lambda each: each.group)]
    return text_table(labels, groups, lines)
