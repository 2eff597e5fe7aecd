"""Compute the table of excess risks: how often each ranker orders two candidates wrong, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.query_values import RankerKey
from workflow_scripts.locality.risk import EXCESS_RISK, RiskValues
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

COLUMNS = (
    *("student", "loss", "sampler", "teacher", "domain", "risk", "std_seed", "ci_low", "ci_high", "n_seeds"),
    *("n_queries", "n_left_out"),
)


def make_risk_table(*, spec: Mapping, runs: Sequence[Path], tests: Sequence[Path], output: Path) -> None:
    """Write the numbers, one row a ranker and domain, columns :data:`COLUMNS`.

    ``spec``: the axes of the main grid, ``domains``, ``bootstrap``, ``rankers`` ([student, loss, sampler, teacher,
    seed] in the order of ``runs``) and ``collections`` (ids in the order of ``tests``). A query's risk is
    :func:`~workflow_scripts.locality.risk.pairwise_risk`; a domain's the mean over its collections, which must all have
    a truth; n_queries are those measured, n_left_out those without a pair of candidates to order. Raises
    :class:`InputError` where no domain has a truth. Bound by reading the runs.
    """
    risks = RiskValues(spec["rankers"], runs, dict(zip(spec["collections"], tests, strict=True)))
    domains = [domain for domain in parse_domains(spec["domains"]) if all(name in risks for name in domain.collections)]
    if not domains:
        raise InputError("no domain's collections have a hidden truth: only generated ones do")
    rankers = list(dict.fromkeys(tuple(ranker[:4]) for ranker in spec["rankers"]))
    rows = [_row(risks, ranker, domain, spec["bootstrap"]) for ranker in rankers for domain in domains]
    write_numbers(output, pd.DataFrame(rows, columns=list(COLUMNS)), spec)


def _row(risks: RiskValues, ranker: RankerKey, domain: Domain, bootstrap: Mapping) -> tuple:
    seeds = risks.seeds(ranker)
    by_seed = [
        sum(weight * risks.of(ranker, [seed], name, EXCESS_RISK).mean() for name, weight in domain.weights.items())
        for seed in seeds
    ]
    values = {name: risks.of(ranker, seeds, name, EXCESS_RISK)[None] for name in domain.collections}
    low, high = stratified_interval(values, domain.weights, **bootstrap)
    spread = np.std(by_seed, ddof=1) if len(seeds) > 1 else np.nan
    left_out, queries = np.sum([risks.left_out[name] for name in domain.collections], axis=0)
    numbers = (np.mean(by_seed), spread, low[0], high[0], len(seeds), queries - left_out, left_out)
    return (*ranker, domain.name, *numbers)


if __name__ == "__main__":
    run(make_risk_table)
