"""Make the main table: every sampler x loss x student x domain beside BM25 and the teacher, as CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import ALL, parse_domains
from workflow_scripts.analysis.equivalence import BLOCK, read_comparisons, sampler_letters
from workflow_scripts.analysis.intervals import with_intervals
from workflow_scripts.analysis.measures import collection_means, parse_measures
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import Grid, Means, reference_label, summarise
from workflow_scripts.presentation.table_formats import (
    Cell,
    TextTable,
    best_per_column,
    format_value,
    latex_table,
    markdown_table,
)
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError


def make_main_table(
    *,
    spec: Mapping,
    metrics: Path,
    equivalence: Path,
    csv: Path,
    md: Path,
    tex: Path,
) -> pd.DataFrame:
    """Write the table three times and return its rows (:func:`~workflow_scripts.analysis.summaries.summarise` and
    :func:`~workflow_scripts.analysis.intervals.with_intervals`).

    ``spec``: the lists ``students``, ``losses``, ``samplers``, ``teachers``, ``seeds``, ``domains`` ([{name,
    collections}]) and ``measures``, each in the order of the rows, and ``bootstrap`` (samples, seed, confidence).
    Rankers in the metrics that the lists do not name are left out; one that they name and the metrics lack is an
    :class:`InputError`. ``equivalence``: the CSV of make_equivalence_table, whose outcomes are the letters. The
    Markdown holds a table for each measure that some domain has on all its collections, the LaTeX file the first
    measure's.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = [str(measure) for measure in parse_measures(spec["measures"])]
    table = summarise(Means(collection_means(metrics)), grid, domains, measures)
    table = with_intervals(table, QueryValues(metrics, measures), grid, domains, spec["bootstrap"])
    with atomic_path(csv) as path:
        table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    shared = set(table.loc[table["collection"] == ALL, "measure"])
    if measures[0] not in shared:
        raise InputError(f"no domain has {measures[0]} on all its collections: list another measure first")
    letters = _letters(table, grid, read_comparisons(equivalence))
    texts = {measure: text_table(table, grid, measure, letters) for measure in measures if measure in shared}
    with atomic_path(md) as path:
        parts = [f"### {measure}\n\n{markdown_table(text)}" for measure, text in texts.items()]
        path.write_text("\n".join([_caption(grid), *parts]), encoding="utf-8")
    with atomic_path(tex) as path:
        path.write_text(f"% {measures[0]}: {_caption(grid)}{latex_table(texts[measures[0]])}", encoding="utf-8")
    return table


def text_table(
    table: pd.DataFrame, grid: Grid, measure: str, letters: Mapping[tuple[str, ...], Mapping[str, str]]
) -> TextTable:
    """The domains' means of one measure: loss x sampler (x teacher) down, domain x student across; best student bold.

    ``letters``: (student, loss, teacher, domain, measure) to each sampler's letters. A reference has one value for a
    domain, shown under each student. A domain whose collections do not all have the measure has no columns.
    """
    rows = table[(table["collection"] == ALL) & (table["measure"] == measure)]
    domains = list(dict.fromkeys(rows["domain"]))
    found = rows.set_index(["student", "loss", "sampler", "teacher", "domain"])[["mean", "std_seed"]].T.to_dict("list")
    combinations = list(dict.fromkeys(ranker[1:] for ranker in grid.trained))

    def values(rankers: Sequence[RankerKey]) -> list[list[float]]:
        return [found[(*ranker, domain)] for domain in domains for ranker in rankers]

    body = [values([(student, *keys) for student in grid.students]) for keys in combinations]
    array = np.array(body, dtype=float).reshape(len(combinations), -1, 2)  # (rows, domains x students, mean and spread)
    texts = np.array([[format_value(*pair) for pair in row] for row in array], dtype=object)
    marks = best_per_column(texts, array[:, :, 0])
    several = len(grid.teachers) > 1
    sections = [
        [
            (reference_label(ranker, several), _cells(values([ranker] * len(grid.students))))
            for ranker in grid.references
        ]
    ]
    for loss in grid.losses:
        chosen = [index for index, keys in enumerate(combinations) if keys[0] == loss]
        section = []
        for index in chosen:
            _, sampler, teacher = combinations[index]
            above = [
                letters[student, loss, teacher, domain, measure][sampler]
                for domain in domains
                for student in grid.students
            ]
            cells = [Cell(*parts) for parts in zip(texts[index], marks[index], above, strict=True)]
            section.append((combinations[index] if several else combinations[index][:2], cells))
        sections.append(section)
    labels = ("loss", "sampler", "teacher") if several else ("loss", "sampler")
    return TextTable(labels, [(domain, list(grid.students)) for domain in domains], sections)


def _letters(table: pd.DataFrame, grid: Grid, comparisons: pd.DataFrame) -> dict[tuple[str, ...], dict[str, str]]:
    """Each block's letters; none where there is one sampler."""
    rows = table[(table["collection"] == ALL) & (table["loss"] != "")]
    means: dict[tuple, dict[str, float]] = {}
    for *block, sampler, mean in rows[[*BLOCK, "sampler", "mean"]].itertuples(index=False):
        means.setdefault(tuple(block), {})[sampler] = mean
    if len(grid.samplers) == 1:
        return {block: dict.fromkeys(of_sampler, "") for block, of_sampler in means.items()}
    return sampler_letters(comparisons, means)


def _cells(pairs: Sequence[Sequence[float]]) -> list[Cell]:
    return [Cell(format_value(*pair)) for pair in pairs]


def _caption(grid: Grid) -> str:
    spread = "; mean ± standard deviation over them" if len(grid.seeds) > 1 else ""
    seeds = f"{len(grid.seeds)} seed" + ("s" if len(grid.seeds) > 1 else "")
    letters = (
        " Letters: two samplers of one loss, student and domain share a letter unless they are different in the "
        "equivalence table; sharing one does not show that they are equivalent."
    )
    return (
        f"Mean over a domain's collections; {seeds} a student{spread}. Bold: the best student of a column."
        f"{letters if len(grid.samplers) > 1 else ''}\n"
    )


if __name__ == "__main__":
    run(make_main_table)
