"""Layout of the equivalence table: domain x student x loss (x teacher) down; pairs of samplers across."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from workflow_scripts.analysis.paired import MARKS
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure: each pair's difference and the mark of its outcome."""
    measure, rule = spec["measures"][0], spec["rule"]
    rows = numbers[numbers["measure"] == measure]
    margin = "absolute margin" if rule["margin_of"] == "absolute" else "relative margin"
    sentences = ["nothing to compare"] if rows.empty else ["shown", margin, "median"]
    counts = rows["outcome"].value_counts()
    values = {outcome: counts.get(outcome, 0) for outcome in MARKS}
    values |= {"measure": measure, "pairs": len(rows), "margin": rule["margin"]}
    values |= {"median": rows["smallest_margin"].median()}
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    return Layout({"": _text_table(rows, Grid.of(spec))}, sentences, numbers, values, "%.6g")


def _text_table(rows: pd.DataFrame, grid: Grid) -> TextTable:
    keys = ["student", "loss", "teacher"] if len(grid.teachers) > 1 else ["student", "loss"]
    sections = []
    for domain, of_domain in rows.groupby("domain", sort=False):
        section = []
        for labels, block in of_domain.groupby(keys, sort=False):
            # As compared: the rows of a block are in the order of the pairs.
            cells = [Cell(f"{row.mean_difference:+.3f} {MARKS[row.outcome]}") for row in block.itertuples()]
            section.append(((domain, *labels), cells))
        sections.append(section)
    pairs = [f"{one} / {other}" for one, other in combinations(grid.samplers, 2)]
    return TextTable(("domain", *keys), [("", pairs)], sections)
