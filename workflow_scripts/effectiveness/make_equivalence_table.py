"""Make the equivalence table: every two samplers, different, equivalent or undecided, as CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.equivalence import Rule, compare_samplers
from workflow_scripts.analysis.measures import parse_measures
from workflow_scripts.analysis.paired import MARKS
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.storage.command import run


def make_equivalence_table(*, spec: Mapping, metrics: Path, csv: Path, md: Path, tex: Path) -> pd.DataFrame:
    """Write the table three times; its rows are :func:`~workflow_scripts.analysis.equivalence.compare_samplers`'s.

    ``spec``: the lists of the grid (students, losses, samplers, teachers, seeds), ``domains``, ``measures`` and
    ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`). The Markdown and the LaTeX hold the
    first measure.
    """
    grid, rule = Grid.of(spec), Rule(**spec["rule"])
    measures = [str(measure) for measure in parse_measures(spec["measures"])]
    table = compare_samplers(QueryValues(metrics, measures), grid, parse_domains(spec["domains"]), measures, rule)
    shown = table[table["measure"] == measures[0]]
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    paths = {"csv": csv, "md": md, "tex": tex}
    write_tables(
        table, _text_table(shown, grid), _caption(shown, grid, rule, measures[0]), **paths, float_format="%.6g"
    )
    return table


def _text_table(rows: pd.DataFrame, grid: Grid) -> TextTable:
    """Domain x student x loss (x teacher) down, pairs of samplers across: the difference and the outcome's mark."""
    several = len(grid.teachers) > 1
    keys = ["student", "loss", "teacher"] if several else ["student", "loss"]
    pairs = list(combinations(grid.samplers, 2))
    sections = []
    for domain, of_domain in rows.groupby("domain", sort=False):
        section = []
        for labels, block in of_domain.groupby(keys, sort=False):
            # As compared: the rows of a block are in the order of the pairs.
            cells = [Cell(f"{row.mean_difference:+.3f} {MARKS[row.outcome]}") for row in block.itertuples()]
            section.append(((domain, *labels), cells))
        sections.append(section)
    return TextTable(("domain", *keys), [("", [f"{one} / {other}" for one, other in pairs])], sections)


def _caption(rows: pd.DataFrame, grid: Grid, rule: Rule, measure: str) -> str:
    if rows.empty:
        return "The experiment has one sampler: there is nothing to compare.\n"
    counts = rows["outcome"].value_counts()
    told = ", ".join(f"{counts.get(name, 0)} {name} ({mark})" for name, mark in MARKS.items())
    margin = f"{rule.margin:g}" if rule.margin_of == "absolute" else f"{rule.margin:g} of BM25's {measure}"
    seeds = (
        f"Values are averaged over {len(grid.seeds)} seeds before the test"
        if len(grid.seeds) > 1
        else "One seed: the outcomes are about these trained models, and another training run may differ"
    )
    return (
        f"{measure}, first sampler less second, per-query paired differences. Of {len(rows)} pairs: {told}. "
        f"Equivalent: two one-sided paired t tests show the difference to be within ±{margin} "
        f"(alpha {rule.alpha:g}), however small it is. Different: a paired t test shows a difference "
        f"(alpha {rule.difference_alpha:g}) and equivalence is not shown. Undecided: neither is shown. Both are "
        "Holm-corrected over the pairs of a row. A domain of several collections is tested on the mean of its "
        f"collections' means, queries as samples within each. {seeds}: the tests are over queries, not over seeds. "
        f"Half of the pairs, each by itself, are equivalent at a margin of {rows['smallest_margin'].median():.3f}.\n"
    )


if __name__ == "__main__":
    run(make_equivalence_table)
