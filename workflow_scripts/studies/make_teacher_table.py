"""Make the teacher table: which conclusions about samplers hold under every teacher, as CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import ALL, parse_domains
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.intervals import with_intervals
from workflow_scripts.analysis.measures import collection_means, parse_measures
from workflow_scripts.analysis.paired import DIFFERENT, MARKS, UNDECIDED
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import TEACHER, Grid, Means, summarise
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value
from workflow_scripts.storage.command import run
from workflow_scripts.studies.conclusions import (
    BETTER,
    CHANGES,
    HOLDS,
    KEYS,
    SAME,
    WORSE,
    compare_under_teachers,
    conclusions,
    order_agreement,
)
from workflow_scripts.studies.scopes import stack_scopes

SIGNED = MARKS | {BETTER: MARKS[DIFFERENT], WORSE: MARKS[DIFFERENT]}
COLUMNS = (
    *("scope", "student", "loss", "sampler", "sampler_b", "teacher", "teacher_b", "domain", "measure"),
    *("value", "std_seed", "ci_low", "ci_high", "p", "verdict", "n_seeds", "n_queries"),
)


def make_teacher_table(*, spec: Mapping, metrics: Path, csv: Path, md: Path, tex: Path) -> pd.DataFrame:
    """Write the table three times and return its rows; what ``value`` is depends on ``scope``:

    - ``teacher``, ``student``: effectiveness on a domain, mean over seeds, bootstrap interval over queries;
    - ``comparison``: sampler less sampler_b under one teacher (:func:`compare_under_teachers`), p of a difference;
    - ``order``: Kendall's tau between teacher and teacher_b (:func:`order_agreement`);
    - ``conclusion``: :func:`~workflow_scripts.studies.conclusions.conclusions`, value the largest change.

    ``spec``: the axes of the study (students, losses, samplers, teachers, seeds), ``domains``, ``measures``, ``rule``
    (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`) and ``bootstrap``. The Markdown and the LaTeX
    hold the first measure.
    """
    grid, rule, domains = Grid.of(spec), Rule(**spec["rule"]), parse_domains(spec["domains"])
    measures = [str(measure) for measure in parse_measures(spec["measures"])]
    values = QueryValues(metrics, measures)
    compared = compare_under_teachers(values, grid, domains, measures, rule)
    concluded = conclusions(compared, values, grid, domains, rule)
    means = summarise(Means(collection_means(metrics)), grid, domains, measures)
    means = with_intervals(means, values, grid, domains, spec["bootstrap"])
    means = means[(means["collection"] == ALL) & (means["teacher"] != "")]
    orders = order_agreement(means[means["student"] != TEACHER], grid)
    table = _rows(means, compared, orders, concluded)
    shown = table[table["measure"] == measures[0]]
    text, caption = _text_table(shown, grid), _caption(shown, grid, rule, measures[0])
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    write_tables(table, text, caption, csv=csv, md=md, tex=tex, float_format="%.6g")
    return table


def _rows(means: pd.DataFrame, compared: pd.DataFrame, orders: pd.DataFrame, concluded: pd.DataFrame) -> pd.DataFrame:
    own = means["student"] == TEACHER
    frames = {
        "teacher": means[own].rename(columns={"mean": "value"}),
        "student": means[~own].rename(columns={"mean": "value"}),
        "comparison": compared.rename(columns={"mean_difference": "value", "p_difference_holm": "p"}),
        "order": orders.rename(columns={"tau": "value"}),
        "conclusion": concluded.rename(columns={"change": "value"}),
    }
    named = {
        scope: frame.rename(columns={"sampler_a": "sampler", "teacher_a": "teacher"}) for scope, frame in frames.items()
    }
    return stack_scopes(named, COLUMNS, [*COLUMNS[:9], "verdict"])


def _text_table(rows: pd.DataFrame, grid: Grid) -> TextTable:
    """A section for the teachers, then one for each domain, student and loss; teachers across, the conclusion last."""
    parts = dict(iter(rows.groupby("scope")))
    own = parts["teacher"].set_index(["domain", "teacher"])["value"]
    section = [
        ((domain, "teacher", "", ""), [*(Cell(f"{own[domain, name]:.3f}") for name in grid.teachers), Cell("")])
        for domain in dict.fromkeys(rows["domain"])
    ]
    found = {
        scope: dict(iter(parts[scope].groupby(list(KEYS), sort=False)))
        for scope in ("student", "comparison", "order", "conclusion")
    }
    sections = [section]
    for keys in found["conclusion"]:
        student, loss, domain, _ = keys
        body = [*_means(found["student"][keys], grid), *_pairs(found, keys, grid), _order(found["order"][keys], grid)]
        sections.append([((domain, student, loss, what), cells) for what, cells in body])
    return TextTable(("domain", "student", "loss", ""), [("", [*grid.teachers, "conclusion"])], sections)


def _means(block: pd.DataFrame, grid: Grid) -> list[tuple[str, list[Cell]]]:
    """Each sampler's mean under each teacher, its place among the samplers in brackets."""
    places = block.groupby("teacher")["value"].rank(ascending=False, method="min").astype(int)
    found = (
        block.assign(place=places).set_index(["sampler", "teacher"])[["value", "std_seed", "place"]].T.to_dict("list")
    )
    rows = []
    for sampler in grid.samplers:
        values = [found[sampler, teacher] for teacher in grid.teachers]
        rows.append((sampler, [*(Cell(f"{format_value(*v[:2])} ({v[2]:.0f})") for v in values), Cell("")]))
    return rows


def _pairs(found: Mapping[str, Mapping], keys: tuple, grid: Grid) -> list[tuple[str, list[Cell]]]:
    """Each two samplers' difference and outcome under each teacher, and what becomes of it."""
    outcomes = found["comparison"][keys].set_index(["sampler", "sampler_b", "teacher"])[["value", "verdict"]]
    outcomes = outcomes.T.to_dict("list")
    verdicts = found["conclusion"][keys].set_index(["sampler", "sampler_b"])["verdict"]
    rows = []
    for pair in combinations(grid.samplers, 2):
        of_teachers = [outcomes[*pair, teacher] for teacher in grid.teachers]
        cells = [Cell(f"{value:+.3f} {SIGNED[verdict]}") for value, verdict in of_teachers]
        rows.append((" / ".join(pair), [*cells, Cell(verdicts[pair], bold=verdicts[pair] == CHANGES)]))
    return rows


def _order(block: pd.DataFrame, grid: Grid) -> tuple[str, list[Cell]]:
    """Tau with the first teacher's order, and the lowest of any two teachers' last."""
    first = block[block["teacher"] == grid.teachers[0]].set_index("teacher_b")["value"]
    texts = ["", *(_tau(first[teacher]) for teacher in grid.teachers[1:])]
    return "order (tau)", [*map(Cell, texts), Cell(f"lowest {_tau(block['value'].min(skipna=False))}")]


def _tau(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:+.2f}"


def _caption(rows: pd.DataFrame, grid: Grid, rule: Rule, measure: str) -> str:
    counts = rows.loc[rows["scope"] == "conclusion", "verdict"].value_counts()
    told = ", ".join(f"{counts.get(name, 0)} {name}" for name in (HOLDS, CHANGES, UNDECIDED))
    same = f" {counts.get(SAME)} more are of students that are the same under every teacher: they read none."
    same = same if SAME in counts else ""
    seeds = f"{len(grid.seeds)} seeds" if len(grid.seeds) > 1 else "One seed: another training run may differ"
    margin = f"{rule.margin:g}" if rule.margin_of == "absolute" else f"{rule.margin:g} of BM25's {measure}"
    return (
        f"{measure} under {len(grid.teachers)} teachers. First the teachers' own; then for each domain, student and "
        "loss the samplers' means under each teacher (place in brackets), the paired differences of every two samplers "
        f"(≠ different, alpha {rule.difference_alpha:g}; ≈ equivalent within ±{margin}, alpha {rule.alpha:g}; "
        "? undecided; Holm-corrected over the pairs under one teacher) and Kendall's tau-b of the samplers' order with "
        f"that under {grid.teachers[0]} (none: all samplers tied).\n\n"
        f"Conclusions, one a pair: {told} of {counts.sum() - counts.get(SAME, 0)}.{same} Holds: the same verdict, and "
        "the same direction, under every teacher. Changes: different in opposite directions, or equivalent and "
        "different with a difference that is itself shown to change (paired test, Holm over pairs of samplers and of "
        "teachers). Undecided: the data do not tell; it does not show that the teacher is without effect. "
        f"{seeds}; tests are over queries, for these teachers, not corrected over domains, students and losses. "
        "Teachers differ in more than strength, so what changes is not shown to change because of it.\n"
    )


if __name__ == "__main__":
    run(make_teacher_table)
