"""Layout of the controls table: student x loss down; for each domain what training again changes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, domains_across

HEADERS = ("sd", "its interval", "noise (estimated apart)", "called")


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure = spec["measures"][0]
    rows = numbers[numbers["measure"] == measure]
    table = domains_across(["student", "loss"], rows, HEADERS, _texts)
    called = rows.loc[rows["loss"] == ALL, "called"]
    values = {"measure": measure, "least": 100 * called.min(), "most": 100 * called.max()}
    return Layout({"": table}, ["shown", "called"], numbers, values, SIX_DIGITS)


def _texts(row: tuple) -> tuple[str, ...]:
    return (
        f"{row.sd:.4f}",
        f"{row.sd_low:.4f} to {row.sd_high:.4f}",
        f"{row.noise:.4f}",
        "" if pd.isna(row.called) else f"{100 * row.called:.0f}%",
    )
