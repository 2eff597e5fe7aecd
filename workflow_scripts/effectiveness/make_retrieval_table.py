"""Make the retrieval table: bi-encoders as first stages beside their re-ranking of BM25, as CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.measures import parse_measures
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.effectiveness.retrieval import compare_stages
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value
from workflow_scripts.storage.command import run

RECALL = "R@100"


def make_retrieval_table(
    *, spec: Mapping, reranked: Path, retrieved: Path, csv: Path, md: Path, tex: Path
) -> pd.DataFrame:
    """Write the table three times; its rows are :func:`~workflow_scripts.effectiveness.retrieval.compare_stages`'s.

    ``spec``: the lists of the grid (students, which are bi-encoders; losses, samplers, teachers, seeds), ``domains``,
    ``measures``, ``bootstrap`` (samples, seed, confidence), ``reranked_depth`` and ``retrieved_depth`` (documents a
    query). ``reranked`` and ``retrieved`` are tables of metrics with the same keys; a cell that one lacks is an error.
    The Markdown and the LaTeX hold the first measure that a domain has and, where it is listed, R@100.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = [str(measure) for measure in parse_measures(spec["measures"])]
    both = (QueryValues(path, measures) for path in (reranked, retrieved))
    table = compare_stages(*both, grid, domains, measures, spec["bootstrap"])
    found = [measure for measure in measures if measure in set(table["measure"])]
    shown = [measure for measure in found if measure in (found[0], RECALL)]
    text = _text_table(table[table["measure"].isin(shown)], grid, shown)
    write_tables(table, text, _caption(table, grid, shown, spec), csv=csv, md=md, tex=tex)
    return table


def _text_table(rows: pd.DataFrame, grid: Grid, shown: Sequence[str]) -> TextTable:
    """Domain x student x loss x sampler (x teacher) down, measures across; a section is a domain's student."""
    keys = ["loss", "sampler", "teacher"] if len(grid.teachers) > 1 else ["loss", "sampler"]
    sections = []
    for (domain, student), part in rows.groupby(["domain", "student"], sort=False):
        section = []
        for labels, cell in part.groupby(keys, sort=False):
            by_measure = cell.set_index("measure")
            cells = [text for measure in shown for text in _cells(by_measure, measure)]
            section.append(((domain, student, *labels), cells))
        sections.append(section)
    columns = ["re-ranked", "retrieved", "difference"]
    return TextTable(("domain", "student", *keys), [(measure, columns) for measure in shown], sections)


def _cells(by_measure: pd.DataFrame, measure: str) -> list[Cell]:
    """Three cells; empty ones where a domain's collections do not all have the measure."""
    if measure not in by_measure.index:
        return [Cell("")] * 3
    row = by_measure.loc[measure]
    return [
        Cell(format_value(row["reranked"], row["reranked_std_seed"])),
        Cell(format_value(row["retrieved"], row["retrieved_std_seed"])),
        Cell(f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"),
    ]


def _caption(table: pd.DataFrame, grid: Grid, shown: Sequence[str], spec: Mapping) -> str:
    first = table[table["measure"] == shown[0]]
    better, worse = int((first["ci_low"] > 0).sum()), int((first["ci_high"] < 0).sum())
    reranked, retrieved = spec["reranked_depth"], spec["retrieved_depth"]
    recall = (
        f" {RECALL} of the re-ranked is BM25's own: no order of its {reranked} candidates finds more."
        if RECALL in shown and reranked <= 100
        else ""
    )
    depths = (
        f" The re-ranked lists end at rank {reranked}, the retrieved at {retrieved}: a measure of whole lists (as AP), "
        f"or one with a later cut-off than {min(reranked, retrieved)}, compares two depths as well as two rankings."
        if reranked != retrieved
        else ""
    )
    spread = " ± their standard deviation over seeds" if len(grid.seeds) > 1 else ""
    seeds = f"{len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''}"
    return (
        "Re-ranked: the bi-encoder orders BM25's candidates. Retrieved: the same model searches the whole collection, "
        f"without BM25. Means over a domain's collections, {seeds}{spread}. Difference: retrieved less re-ranked, with "
        f"a {spec['bootstrap']['confidence']:.0%} bootstrap interval over queries, one comparison's, not corrected "
        f"for their number. In {shown[0]}, of {len(first)} comparisons {better} have an interval above 0, {worse} "
        f"below.{recall}{depths} "
        "Not shown: how the difference varies with the training run (the interval is about these models). Documents "
        "without a judgement count as not relevant; where judgements are not complete, a search of the whole "
        "collection finds more such documents than there are among the candidates of a lexical system, which "
        "judgements were often made from.\n"
    )


if __name__ == "__main__":
    run(make_retrieval_table)
