"""Layout of the fits of score against rank: domain x ranker down; each form of curve, then the best across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, table_by
from workflow_scripts.presentation.table_formats import format_p

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
    forms = list(dict.fromkeys(numbers["form"]))
    groups = [(form, ["rate", *["stretch"] * (form == STRETCHED), "R²", "held-out error"]) for form in forms]
    groups.append(("", ["best held out", "power law minus rival", "p"]))
    table = table_by(["domain", "ranker"], numbers, groups, _texts)
    return Layout({"": table}, ["shown", "found"], numbers, values, SIX_DIGITS)


def _texts(own: pd.DataFrame) -> list[str]:
    texts = []
    for row in own.itertuples():
        texts.append(f"{row.rate:.2f} ({row.rate_low:.2f} to {row.rate_high:.2f})")
        if row.form == STRETCHED:
            texts.append(f"{row.stretch:.2f} ({row.stretch_low:.2f} to {row.stretch_high:.2f})")
        texts += [f"{row.r_squared:.3f}", f"{row.held_out_error**0.5:.4f}"]
    power = own[own["form"] == POWER].iloc[0]
    ends = f"{1000 * power.difference_low:+.2f} to {1000 * power.difference_high:+.2f}"
    best = own.loc[own["best"], "form"].iloc[0]
    return [*texts, best, f"{1000 * power.difference:+.2f}e-3 ({ends})", format_p(power.p_holm)]
