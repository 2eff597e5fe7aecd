"""Compute the retrieval table: bi-encoders as first stages beside their re-ranking of BM25's candidates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.effectiveness.retrieval import compare_stages
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers


def make_retrieval_table(*, spec: Mapping, reranked: Path, retrieved: Path, output: Path) -> None:
    """Write the numbers; the rows are :func:`~workflow_scripts.effectiveness.retrieval.compare_stages`'s.

    ``spec``: the lists of the grid (students: bi-encoders and, where ``candidates`` names the dense system whose
    documents they re-rank instead, cross-encoders; losses, samplers, teachers, seeds), ``domains``,
    ``measures``, ``rule`` and ``controls`` as in the equivalence table, ``reranked_depth`` and ``retrieved_depth``
    (documents a query). ``reranked`` and ``retrieved`` are tables of metrics with the same keys; a cell that one lacks
    is an error.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = spec["measures"]
    both = QueryValues(reranked, measures), QueryValues(retrieved, measures)
    table = compare_stages(*both, grid, domains, measures, Rule(**spec["rule"]), spec["controls"])
    write_numbers(output, table, spec)


if __name__ == "__main__":
    run(make_retrieval_table)
