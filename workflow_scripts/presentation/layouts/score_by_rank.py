"""Layout of the fits of score against rank: domain x ranker down; each form of curve, then the best across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable

POWER, STRETCHED = "power law", "stretched exponential"


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """Errors are root mean squares, in units of the normalised score."""
    best = numbers.loc[numbers["best"], "form"]
    values = {
        "lines": len(best),
        "power": (best == POWER).sum(),
        "low": spec["fit_range"][0],
        "high": spec["fit_range"][1],
    }
    sections = []
    for _, block in numbers.groupby("domain", sort=False):
        lines = block.groupby("ranker", sort=False)
        sections.append([((own["domain"].iloc[0], ranker), _cells(own)) for ranker, own in lines])
    forms = list(dict.fromkeys(numbers["form"]))
    groups = [(form, ["rate", *["stretch"] * (form == STRETCHED), "R²", "held-out error"]) for form in forms]
    groups.append(("", ["best held out", "power law minus rival", "p"]))
    return Layout({"": TextTable(("domain", "ranker"), groups, sections)}, ["shown", "found"], numbers, values, "%.6g")


def _cells(own: pd.DataFrame) -> list[Cell]:
    texts = []
    for row in own.itertuples():
        texts.append(f"{row.rate:.2f} ({row.rate_low:.2f} to {row.rate_high:.2f})")
        if row.form == STRETCHED:
            texts.append(f"{row.stretch:.2f} ({row.stretch_low:.2f} to {row.stretch_high:.2f})")
        texts += [f"{row.r_squared:.3f}", f"{row.held_out_error**0.5:.4f}"]
    power = own[own["form"] == POWER].iloc[0]
    ends = f"{1000 * power.difference_low:+.2f} to {1000 * power.difference_high:+.2f}"
    texts += [own.loc[own["best"], "form"].iloc[0], f"{1000 * power.difference:+.2f}e-3 ({ends})"]
    texts.append("<0.001" if power.p_holm < 0.001 else f"{power.p_holm:.3f}")
    return [Cell(text) for text in texts]
