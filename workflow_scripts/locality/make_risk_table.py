"""Compute the table of excess risks: how often each ranker orders two candidates wrong, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.measure_names import EXCESS_RISK
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

COLUMNS = (
    *("student", "loss", "sampler", "teacher", "domain", "risk", "std_seed", "ci_low", "ci_high", "n_seeds"),
    *("n_queries", "n_left_out"),
)


def make_risk_table(*, spec: Mapping, metrics: Path, output: Path) -> None:
    """Write the numbers, one row a ranker and domain, columns :data:`COLUMNS`.

    ``spec``: the axes of the main grid, ``domains``, ``bootstrap``, ``rankers`` ([student, loss, sampler, teacher,
    seed]) and ``measure``, which every judged query has. A domain's risk is the mean over its collections, which must
    all have one; n_queries are those with a pair of candidates to order, n_left_out those without. A ranker that was
    not trained, of a cut of too few queries, has no row. Raises :class:`InputError` where no domain has an excess risk.
    """
    values = QueryValues(metrics, [EXCESS_RISK, spec["measure"]])
    domains = [each for each in parse_domains(spec["domains"]) if values.measures(each.collections, [EXCESS_RISK])]
    if not domains:
        raise InputError(f"no domain has an {EXCESS_RISK}: only generated collections have a hidden truth")
    seeds: dict[RankerKey, list] = {}
    for *ranker, seed in spec["rankers"]:
        if values.measured(tuple(ranker)):
            seeds.setdefault(tuple(ranker), []).append(seed)
    rows = [_row(values, ranker, seeds[ranker], domain, spec) for ranker in seeds for domain in domains]
    write_numbers(output, pd.DataFrame(rows, columns=list(COLUMNS)), spec)


def _row(values: QueryValues, ranker: RankerKey, seeds: Sequence[int | None], domain: Domain, spec: Mapping) -> tuple:
    by_seed = [
        sum(weight * values.of(ranker, [seed], name, EXCESS_RISK).mean() for name, weight in domain.weights.items())
        for seed in seeds
    ]
    risks = {name: values.of(ranker, seeds, name, EXCESS_RISK)[None] for name in domain.collections}
    low, high = stratified_interval(risks, domain.weights, **spec["bootstrap"])
    spread = np.std(by_seed, ddof=1) if len(seeds) > 1 else np.nan
    queries, judged = (values.number(domain.collections, name) for name in (EXCESS_RISK, spec["measure"]))
    numbers = (np.mean(by_seed), spread, low[0], high[0], len(seeds), queries, judged - queries)
    return (*ranker, domain.name, *numbers)


if __name__ == "__main__":
    run(make_risk_table)
