"""Make the advice table: what to train in which domain within which budget, with its evidence, in three formats."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.measures import parse_measures
from workflow_scripts.analysis.paired import EQUIVALENT, MARKS, UNDECIDED
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value
from workflow_scripts.report.advice import CHEAPEST, USE
from workflow_scripts.report.advice_rows import (
    ANY,
    CELL,
    FACTORIAL,
    TEMPERATURE,
    Cells,
    cell_rows,
    read_columns,
    temperature_rows,
)
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

COLUMNS = (
    *("question", "student", "teacher", "domain", "measure", "budget", "n_candidates", "advice", "recommended"),
    *(
        "recommended_mean",
        "recommended_std_seed",
        "recommended_cost",
        "best",
        "best_mean",
        "best_std_seed",
        "best_cost",
    ),
    *("cheapest", "cheapest_mean", "cheapest_std_seed", "least_not_worse", "least_not_worse_cost"),
    *("compared", "against", "difference", "ci_low", "ci_high", "p_holm", "outcome"),
    *("n_queries", "n_seeds", "holds_on", "n_domains"),
)
TEXTS = ("teacher", "recommended", "cheapest", "least_not_worse", "compared", "against", "outcome")


def make_advice_table(
    *,
    spec: Mapping,
    main: Path,
    cost: Path,
    metrics: Path,
    factorial: Path | None = None,
    csv: Path,
    md: Path,
    tex: Path,
) -> pd.DataFrame:
    """Write the table three times and return its rows, one a student, domain and budget.

    ``spec``: the axes of the main grid (students, losses, samplers, teachers, seeds), ``domains``, ``measure``,
    ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`) and ``budgets``, multiples of the
    energy of the cheapest cell of the same student, null for any. ``main`` and ``cost``: the CSVs of make_main_table
    and make_cost_table; a cell's cost is all that stands behind one trained model and its training. A cell is named
    loss.sampler.teacher. ``difference`` is ``compared`` less ``against``; see
    :mod:`workflow_scripts.report.advice` for ``advice``. ``holds_on``: domains with the same advice and, unless it is
    ``undecided``, the same recommended cell, this one among them.

    ``factorial``: the CSV of the factorial study's cells; adds rows of the question ``temperature``, whose candidates
    are its temperatures, each the mean over its samplers, at no difference in cost.
    """
    grid, rule, domains = Grid.of(spec), Rule(**spec["rule"]), parse_domains(spec["domains"])
    (measure,) = map(str, parse_measures([spec["measure"]]))
    if not spec["budgets"]:
        raise InputError("the spec's list of budgets is empty: name one, null for any")
    values = QueryValues(metrics, [measure])
    found = Cells(grid, measure, main, cost)
    rows = [
        row
        for student, domain in product(grid.students, domains)
        for row in cell_rows(found, student, domain, values, rule, spec["budgets"])
    ]
    if factorial is not None:
        rows += temperature_rows(read_columns(factorial, FACTORIAL), domains, measure, values, rule)
    table = _counted(pd.DataFrame(rows).reindex(columns=list(COLUMNS)))
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    text, caption = _text_table(table, grid), _caption(table, grid, rule, measure)
    write_tables(table, text, caption, csv=csv, md=md, tex=tex, float_format="%.6g")
    return table


def _counted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with ``holds_on``, and numbers and texts of one type a column."""
    table[list(TEXTS)] = table[list(TEXTS)].fillna("")
    same = ["question", "student", "teacher", "budget"]
    table["holds_on"] = table.groupby([*same, "advice", "recommended"], sort=False)["domain"].transform("size")
    return table.assign(n_domains=table.groupby(same, sort=False)["domain"].transform("size"))


def _text_table(table: pd.DataFrame, grid: Grid) -> TextTable:
    """Student x domain x budget down, a section a student; then the temperatures."""
    headers = ["advice", "difference", "means", "energy", "least not shown worse", "queries", "seeds", "holds on"]
    sections = [
        [((row.student, row.domain, _budget(row)), _cells(row, grid)) for row in block.itertuples()]
        for _, block in table.groupby(["question", "student"], sort=False)
    ]
    return TextTable(("student", "domain", "budget"), [("", headers)], sections)


def _budget(row: object) -> str:
    return row.budget if row.budget == ANY else f"{row.budget}x"


def _cells(row: object, grid: Grid) -> list[Cell]:
    difference = means = energy = least = ""
    if row.compared:
        difference = f"{row.difference:+.3f} [{row.ci_low:+.3f}, {row.ci_high:+.3f}] {MARKS[row.outcome]}"
    if row.question == CELL:
        first = "recommended" if row.advice == USE else "best"
        pairs = [(getattr(row, f"{name}_mean"), getattr(row, f"{name}_std_seed")) for name in (first, "cheapest")]
        means = " / ".join(format_value(*pair) for pair in (pairs if row.compared else pairs[:1]))
        energy = f"{getattr(row, f'{first}_cost'):.1f}x"
        least = f"{_name(row.least_not_worse, grid)} ({row.least_not_worse_cost:.1f}x)"
    else:
        means = format_value(row.best_mean, np.nan)
    texts = (difference, means, energy, least, f"{row.n_queries:.0f}", f"{row.n_seeds:.0f}")
    advice = Cell(_advice(row, grid), bold=row.advice == USE)
    return [advice, *map(Cell, texts), Cell(f"{row.holds_on} of {row.n_domains}")]


def _advice(row: object, grid: Grid) -> str:
    """The advice as a sentence's beginning: what to do, and why not the other."""
    if row.question == TEMPERATURE:
        what = f"temperature {row.best}"
        of = f" (teacher {row.teacher})" if len(grid.teachers) > 1 else ""
        return f"use {what}{of}" if row.advice == USE else f"undecided{of}: best mean is {what}, next {row.against}"
    cheapest, best = _name(row.cheapest, grid), _name(row.best, grid)
    if row.advice == USE:
        return f"use {_name(row.recommended, grid)}, better than {cheapest}"
    if row.advice == CHEAPEST:
        return f"use {cheapest}: cheapest" + (", best mean" if row.n_candidates > 1 else ", alone in the budget")
    if row.advice == EQUIVALENT:
        return f"use {cheapest}: cheapest, {best} is equivalent"
    return f"undecided: cheapest is {cheapest}, best mean is {best}"


def _name(cell: str, grid: Grid) -> str:
    """``loss.sampler`` of a cell; with its teacher where there are several."""
    return cell if len(grid.teachers) > 1 else cell.rsplit(".", 1)[0]


def _caption(table: pd.DataFrame, grid: Grid, rule: Rule, measure: str) -> str:
    rows = table[table["question"] == CELL]
    counts = rows["advice"].value_counts()
    told = ", ".join(f"{counts.get(name, 0)} {name}" for name in (USE, CHEAPEST, EQUIVALENT, UNDECIDED))
    number = len(grid.losses) * len(grid.samplers) * len(grid.teachers)
    margin = f"{rule.margin:g}" if rule.margin_of == "absolute" else f"{rule.margin:g} of BM25's {measure}"
    seeds = (
        f"Values are averaged over {len(grid.seeds)} seeds before the tests, which are over queries"
        if len(grid.seeds) > 1
        else "One seed: the tests are over queries, and another training of the same cell may differ"
    )
    temperature = (
        " Rows of temperatures: of the factorial study, each temperature the mean over its samplers, at equal cost; "
        f"one is advised only where it is shown to be better than every other and not within ±{margin} of any (Holm "
        "over their pairs); the difference is to the next best, its interval jointly for all pairs."
        if len(table) > len(rows)
        else ""
    )
    return (
        f"What to train, by {measure}: a cell is loss.sampler. Budget: energy of all that a cell needs before and in "
        "training, as a multiple of the same student's cheapest cell; energies are the cost table's, estimates where "
        f"not measured. Of {len(rows)} rows: {told}. Use (bold): a paired t test shows it to be better than the "
        f"cheapest (alpha {rule.difference_alpha:g}) and not within ±{margin} of it. Equivalent: two one-sided tests "
        f"show the best mean to be within ±{margin} of the cheapest (alpha {rule.alpha:g}). Undecided: neither is "
        "shown; the upper end of the interval is what the cheapest may give away to that cell at most. Picking the "
        f"best of many cells overstates it, so Holm's correction is over all {number - 1} comparisons with the "
        "cheapest, whatever the budget, and the intervals hold jointly for all of them "
        f"({100 * rule.confidence:g}%). Difference and means: of the cell "
        "advised, else of the best mean, and of the cheapest. Least not shown worse: the cheapest cell of the budget "
        f"that is not shown to be worse than the best mean (a difference, and not within ±{margin}), which does not "
        "show that it is as good; the cheapest cell of all by the comparisons above, the others with Holm's correction "
        f"over all {number * (number - 1) // 2} pairs. Holds on: domains with the same advice for that budget; not "
        f"corrected over domains and students. {seeds}.{temperature} Nothing here is shown for other collections, "
        "backbones or budgets of training data.\n"
    )


if __name__ == "__main__":
    run(make_advice_table)
