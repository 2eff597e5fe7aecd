"""Make the variance table: how much of the spread is student, loss, sampler, teacher and seed, three formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.measures import collection_means, parse_measures
from workflow_scripts.analysis.summaries import Grid, Means, weighted_mean
from workflow_scripts.analysis.variance import COLUMNS, decompose
from workflow_scripts.presentation.table_files import table_parser, write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.storage.artifacts import run

FACTORS = ("student", "loss", "sampler", "teacher")


def make_variance_table(
    *, spec: Mapping, metrics: str | Path, csv: str | Path, md: str | Path, tex: str | Path
) -> pd.DataFrame:
    """Write the table three times: domain, measure and the columns of :func:`decompose`.

    What is decomposed is the value of each trained student and seed on a domain (macro mean over its collections).
    ``spec``: the lists of the grid, ``domains`` and ``measures``; the Markdown and the LaTeX hold the first measure.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = [str(measure) for measure in parse_measures(spec["measures"])]
    means = Means(collection_means(metrics))
    shape = [len(axis) for axis in (grid.students, grid.losses, grid.samplers, grid.teachers, grid.seeds)]
    frames = []
    for domain in domains:
        for measure in means.measures(domain.collections, measures):
            found = [
                weighted_mean(means, ranker, seed, domain.weights, measure)
                for ranker in grid.trained
                for seed in grid.seeds
            ]
            table = decompose(np.reshape(found, shape), FACTORS)
            frames.append(table.assign(domain=domain.name, measure=measure))
    table = pd.concat(frames)[["domain", "measure", *COLUMNS]]
    shown = table[table["measure"] == measures[0]]
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    paths = {"csv": csv, "md": md, "tex": tex}
    write_tables(table, _text_table(shown), _caption(shown, grid, measures[0]), **paths, float_format="%.6g")
    return table


def _text_table(rows: pd.DataFrame) -> TextTable:
    """Sources down; for each domain the share, the standard deviation that the source adds, and the p-value."""
    found = rows.set_index(["source", "domain"])[["eta_squared", "component_share", "component", "p"]].T.to_dict("list")
    domains = list(dict.fromkeys(rows["domain"]))
    section = []
    for source in dict.fromkeys(rows["source"]):
        cells = [Cell(text) for domain in domains for text in _texts(*found[source, domain])]
        section.append(((source.replace(":", " x "),), cells))
    headers = ("eta²", "component", "sd", "p")
    return TextTable(("source",), [(domain, headers) for domain in domains], [section])


def _texts(eta: float, share: float, component: float, p: float) -> list[str]:
    small = "<0.001" if p < 0.001 else f"{p:.3f}"
    texts = (f"{100 * eta:.1f}%", f"{100 * share:.1f}%", f"{np.sqrt(component):.4f}", small)
    return ["" if np.isnan(value) else text for value, text in zip((eta, share, component, p), texts, strict=True)]


def _caption(rows: pd.DataFrame, grid: Grid, measure: str) -> str:
    if rows.empty:
        return "The experiment has one trained student: nothing varies.\n"
    if len(grid.seeds) > 1:
        rest = (
            f"Seed: what {len(grid.seeds)} trainings of one cell differ by (sampling, data order and initialisation "
            "together); its noise is taken out of the other components. What a sampler's own models (teacher, dense "
            "miner) owe to their seed is not in it. p tests each source against the seed as if all trainings were "
            "independent. They are not: cells of one seed share data order and initialisation, and those of one "
            "sampler the groups. What all cells of a seed share makes every p too large; what those of one sampler or "
            "of one student share makes the p of sampler and of student too small: read these two with care."
        )
    else:
        rest = (
            "One seed a cell: what the seed does cannot be told apart from interactions, and both are in the residual "
            "(so no p-value here says that a difference would outlast another training)."
        )
    return (
        f"Analysis of variance of {measure} of the trained students. eta²: share of the sum of squares, in this grid. "
        "Component: share of the variance that each source adds to one value, its levels taken as a sample from many; "
        f"sd: its square root, in units of the measure. {rest}\n"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of :func:`make_variance_table`."""
    parser = table_parser(__doc__)
    parser.add_argument("--metrics", required=True, help="metrics of all rankers, Parquet")
    make_variance_table(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run(main)
