"""Compute the equivalence table: every two samplers, different, equivalent or undecided."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.equivalence import Rule, compare_samplers
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers


def make_equivalence_table(*, spec: Mapping, metrics: Path, output: Path) -> None:
    """Write the numbers; the rows are :func:`~workflow_scripts.analysis.equivalence.compare_samplers`'s.

    ``spec``: the lists of the grid (students, losses, samplers, teachers, seeds), ``domains``, ``measures``, ``rule``
    (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`), ``controls`` (see
    :class:`~workflow_scripts.analysis.compared_cells.ComparedCells`) and ``depth`` of the re-ranked lists.
    """
    measures = spec["measures"]
    values, domains, rule = QueryValues(metrics, measures), parse_domains(spec["domains"]), Rule(**spec["rule"])
    table = compare_samplers(values, Grid.of(spec), domains, measures, rule, spec["controls"], spec["depth"])
    write_numbers(output, table, spec)


if __name__ == "__main__":
    run(make_equivalence_table)
