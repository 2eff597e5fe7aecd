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

    ``spec``: the lists of the grid (students, losses, samplers, teachers, seeds), ``domains``, ``measures`` and
    ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`).
    """
    measures = spec["measures"]
    values, domains = QueryValues(metrics, measures), parse_domains(spec["domains"])
    table = compare_samplers(values, Grid.of(spec), domains, measures, Rule(**spec["rule"]))
    write_numbers(output, table, spec)


if __name__ == "__main__":
    run(make_equivalence_table)
