"""Compute the table of entropy cuts: training on a part of the queries against training on all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.analysis.domains import ALL, parse_domains
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.intervals import with_intervals
from workflow_scripts.analysis.measures import collection_means
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import Grid, Means, summarise
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers
from workflow_scripts.studies.cut_cells import CELL, compare_cuts, derived_samplers, kept_queries

COLUMNS = (
    *CELL,
    *("groups", "share", "entropy", "mean", "ci_low", "ci_high", "std_seed", "n_seeds", "n_queries"),
    *("difference", "difference_low", "difference_high", "margin", "p_difference", "p_equivalence"),
    *("p_difference_holm", "p_equivalence_holm", "outcome"),
)


class Cells(Grid):
    """A study's cells alone: BM25 and the teachers have no row here."""

    @property
    def references(self) -> list[RankerKey]:
        return []


def make_cuts_table(*, spec: Mapping, metrics: Path, labels: Sequence[Path], output: Path) -> None:
    """Write the numbers, columns :data:`COLUMNS`, rows in the order of the spec's lists and of the cuts.

    ``spec``: the lists of the study (students, losses, samplers, teachers, seeds; the samplers uncut), ``cuts`` (cut to
    sampler to the derived sampler's id), their ``fence`` (interquartile ranges, of the outliers), ``domains``,
    ``measures``, ``bootstrap`` (samples, seed, confidence) and ``rule`` (the fields of
    :class:`~workflow_scripts.analysis.equivalence.Rule`). ``labels``: one manifest for each sampler x teacher x seed,
    in this order. A cell that the metrics lack is an :class:`InputError`. The columns: docs/tables.md#cuts.
    """
    grid, domains, rule = Cells.of(spec), parse_domains(spec["domains"]), Rule(**spec["rule"])
    derived = derived_samplers(spec["cuts"], grid.samplers)
    measures = spec["measures"]
    kept = kept_queries(grid, list(derived), spec["fence"], labels)
    values = QueryValues(metrics, measures)
    names = {name: (sampler, cut) for cut, of_sampler in derived.items() for sampler, name in of_sampler.items()}
    everything = Cells(grid.students, grid.losses, list(names), grid.teachers, grid.seeds)
    table = summarise(Means(collection_means(metrics)), everything, domains, measures)
    table = with_intervals(table[table["collection"] == ALL], values, everything, domains, spec["bootstrap"])
    table[["sampler", "cut"]] = [names[name] for name in table["sampler"]]
    table = table.merge(kept, on=["sampler", "teacher", "cut"], validate="many_to_one")
    table = table.merge(compare_cuts(values, grid, derived, domains, measures, rule), "left", on=CELL)
    axes = (grid.students, grid.losses, grid.samplers, grid.teachers, list(derived))
    keys = [
        table[name].map({value: place for place, value in enumerate(axis)})
        for name, axis in zip(CELL, axes, strict=False)
    ]
    # Within a cell, domains and measures stay in their order.
    table = table.iloc[np.lexsort([np.arange(len(table)), *reversed(keys)])][list(COLUMNS)].reset_index(drop=True)
    write_numbers(output, table, spec)


if __name__ == "__main__":
    run(make_cuts_table)
