"""Layout of the risk table: references, then loss x sampler (x teacher) down; domain x student across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.presentation.grid_table import Column, grid_table
from workflow_scripts.presentation.layout import Layout

KEYS = ["student", "loss", "sampler", "teacher", "domain"]
COUNTS = ["n_queries", "n_left_out"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the main grid, the CSV the rankers of the studies too."""
    grid = Grid.of(spec)
    domains = numbers["domain"].unique()
    columns = [Column(name, student, student, (name,)) for name in domains for student in grid.students]
    text = grid_table(grid, columns, numbers.set_index(KEYS)[["risk", "std_seed"]].T.to_dict("list"), least=True)
    measured, left_out = numbers.drop_duplicates("domain")[COUNTS].sum()
    shown = "several seeds" if len(grid.seeds) > 1 else "one seed"
    sentences = [shown, "left out"] if left_out else [shown]
    values = {"seeds": len(grid.seeds), "left_out": left_out, "queries": measured + left_out}
    return Layout({"": text}, sentences, numbers.drop(columns=COUNTS), values)
