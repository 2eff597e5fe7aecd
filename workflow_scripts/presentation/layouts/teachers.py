"""Layout of the teachers table: the teachers' own values, then for each domain, student and loss what samplers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.analysis.families import COUNTED, DIFFERENT, counted, false_calls, sum_of_families
from workflow_scripts.analysis.inference import CONTROLS
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value, text_table
from workflow_scripts.presentation.verdict_notes import FOOTNOTE, mark, notes_of

KEYS = ["domain", "student", "loss"]
SIGNED = {f"{DIFFERENT} ({sign})": DIFFERENT for sign in "+-"} | {"changes": DIFFERENT}
"""A verdict's outcome."""
Lines = list[tuple[str, list[str | Cell]]]
"""What a line shows, and its cells."""


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    rows = numbers[numbers["measure"] == spec["measures"][0]]
    counts = rows.loc[rows["scope"] == "conclusion", "verdict"].value_counts()
    values = {name: counts.get(name, 0) for name in ("holds", "changes", "undecided", "same students")}
    values |= {"number": counts.sum() - values["same students"], "measure": spec["measures"][0]}
    values["one_seed"] = counts.get("one seed", 0)
    alpha = spec["rule"]["difference_alpha"]
    found = "found with one seed" if values["one_seed"] else "found"
    sentences = ["shown", found, *["same"] * bool(values["same students"])]
    compared = rows[rows["scope"] == "comparison"]
    compared = compared.assign(different=compared["verdict"].replace(SIGNED) == DIFFERENT)
    families = [
        counted(false_calls(own["p_difference"], own["different"], 1, alpha))
        for _, own in compared.groupby([*KEYS, "teacher"], sort=False)
    ]
    concluded = rows[rows["scope"] == "conclusion"].groupby(KEYS, sort=False)[list(COUNTED)]
    of_changes = concluded.agg({"tested": "sum", "different": "sum", "largest_p": "max"})
    notes, more = notes_of(sum_of_families(pd.concat([pd.DataFrame(families), of_changes]), alpha), rows["basis"])
    csv = numbers.drop(columns=["place", *COUNTED])
    return Layout({"": _text_table(rows, spec["teachers"])}, sentences, csv, values | more, SIX_DIGITS, notes=notes)


def _text_table(rows: pd.DataFrame, teachers: Sequence[str]) -> TextTable:
    """A section for the teachers, then one for each domain, student and loss; teachers across, the conclusion last."""
    own = rows[rows["scope"] == "teacher"].set_index(["domain", "teacher"])["value"]
    found: list[tuple] = [
        ((), (domain, "teacher", "", ""), [*(f"{own[domain, name]:.3f}" for name in teachers), ""])
        for domain in dict.fromkeys(rows["domain"])
    ]
    for keys, block in rows[rows["scope"] != "teacher"].groupby(KEYS, sort=False):
        # Of a measure that re-ranking does not change there are no comparisons and no conclusions.
        scopes = ("student", "comparison", "conclusion", "order")
        students, comparisons, conclusions, orders = (block[block["scope"] == scope] for scope in scopes)
        lines = [*_means(students, teachers), *_pairs(comparisons, conclusions, teachers), _order(orders, teachers)]
        found += [(keys, (*keys, what), cells) for what, cells in lines]
    return text_table((*KEYS, ""), [("", [*teachers, "conclusion"])], found)


def _means(students: pd.DataFrame, teachers: Sequence[str]) -> Lines:
    """Each sampler's mean under each teacher, its place among the samplers in brackets."""
    found = students.set_index(["sampler", "teacher"])[["value", "std_seed", "place"]].T.to_dict("list")
    lines = []
    for sampler in dict.fromkeys(students["sampler"]):
        values = [found[sampler, teacher] for teacher in teachers]
        lines.append((sampler, [*(f"{format_value(*v[:2])} ({v[2]:.0f})" for v in values), ""]))
    return lines


def _pairs(comparisons: pd.DataFrame, conclusions: pd.DataFrame, teachers: Sequence[str]) -> Lines:
    """Each two samplers' difference and outcome under each teacher, and what becomes of it."""
    named = ["value", "verdict", "basis"]
    found = comparisons.set_index(["sampler", "sampler_b", "teacher"])[named].T.to_dict("list")
    lines = []
    for row in conclusions.itertuples():
        pair = row.sampler, row.sampler_b
        outcomes = [found[*pair, teacher] for teacher in teachers]
        texts = [f"{value:+.3f} {mark(SIGNED.get(verdict, verdict), basis)}" for value, verdict, basis in outcomes]
        conclusion = row.verdict + FOOTNOTE * (
            row.basis == CONTROLS and row.verdict in ("holds", "changes", "undecided")
        )
        lines.append((" / ".join(pair), [*texts, Cell(conclusion, bold=row.verdict == "changes")]))
    return lines


def _order(orders: pd.DataFrame, teachers: Sequence[str]) -> tuple[str, list[str | Cell]]:
    """Tau with the first teacher's order, and the lowest of any two teachers' last."""
    first = orders[orders["teacher"] == teachers[0]].set_index("teacher_b")["value"]
    taus = [_tau(first[teacher]) for teacher in teachers[1:]]
    return "order (tau)", ["", *taus, f"lowest {_tau(orders['value'].min(skipna=False))}"]


def _tau(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:+.2f}"
