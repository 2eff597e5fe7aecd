"""Layout of the controls table: student x loss down; for each domain what training again changes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable

HEADERS = ("sd", "interval", "noise", "called")


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure = spec["measures"][0]
    rows = numbers[numbers["measure"] == measure]
    sections = []
    for _, of_student in rows.groupby("student", sort=False):
        section = []
        for labels, row in of_student.groupby(["student", "loss"], sort=False):
            section.append((labels, [Cell(text) for each in row.itertuples() for text in _texts(each)]))
        sections.append(section)
    table = TextTable(("student", "loss"), [(name, HEADERS) for name in rows["domain"].unique()], sections)
    called = rows.loc[rows["loss"] == ALL, "called"]
    values = {"measure": measure, "least": 100 * called.min(), "most": 100 * called.max()}
    return Layout({"": table}, ["shown", "called"], numbers, values, "%.6g")


def _texts(row: tuple) -> tuple[str, ...]:
    return (
        f"{row.sd:.4f}",
        f"{row.sd_low:.4f} to {row.sd_high:.4f}",
        f"{row.noise:.4f}",
        "" if pd.isna(row.called) else f"{100 * row.called:.0f}%",
    )
