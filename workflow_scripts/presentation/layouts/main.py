"""Layout of the main table: references, loss x sampler (x teacher) down; domain x student across; one a measure."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.analysis.equivalence import BLOCK
from workflow_scripts.analysis.families import COUNTED, sum_of_families
from workflow_scripts.analysis.summaries import BM25, TEACHER, Grid, whole_domains
from workflow_scripts.presentation.grid_table import Column, grid_table
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import TextTable
from workflow_scripts.presentation.verdict_notes import notes_of

KEYS = ["student", "loss", "sampler", "teacher", "domain"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown holds a table for each measure that some domain has on all its collections, the LaTeX the first.

    The notes below are of the first measure.
    """
    grid = Grid.of(spec)
    whole = numbers[numbers["collection"] == ALL]
    by_measure = dict(iter(whole.groupby("measure", sort=False)))
    texts = {measure: _text_table(by_measure[measure], grid) for measure in spec["measures"] if measure in by_measure}
    shown = "several seeds" if len(grid.seeds) > 1 else "one seed"
    sentences = [shown, "letters"] if (whole["letters"] != "").any() else [shown]
    first = next(iter(texts), None)
    blocks = tested_blocks(numbers, first)
    notes, values = notes_of(sum_of_families(blocks, spec["rule"]["difference_alpha"]), blocks["basis"])
    notes = ["noise band"] * bool(blocks["noise_band"].notna().any()) + notes if len(blocks) else []
    if below := below_bm25(whole_domains(numbers, first)):
        notes, values = ["weak teachers", *notes], values | {"below": ", ".join(below)}
    csv = numbers.drop(columns=["letters", *COUNTED])
    return Layout(texts, sentences, csv, values | {"seeds": len(grid.seeds)}, notes=notes)


def below_bm25(means: pd.DataFrame) -> list[str]:
    """Each teacher with the domains where its mean is below BM25's."""
    of = means.set_index("domain")
    first, teachers = of.loc[of["student"] == BM25, "mean"], of[of["student"] == TEACHER]
    below = teachers[teachers["mean"] < first.reindex(teachers.index)]
    return [f"{teacher} ({', '.join(rows.index)})" for teacher, rows in below.groupby("teacher", sort=False)]


def tested_blocks(numbers: pd.DataFrame, measure: str | None) -> pd.DataFrame:
    """A row for each loss, student, teacher and domain whose pairs of samplers were compared in a measure."""
    rows = whole_domains(numbers, measure)
    return rows[rows["tested"].notna()].drop_duplicates(list(BLOCK))


def _text_table(rows: pd.DataFrame, grid: Grid) -> TextTable:
    """One measure's; a domain whose collections do not all have it has no columns."""
    found = rows.set_index(KEYS)
    columns = [Column(name, student, student, (name,)) for name in rows["domain"].unique() for student in grid.students]
    bands = rows.drop_duplicates(["student", "loss", "teacher", "domain"])
    return grid_table(
        grid,
        columns,
        found[["mean", "std_seed"]].T.to_dict("list"),
        letters=found["letters"].to_dict(),
        bands=bands.set_index(["student", "loss", "teacher", "domain"])["noise_band"].to_dict(),
    )
