"""Layout of the factorial study's cells, what its dials did: share down; diameter, entropy by temperature across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold what the dials did to the training groups; the cells' means are in the CSV."""
    temperatures = [f"{temperature:g}" for temperature in dict.fromkeys(numbers["temperature"])]
    sections = []
    for teacher, rows in numbers.drop_duplicates(["teacher", "sampler", "loss"]).groupby("teacher", sort=False):
        section = []
        for sampler, row in rows.groupby("sampler", sort=False):
            numbers_shown = [row["diameter"].iloc[0], *row["entropy"]]
            labels = (teacher, sampler, f"{row['share'].iloc[0]:g}")
            section.append((labels, [Cell(f"{number:.3f}") for number in numbers_shown]))
        sections.append(section)
    across = [("groups", ["diameter"]), ("entropy (bits) at temperature", temperatures)]
    return Layout({"": TextTable(("teacher", "sampler", "share"), across, sections)}, ["shown", "apart"], numbers)
