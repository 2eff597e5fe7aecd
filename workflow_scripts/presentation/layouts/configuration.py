"""Layout of the configuration table: a section for each part of the pipeline, a row for each setting and value."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """A part's and a setting's name stand in their first row only."""
    sections = []
    for part, rows in numbers.groupby("part", sort=False):
        first = rows["setting"] != rows["setting"].shift()
        names = rows["setting"].where(first, "")
        parts = [str(part), *[""] * (len(rows) - 1)]
        labels = zip(parts, names, rows["of"], strict=True)
        sections.append([(label, [Cell(value)]) for label, value in zip(labels, rows["value"], strict=True)])
    table = TextTable(("part", "setting", "of"), [("", ["value"])], sections)
    return Layout({"": table}, ["shown", "shared"], numbers)
