"""Layout of the variance table: sources down, and below them cells trained again; domains across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.analysis.inference import CONTROLS
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, domains_across
from workflow_scripts.presentation.table_formats import format_p
from workflow_scripts.presentation.verdict_notes import FOOTNOTE

HEADERS = ("eta²", "component", "sd", "p")
AGAIN = ("sd", "of it noise", "retraining band")
CELL = ["student", "loss", "sampler", "teacher"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure; the Markdown has the cells trained again as a second table."""
    measure, seeds = spec["measures"][0], len(spec["seeds"])
    rows = numbers[numbers["measure"] == measure]
    sources, again = rows[rows["scope"] == "source"], rows[rows["scope"] == "cell"]
    sentence = "nothing varies" if sources.empty else "several seeds" if seeds > 1 else "one seed"
    sources = sources.assign(source=sources["source"].astype(str).str.replace(":", " x "))
    texts = {"": domains_across(["source"], sources, HEADERS, _of_source, section=0)}
    if len(again):
        keys = CELL if again["teacher"].nunique() > 1 else CELL[:3]
        texts["Training again"] = domains_across(keys, again, AGAIN, _of_cell, section=2)
    notes = ["retraining band", *["controls"] * bool((again["basis"] == CONTROLS).any()), "given trainings"]
    notes = notes if len(again) else ["no verdict"]
    values = {"measure": measure, "seeds": seeds, "confidence": f"{100 * spec['confidence']:g}%"}
    return Layout(texts, ["shown", sentence], numbers, values, SIX_DIGITS, notes=notes)


def _of_source(row: tuple) -> list[str]:
    shares = ["" if np.isnan(share) else f"{100 * share:.1f}%" for share in (row.eta_squared, row.component_share)]
    return [*shares, "" if np.isnan(row.component) else f"{np.sqrt(row.component):.4f}", format_p(row.p)]


def _of_cell(row: tuple) -> list[str]:
    mark = FOOTNOTE * (row.basis == CONTROLS)
    return [f"{row.sd:.4f}{mark}", f"{row.sd_noise:.4f}", f"{row.band_low:.3f} to {row.band_high:.3f}"]
