"""Layout of the variance table: sources down, and below them cells trained again; domains across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.analysis.inference import CONTROLS
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable
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
    texts = {"": _text_table(sources)} | ({"Training again": _trained_again(again)} if len(again) else {})
    notes = ["retraining band", *["controls"] * bool((again["basis"] == CONTROLS).any()), "given"]
    values = {"measure": measure, "seeds": seeds, "confidence": f"{100 * spec['confidence']:g}%"}
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    return Layout(texts, ["shown", sentence], numbers, values, "%.6g", notes=notes if len(again) else ["no verdict"])


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


def _trained_again(rows: pd.DataFrame) -> TextTable:
    """A section is a student's loss."""
    keys = CELL if rows["teacher"].nunique() > 1 else CELL[:3]
    found = {(row.domain, *(getattr(row, key) for key in keys)): row for row in rows.itertuples()}
    domains = list(dict.fromkeys(rows["domain"]))
    sections: dict[tuple, list] = {}
    for labels in dict.fromkeys(rows[keys].itertuples(index=False, name=None)):
        cells = [Cell(text) for domain in domains for text in _of_cell(found[domain, *labels])]
        sections.setdefault(labels[:2], []).append((labels, cells))
    return TextTable(keys, [(domain, AGAIN) for domain in domains], list(sections.values()))


def _of_cell(row: tuple) -> list[str]:
    mark = FOOTNOTE * (row.basis == CONTROLS)
    return [f"{row.sd:.4f}{mark}", f"{row.sd_noise:.4f}", f"{row.band_low:.3f} to {row.band_high:.3f}"]
