"""Layout of the claims table: a section a claim; student, domain and part down; estimate, interval, verdict across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.analysis.inference import CONTROLS
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, without_one_teacher
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_p, text_table
from workflow_scripts.presentation.verdict_notes import FOOTNOTE

VERDICTS = ("supported", "contradicted", "undecided", "not testable here")
ROW = ["claim", "teacher", "student", "domain"]
"""What a verdict is on."""


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold every claim's verdicts, then its parts."""
    by_controls = (numbers["basis"] == CONTROLS).groupby([numbers[name] for name in ROW]).transform("any")
    verdicts = numbers.assign(by_controls=by_controls).drop_duplicates(ROW)
    counts = verdicts["verdict"].value_counts()
    values = {name.replace(" ", "_"): counts.get(name, 0) for name in VERDICTS}
    values |= {"claims": numbers["claim"].nunique(), "rows": len(verdicts), "measure": spec["measure"]}
    tests = {name: opposites(rows, spec["claims"][name]["test"]) for name, rows in numbers.groupby("claim", sort=False)}
    values["opposites"] = ", ".join(f"{name}: {count}" for name, count in tests.items() if count)
    keys = ["claim", *without_one_teacher(["student", "domain", "teacher"], spec)]
    texts = {"": _verdicts(verdicts, keys), "Parts": _parts(numbers[numbers["estimate"].notna()], keys)}
    # Trainings and queries are the sample where a part has a basis; groups, runs and curves have samples of their own.
    notes = ["parts of claims", *["controls"] * bool((numbers["basis"] == CONTROLS).any())]
    notes += ["given of cells"] * bool((numbers["basis"] != "").any())
    return Layout(texts, ["shown", "found"], numbers, values, SIX_DIGITS, in_latex=2, notes=notes)


def opposites(rows: pd.DataFrame, test: str) -> int:
    """How many opposites of a claim's parts are tested together; those of curves domain by domain."""
    tested = rows["p_opposite"].notna()
    return int(tested.groupby(rows["domain"]).sum().max() if test == "curves" else tested.sum())


def _verdicts(verdicts: pd.DataFrame, keys: Sequence[str]) -> TextTable:
    """A claim's sentence stands once."""
    sentences = verdicts["sentence"].where(~verdicts["claim"].duplicated(), "")
    lines = (
        (row.claim, [getattr(row, key) for key in keys], [sentence, _verdict(row), row.decided_by])
        for row, sentence in zip(verdicts.itertuples(), sentences, strict=True)
    )
    return text_table(keys, [("", ["sentence", "verdict", "would decide it"])], lines)


def _verdict(row: tuple) -> Cell:
    marked = row.by_controls and row.verdict != "not testable here"
    return Cell(row.verdict + FOOTNOTE * marked, bold=row.verdict == "contradicted")


def _parts(parts: pd.DataFrame, keys: Sequence[str]) -> TextTable:
    labels = [*keys, "part"]
    lines = ((row.claim, [getattr(row, label) for label in labels], _numbers(row)) for row in parts.itertuples())
    headers = ["predicted", "estimate", "interval", "p of the part", "p of its opposite, Holm"]
    return text_table(labels, [("", headers)], lines)


def _numbers(row: tuple) -> list[str]:
    interval = "" if np.isnan(row.ci_low) else f"{row.ci_low:+.3g} to {row.ci_high:+.3g}"
    return [row.predicted, f"{row.estimate:+.3g}", interval, _p(row.p, row.basis), _p(row.p_opposite_holm, row.basis)]


def _p(p: float, basis: str) -> str:
    return format_p(p) + FOOTNOTE * (basis == CONTROLS and not np.isnan(p))
