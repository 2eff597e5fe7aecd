"""Make the table of excess risks: how often each ranker orders two candidates wrong, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.query_values import RankerKey
from workflow_scripts.analysis.summaries import BM25, TEACHER, Grid, reference_label
from workflow_scripts.locality.risk import EXCESS_RISK, RiskValues
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable, best_per_column, format_value
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

COLUMNS = ("student", "loss", "sampler", "teacher", "domain", "risk", "std_seed", "ci_low", "ci_high", "n_seeds")


def make_risk_table(
    *,
    spec: Mapping,
    runs: Sequence[Path],
    tests: Sequence[Path],
    csv: Path,
    md: Path,
    tex: Path,
) -> pd.DataFrame:
    """Write the table three times and return its rows, one a ranker and domain, columns :data:`COLUMNS`.

    ``spec``: the axes of the main grid, ``domains``, ``bootstrap``, ``rankers`` ([student, loss, sampler, teacher,
    seed] in the order of ``runs``) and ``collections`` (ids in the order of ``tests``). A query's risk is
    :func:`~workflow_scripts.locality.risk.pairwise_risk`; a domain's the mean over its collections, which must all have
    a truth. The CSV holds every ranker, of the studies too; the other two the main grid. Raises :class:`InputError`
    where no domain has a truth. Bound by reading the runs.
    """
    risks = RiskValues(spec["rankers"], runs, dict(zip(spec["collections"], tests, strict=True)))
    domains = [domain for domain in parse_domains(spec["domains"]) if all(name in risks for name in domain.collections)]
    if not domains:
        raise InputError("no domain's collections have a hidden truth: only generated ones do")
    rankers = list(dict.fromkeys(tuple(ranker[:4]) for ranker in spec["rankers"]))
    rows = [_row(risks, ranker, domain, spec["bootstrap"]) for ranker in rankers for domain in domains]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    grid = Grid.of(spec)
    write_tables(table, _text_table(table, grid, domains), _caption(grid, risks), csv=csv, md=md, tex=tex)
    return table


def _row(risks: RiskValues, ranker: RankerKey, domain: Domain, bootstrap: Mapping) -> tuple:
    seeds = risks.seeds(ranker)
    by_seed = [
        sum(weight * risks.of(ranker, [seed], name, EXCESS_RISK).mean() for name, weight in domain.weights.items())
        for seed in seeds
    ]
    values = {name: risks.of(ranker, seeds, name, EXCESS_RISK)[None] for name in domain.collections}
    low, high = stratified_interval(values, domain.weights, **bootstrap)
    spread = np.std(by_seed, ddof=1) if len(seeds) > 1 else np.nan
    return (*ranker, domain.name, np.mean(by_seed), spread, low[0], high[0], len(seeds))


def _text_table(table: pd.DataFrame, grid: Grid, domains: Sequence[Domain]) -> TextTable:
    """References, then loss x sampler (x teacher) down; domain x student across, the least risk of a column bold."""
    found = table.set_index(list(COLUMNS[:5]))[["risk", "std_seed"]].T.to_dict("list")
    several = len(grid.teachers) > 1
    width = len(domains) * len(grid.students)
    references = []
    for ranker in grid.references:
        cells = [Cell(format_value(*found[(*ranker, domain.name)])) for domain in domains for _ in grid.students]
        references.append((reference_label(ranker, several), cells))
    keys = list(product(grid.losses, grid.samplers, grid.teachers))
    values = np.array(
        [[found[(student, *key, domain.name)] for domain in domains for student in grid.students] for key in keys]
    ).reshape(len(keys), width, 2)
    texts = np.array([[format_value(*pair) for pair in row] for row in values], dtype=object)
    best = best_per_column(texts, -values[:, :, 0])
    sections = [references]
    for loss in grid.losses:
        chosen = [place for place, key in enumerate(keys) if key[0] == loss]
        sections.append(
            [
                (
                    keys[place] if several else keys[place][:2],
                    [Cell(*pair) for pair in zip(texts[place], best[place], strict=True)],
                )
                for place in chosen
            ]
        )
    labels = ("loss", "sampler", "teacher") if several else ("loss", "sampler")
    return TextTable(labels, [(domain.name, list(grid.students)) for domain in domains], sections)


def _caption(grid: Grid, risks: RiskValues) -> str:
    left_out = ", ".join(f"{left} of {total} of {name}" for name, (left, total) in risks.left_out.items() if left)
    queries = f" Queries without such a pair are left out: {left_out}." if left_out else ""
    spread = "; mean ± standard deviation over them" if len(grid.seeds) > 1 else ""
    return (
        "Excess risk: share of a query's candidate pairs of different true grades that a ranker orders wrong, ties "
        "half; the best possible order has 0, a constant ranker 0.5, so lower is better. Every relevant pair of these "
        "generated collections is known. Mean over queries, then over a domain's collections; "
        f"{len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''} a student{spread}. Bold: the least of a column's "
        f"students. Intervals are in the CSV.{queries} {BM25.upper()} and the {TEACHER} rank the same candidates.\n"
    )


if __name__ == "__main__":
    run(make_risk_table)
