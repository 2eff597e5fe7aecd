"""Layout of the claims table: a section a claim; student, domain and part down; estimate, interval, verdict across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.analysis.inference import CONTROLS
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.presentation.verdict_notes import FOOTNOTE

VERDICTS = ("supported", "contradicted", "undecided", "not testable here")
ROW = ["claim", "teacher", "student", "domain"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold every claim's verdicts, then its parts."""
    verdicts = numbers.drop_duplicates(ROW)
    counts = verdicts["verdict"].value_counts()
    values = {name.replace(" ", "_"): counts.get(name, 0) for name in VERDICTS}
    values |= {"claims": numbers["claim"].nunique(), "rows": len(verdicts), "measure": spec["measure"]}
    texts = {"": _verdicts(verdicts, spec), "Parts": _parts(numbers, spec)}
    notes = ["controls"] * bool((numbers["basis"] == CONTROLS).any()) + ["given"]
    return Layout(texts, ["shown", "found"], numbers, values, "%.6g", in_latex=2, notes=notes)


def _labels(row: tuple, spec: Mapping) -> tuple[str, ...]:
    where = (row.student, row.domain) if len(spec["teachers"]) < 2 else (row.student, row.domain, row.teacher)
    return (row.claim, *where)


def _headers(spec: Mapping) -> tuple[str, ...]:
    return ("claim", "student", "domain", *["teacher"] * (len(spec["teachers"]) > 1))


def _verdicts(verdicts: pd.DataFrame, spec: Mapping) -> TextTable:
    sections = []
    for _, block in verdicts.groupby("claim", sort=False):
        rows = [
            (
                _labels(row, spec),
                [Cell(row.sentence), Cell(row.verdict, row.verdict == "contradicted"), Cell(row.decided_by)],
            )
            for row in block.itertuples()
        ]
        sections.append(rows)
    return TextTable(_headers(spec), [("", ["sentence", "verdict", "would decide it"])], sections)


def _parts(numbers: pd.DataFrame, spec: Mapping) -> TextTable:
    sections = []
    for _, block in numbers[numbers["part"] != ""].groupby("claim", sort=False):
        sections.append([((*_labels(row, spec), row.part), _numbers(row)) for row in block.itertuples()])
    return TextTable((*_headers(spec), "part"), [("", ["estimate", "interval", "p"])], sections)


def _numbers(row: tuple) -> list[Cell]:
    estimate = "" if np.isnan(row.estimate) else f"{row.estimate:+.3g}"
    interval = "" if np.isnan(row.ci_low) else f"{row.ci_low:+.3g} to {row.ci_high:+.3g}"
    p = "" if np.isnan(row.p) else ("<0.001" if row.p < 0.001 else f"{row.p:.3f}") + FOOTNOTE * (row.basis == CONTROLS)
    return [Cell(text) for text in (estimate, interval, p)]
