"""Layout of the factorial study's cells, what its dials did: share down; diameter, entropy by temperature across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout, table_by


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold what the dials did to the training groups; the cells' means are in the CSV."""
    temperatures = [f"{temperature:g}" for temperature in dict.fromkeys(numbers["temperature"])]
    cells = numbers.drop_duplicates(["teacher", "sampler", "loss"])
    cells = cells.assign(share=cells["share"].map("{:g}".format))
    across = [("groups", ["diameter"]), ("entropy (bits) at temperature", temperatures)]
    return Layout({"": table_by(["teacher", "sampler", "share"], cells, across, _texts)}, ["shown", "apart"], numbers)


def _texts(cells: pd.DataFrame) -> list[str]:
    return [f"{number:.3f}" for number in (cells["diameter"].iloc[0], *cells["entropy"])]
