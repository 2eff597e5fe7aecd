"""A cell: one ranker on one domain, each measure with a confidence interval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.measure_names import EXCESS_RISK
from workflow_scripts.storage.artifacts import atomic_path

COLUMNS = ("measure", "value", "ci_low", "ci_high", "n_queries")


def save_cell(path: Path, frame: pd.DataFrame, domain: Domain, bootstrap: Mapping) -> None:
    """Write a domain's CSV from one ranker's metrics: :func:`cell_values`, six decimals.

    Excess risk, which some queries have not, has a table instead. ``bootstrap``: samples, seed, confidence. A model
    that was not trained has no metrics, and a cell without rows.
    """
    frame = frame[frame["measure"] != EXCESS_RISK]
    cell = cell_values(frame, domain, **bootstrap) if len(frame) else pd.DataFrame(columns=list(COLUMNS))
    with atomic_path(path) as partial:
        cell.to_csv(partial, index=False, float_format="%.6f", lineterminator="\n")


def cell_values(frame: pd.DataFrame, domain: Domain, *, samples: int, seed: int, confidence: float) -> pd.DataFrame:
    """A cell's rows, columns :data:`COLUMNS`, measures in name order, from collection, query_id, measure, value.

    value = sum over the domain's collections c of w_c times the mean of c's queries, with w_c = 1 / number of
    collections (a named set of collections counts as one, its parts sharing its weight): a macro mean over
    collections. The interval is :func:`stratified_interval`'s; n_queries is the number of queries behind both. Only
    measures that every collection of the domain has.
    """
    tables = {}
    for collection in domain.collections:
        rows = frame[frame["collection"] == collection]
        tables[collection] = rows.pivot(index="measure", columns="query_id", values="value")
    shared = sorted(set.intersection(*(set(table.index.astype(str)) for table in tables.values())))
    values = {name: table.loc[shared].to_numpy(dtype=float) for name, table in tables.items()}  # (measures, queries)
    weights = domain.weights
    low, high = stratified_interval(values, weights, samples=samples, seed=seed, confidence=confidence)
    value = sum(weights[name] * array.mean(axis=1) for name, array in values.items())
    queries = sum(array.shape[1] for array in values.values())
    columns = dict(zip(COLUMNS, (shared, value, low, high, queries), strict=True))
    return pd.DataFrame(columns)
