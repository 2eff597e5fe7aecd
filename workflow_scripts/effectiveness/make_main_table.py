"""Compute the main table: effectiveness of every sampler x loss x student beside BM25 and the teacher, by domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import ALL, parse_domains
from workflow_scripts.analysis.equivalence import BLOCK, sampler_letters
from workflow_scripts.analysis.intervals import with_intervals
from workflow_scripts.analysis.measures import collection_means
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid, Means, summarise
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_numbers, write_numbers


def make_main_table(*, spec: Mapping, metrics: Path, equivalence: Path, output: Path) -> None:
    """Write the numbers: the columns of :func:`~workflow_scripts.analysis.summaries.summarise` and of
    :func:`~workflow_scripts.analysis.intervals.with_intervals`, and ``letters`` (of the students on whole domains).

    ``spec``: the lists ``students``, ``losses``, ``samplers``, ``teachers``, ``seeds``, ``domains`` ([{name,
    collections}]) and ``measures``, each in the order of the rows, and ``bootstrap`` (samples, seed, confidence).
    Rankers in the metrics that the lists do not name are left out; one that they name and the metrics lack is an
    :class:`InputError`. ``equivalence``: numbers of the equivalence table, whose outcomes are the letters.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = spec["measures"]
    table = summarise(Means(collection_means(metrics)), grid, domains, measures)
    table = with_intervals(table, QueryValues(metrics, measures), grid, domains, spec["bootstrap"])
    comparisons, _ = read_numbers(equivalence)
    write_numbers(output, table.assign(letters=_letters(table, grid, comparisons)), spec)


def _letters(table: pd.DataFrame, grid: Grid, comparisons: pd.DataFrame) -> list[str]:
    """Letters of each row; empty but for a student on a whole domain, and everywhere where there is one sampler."""
    if len(grid.samplers) == 1:
        return [""] * len(table)
    rows = table[(table["collection"] == ALL) & (table["loss"] != "")]
    means: dict[tuple, dict[str, float]] = {}
    for *block, sampler, mean in rows[[*BLOCK, "sampler", "mean"]].itertuples(index=False):
        means.setdefault(tuple(block), {})[sampler] = mean
    letters = sampler_letters(comparisons, means)
    found = {index: letters[tuple(block)][sampler] for index, *block, sampler in rows[[*BLOCK, "sampler"]].itertuples()}
    return [found.get(index, "") for index in table.index]


if __name__ == "__main__":
    run(make_main_table)
