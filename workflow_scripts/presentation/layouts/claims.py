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
    by_controls = (numbers["basis"] == CONTROLS).groupby([numbers[name] for name in ROW]).transform("any")
    verdicts = numbers.assign(by_controls=by_controls).drop_duplicates(ROW)
    counts = verdicts["verdict"].value_counts()
    values = {name.replace(" ", "_"): counts.get(name, 0) for name in VERDICTS}
    values |= {"claims": numbers["claim"].nunique(), "rows": len(verdicts), "measure": spec["measure"]}
    tests = {name: opposites(rows, spec["claims"][name]["test"]) for name, rows in numbers.groupby("claim", sort=False)}
    values["opposites"] = ", ".join(f"{name}: {count}" for name, count in tests.items() if count)
    texts = {"": _verdicts(verdicts, spec), "Parts": _parts(numbers, spec)}
    # Trainings and queries are the sample where a part has a basis; groups, runs and curves have samples of their own.
    notes = ["parts of claims", *["controls"] * bool((numbers["basis"] == CONTROLS).any())]
    notes += ["given"] * bool((numbers["basis"] != "").any())
    return Layout(texts, ["shown", "found"], numbers, values, "%.6g", in_latex=2, notes=notes)


def opposites(rows: pd.DataFrame, test: str) -> int:
    """How many opposites of a claim's parts are tested together; those of curves domain by domain."""
    tested = rows["p_opposite"].notna()
    return int(tested.groupby(rows["domain"]).sum().max() if test == "curves" else tested.sum())


def _labels(row: tuple, spec: Mapping) -> tuple[str, ...]:
    where = (row.student, row.domain) if len(spec["teachers"]) < 2 else (row.student, row.domain, row.teacher)
    return (row.claim, *where)


def _headers(spec: Mapping) -> tuple[str, ...]:
    return ("claim", "student", "domain", *["teacher"] * (len(spec["teachers"]) > 1))


def _verdicts(verdicts: pd.DataFrame, spec: Mapping) -> TextTable:
    sections = []
    for _, block in verdicts.groupby("claim", sort=False):
        # The sentence stands once.
        sentences = [block["sentence"].iloc[0], *[""] * (len(block) - 1)]
        rows = [
            (
                _labels(row, spec),
                [Cell(sentence), _verdict(row), Cell(row.decided_by)],
            )
            for row, sentence in zip(block.itertuples(), sentences, strict=True)
        ]
        sections.append(rows)
    return TextTable(_headers(spec), [("", ["sentence", "verdict", "would decide it"])], sections)


def _verdict(row: tuple) -> Cell:
    marked = row.by_controls and row.verdict != "not testable here"
    return Cell(row.verdict + FOOTNOTE * marked, bold=row.verdict == "contradicted")


def _parts(numbers: pd.DataFrame, spec: Mapping) -> TextTable:
    sections = []
    for _, block in numbers[numbers["estimate"].notna()].groupby("claim", sort=False):
        sections.append([((*_labels(row, spec), row.part), _numbers(row)) for row in block.itertuples()])
    headers = ["predicted", "estimate", "interval", "p of the part", "p of its opposite, Holm"]
    return TextTable((*_headers(spec), "part"), [("", headers)], sections)


def _numbers(row: tuple) -> list[Cell]:
    interval = "" if np.isnan(row.ci_low) else f"{row.ci_low:+.3g} to {row.ci_high:+.3g}"
    texts = [row.predicted, f"{row.estimate:+.3g}", interval, _p(row.p, row.basis), _p(row.p_opposite_holm, row.basis)]
    return [Cell(text) for text in texts]


def _p(p: float, basis: str) -> str:
    return "" if np.isnan(p) else ("<0.001" if p < 0.001 else f"{p:.3f}") + FOOTNOTE * (basis == CONTROLS)
