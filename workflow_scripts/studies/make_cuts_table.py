"""Compute the table of cuts: training on a part of the queries against training on all, and on a random part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import ALL, Domain, parse_domains
from workflow_scripts.analysis.equivalence import JUDGED
from workflow_scripts.analysis.measure_names import orders_candidates
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import Grid, summarise, with_intervals
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers
from workflow_scripts.studies.cut_cells import CELL, Derived, compare_cuts, derived_samplers, kept_queries

TOO_FEW = "too few queries"
"""The outcome of a cut that was not trained."""
COLUMNS = (
    *CELL,
    *("groups", "share", "entropy", "mean", "ci_low", "ci_high", "std_seed", "n_seeds", "n_queries"),
    *(f"difference_{name}" if name.startswith("ci_") else name for name in JUDGED),
    *(f"beside_{name}" for name in JUDGED),
)


@dataclass(frozen=True)
class Cells(Grid):
    """A study's cells alone, those of cuts that were trained: BM25 and the teachers have no row here."""

    untrained: frozenset[tuple[str, str]] = frozenset()

    @property
    def references(self) -> list[RankerKey]:
        return []

    @property
    def trained(self) -> list[RankerKey]:
        return [cell for cell in super().trained if cell[2:] not in self.untrained]


def make_cuts_table(*, spec: Mapping, metrics: Path, labels: Sequence[Path], output: Path) -> None:
    """Write the numbers, columns :data:`COLUMNS`, rows in the order of the spec's lists and of the cuts.

    ``spec``: the lists of the study (students, losses, samplers, teachers, seeds; the samplers uncut), ``cuts`` (cut to
    sampler to the derived sampler's id), what decides them (``fence``, ``at_least``, ``sampling``, see
    :func:`kept_queries`), ``domains``, ``measures``, ``depth`` of the candidates, ``bootstrap`` (samples, seed,
    confidence), ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`) and ``controls``.
    ``labels``: one manifest for each sampler x teacher x seed, in this order. A cut of too few queries has an outcome
    that says so and no value; any other cell that the metrics lack is an :class:`InputError`.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    derived = derived_samplers(spec["cuts"], grid.samplers)
    kept = kept_queries(grid, list(derived), spec, labels)
    values = QueryValues(metrics, spec["measures"])
    shown = values.by_domain(domains, spec["measures"])
    axes = (grid.students, grid.losses, grid.samplers, grid.teachers, derived)
    rows = [(*cell, domain.name, measure) for *cell, (domain, measure) in product(*axes, shown)]
    table = pd.DataFrame(rows, columns=CELL).merge(kept, "left", on=["sampler", "teacher", "cut"])
    few = set(kept.loc[kept["too_few"], ["sampler", "teacher", "cut"]].itertuples(index=False, name=None))
    table = table.merge(_means(values, grid, derived, few, domains, spec), "left", on=CELL)
    compared = [
        compare_cuts(values, cell, _trained(derived, cell, few), domain, measure, spec)
        for cell in grid.trained
        for domain, measure in shown
        if orders_candidates(measure, spec["depth"])
    ]
    table = table.merge(pd.concat(compared), "left", on=CELL)
    table.loc[table["too_few"], "outcome"] = TOO_FEW
    write_numbers(output, table[list(COLUMNS)].astype({"n_seeds": "Int64", "n_queries": "Int64"}), spec)


def _trained(derived: Derived, cell: RankerKey, few: set[tuple[str, str, str]]) -> Derived:
    """The cuts of a cell that were trained."""
    return {cut: samplers for cut, samplers in derived.items() if (*cell[2:], cut) not in few}


def _means(
    values: QueryValues, grid: Grid, derived: Derived, few: set, domains: Sequence[Domain], spec: Mapping
) -> pd.DataFrame:
    """Mean of every cell and cut that was trained, with its bootstrap interval over queries."""
    names = {name: (sampler, cut) for cut, of_sampler in derived.items() for sampler, name in of_sampler.items()}
    untrained = frozenset((derived[cut][sampler], teacher) for sampler, teacher, cut in few)
    cells = Cells(grid.students, grid.losses, list(names), grid.teachers, grid.seeds, untrained)
    table = summarise(values, cells, domains, spec["measures"])
    table = with_intervals(table[table["collection"] == ALL], values, cells, domains, spec["bootstrap"])
    table[["sampler", "cut"]] = [names[name] for name in table["sampler"]]
    return table.drop(columns="collection")


if __name__ == "__main__":
    run(make_cuts_table)
