"""Layout of the variance table: sources down; for each domain shares, the deviation that a source adds, the p-value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable

HEADERS = ("eta²", "component", "sd", "p")


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure, seeds = spec["measures"][0], len(spec["seeds"])
    rows = numbers[numbers["measure"] == measure]
    sentence = "nothing varies" if rows.empty else "several seeds" if seeds > 1 else "one seed"
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    return Layout({"": _text_table(rows)}, ["shown", sentence], numbers, {"measure": measure, "seeds": seeds}, "%.6g")


def _text_table(rows: pd.DataFrame) -> TextTable:
    found = rows.set_index(["source", "domain"])[["eta_squared", "component_share", "component", "p"]].T.to_dict("list")
    domains = list(dict.fromkeys(rows["domain"]))
    section = []
    for source in dict.fromkeys(rows["source"]):
        cells = [Cell(text) for domain in domains for text in _texts(*found[source, domain])]
        section.append(((source.replace(":", " x "),), cells))
    return TextTable(("source",), [(domain, HEADERS) for domain in domains], [section])


def _texts(eta: float, share: float, component: float, p: float) -> list[str]:
    small = "<0.001" if p < 0.001 else f"{p:.3f}"
    texts = (f"{100 * eta:.1f}%", f"{100 * share:.1f}%", f"{np.sqrt(component):.4f}", small)
    return ["" if np.isnan(value) else text for value, text in zip((eta, share, component, p), texts, strict=True)]
