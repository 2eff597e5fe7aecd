"""Make a student's per-collection table: loss x sampler by collection, references on top, as CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.query_values import RankerKey
from workflow_scripts.analysis.summaries import Grid, reference_label
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable, best_per_column, format_value
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

KEYS = ("student", "loss", "sampler", "teacher")


def make_collection_table(*, spec: Mapping, main: Path, csv: Path, md: Path, tex: Path) -> pd.DataFrame:
    """Write the table three times; a column a collection, a set of collections (CQADupStack) having one, its mean.

    ``spec``: the lists of the grid with one student, ``domains``, ``measure``. ``main``: the CSV of make_main_table,
    whose means over queries and seeds these are. Raises :class:`InputError` for a value that it lacks.
    """
    grid, domains, measure = Grid.of(spec), parse_domains(spec["domains"]), spec["measure"]
    texts = dict.fromkeys([*KEYS, "domain", "collection", "measure"], str)
    rows = pd.read_csv(main, keep_default_na=False, na_values={"std_seed": [""]}, dtype=texts)
    rows = rows[rows["measure"] == measure]
    # (mean, spread) of each ranker on each collection
    found = rows.set_index([*KEYS, "domain", "collection"])[["mean", "std_seed"]].T.to_dict("list")
    rankers = [*grid.references, *grid.trained]
    columns = [(domain.name, member) for domain in domains for member, _ in domain.members]
    try:
        values = np.array([[found[*ranker, *column] for column in columns] for ranker in rankers])
    except KeyError as error:
        raise InputError(f"{main} has no {measure} of {' '.join(filter(None, error.args[0]))}: make it again") from None
    table = pd.DataFrame(rankers, columns=list(KEYS))
    # A collection of two domains has one value and so one column.
    table = table.assign(**{member: values[:, place, 0] for place, (_, member) in enumerate(columns)})
    write_tables(table, _text_table(values, grid, domains), _caption(grid, measure), csv=csv, md=md, tex=tex)
    return table


def _text_table(values: np.ndarray, grid: Grid, domains: Sequence[Domain]) -> TextTable:
    """References, then a section a loss; the best student of each column bold. ``values``  # (rankers, columns, 2)."""
    several, first = len(grid.teachers) > 1, len(grid.references)
    texts = np.array([[format_value(*pair) for pair in row] for row in values], dtype=object)
    marks = np.zeros(texts.shape, dtype=bool)
    marks[first:] = best_per_column(texts[first:], values[first:, :, 0])
    sections: dict[str, list] = {}
    for ranker, row, bold in zip([*grid.references, *grid.trained], texts, marks, strict=True):
        cells = [Cell(text, bool(mark)) for text, mark in zip(row, bold, strict=True)]
        sections.setdefault(ranker[1], []).append((_label(ranker, several), cells))
    groups = [(domain.name, [member for member, _ in domain.members]) for domain in domains]
    labels = ("loss", "sampler", "teacher") if several else ("loss", "sampler")
    return TextTable(labels, groups, list(sections.values()))


def _label(ranker: RankerKey, several: bool) -> tuple[str, ...]:
    return (ranker[1:] if several else ranker[1:3]) if ranker[1] else reference_label(ranker, several)


def _caption(grid: Grid, measure: str) -> str:
    seeds = f", mean ± standard deviation over {len(grid.seeds)} seeds" if len(grid.seeds) > 1 else ", one seed"
    best = "Bold: the best student of a column."
    return f"{measure} of the student {grid.students[0]} on every collection{seeds}. {best}\n"


if __name__ == "__main__":
    run(make_collection_table)
