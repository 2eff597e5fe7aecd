"""Layout of the advice table: student x domain x budget down, a section a student; then the temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import pandas as pd

from workflow_scripts.analysis.families import COUNTED, sum_of_families
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout
from workflow_scripts.presentation.table_formats import Cell, format_value, text_table
from workflow_scripts.presentation.verdict_notes import format_difference, notes_of

HEADERS = ["advice", "difference", "means", "energy", "least not shown worse", "queries", "seeds", "holds on"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """A cell is named with its teacher where there are several."""
    several = len(spec["teachers"]) > 1
    lines = [
        ((row.question, row.student), (row.student, row.domain, _budget(row)), _cells(row, several))
        for row in numbers.itertuples()
    ]
    counts = numbers.loc[numbers["question"] == "cell", "advice"].value_counts()
    values = {name: counts.get(name, 0) for name in ("use", "cheapest", "equivalent", "undecided", "one seed")}
    values |= {"number": counts.sum(), "measure": spec["measure"]}
    values["comparisons"] = prod(len(spec[axis]) for axis in ("losses", "samplers", "teachers")) - 1
    values["one_seed"] = values.pop("one seed")
    # The rows of all budgets rest on one family, of which they show what decides.
    families = numbers.drop_duplicates(["question", "student", "teacher", "domain"])
    notes, more = notes_of(sum_of_families(families, spec["rule"]["difference_alpha"]), numbers["basis"])
    table = text_table(("student", "domain", "budget"), [("", HEADERS)], lines)
    csv = numbers.drop(columns=list(COUNTED))
    sentences = ["shown", "found", *["one seed"] * bool(values["one_seed"])]
    return Layout({"": table}, sentences, csv, values | more, SIX_DIGITS, notes=notes)


def _budget(row: object) -> str:
    return row.budget if row.budget == "any" else f"{row.budget}x"


def _cells(row: object, several: bool) -> list[str | Cell]:
    difference = means = energy = least = ""
    if row.compared:
        difference = format_difference(row.difference, row.ci_low, row.ci_high, row.outcome, row.basis)
    if row.question == "cell":
        first = "recommended" if row.advice == "use" else "best"
        pairs = [(getattr(row, f"{name}_mean"), getattr(row, f"{name}_std_seed")) for name in (first, "cheapest")]
        means = " / ".join(format_value(*pair) for pair in (pairs if row.compared else pairs[:1]))
        energy = f"{getattr(row, f'{first}_cost'):.1f}x (shared {getattr(row, f'{first}_shared_cost'):.1f}x)"
        least = f"{_name(row.least_not_worse, several)} ({row.least_not_worse_cost:.1f}x)"
    else:
        means = format_value(row.best_mean, np.nan)
    advice = Cell(_advice(row, several), bold=row.advice == "use")
    counts = (f"{row.n_queries:.0f}", f"{row.n_seeds:.0f}", f"{row.holds_on} of {row.n_domains}")
    return [advice, difference, means, energy, least, *counts]


def _advice(row: object, several: bool) -> str:
    """The advice as a sentence's beginning: what to do, and why not the other."""
    if row.question == "temperature":
        what = f"temperature {row.best}"
        of = f" (teacher {row.teacher})" if several else ""
        return (
            f"use {what}{of}" if row.advice == "use" else f"{row.advice}{of}: best mean is {what}, next {row.against}"
        )
    cheapest, best = _name(row.cheapest, several), _name(row.best, several)
    if row.advice == "use":
        return f"use {_name(row.recommended, several)}, better than {cheapest}"
    if row.advice == "cheapest":
        return f"use {cheapest}: cheapest" + (", best mean" if row.n_candidates > 1 else ", alone in the budget")
    if row.advice == "equivalent":
        return f"use {cheapest}: cheapest, {best} is equivalent"
    return f"{row.advice}: cheapest is {cheapest}, best mean is {best}"


def _name(cell: str, several: bool) -> str:
    """``loss.sampler`` of a cell; with its teacher where there are several."""
    return cell if several else cell.rsplit(".", 1)[0]
