"""Layout of the configuration table: a section for each part of the pipeline, a row for each setting and value."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import text_table


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """A part's and a setting's name stand in their first row only."""
    of_part = numbers.groupby("part", sort=False)
    named = numbers.assign(
        first_part=numbers["part"].where(of_part.cumcount() == 0, ""),
        first_setting=numbers["setting"].where(numbers["setting"] != of_part["setting"].shift(), ""),
    )
    lines = ((row.part, (row.first_part, row.first_setting, row.of), [row.value]) for row in named.itertuples())
    table = text_table(("part", "setting", "of"), [("", ["value"])], lines)
    return Layout({"": table}, ["shown", "shared"], numbers)
