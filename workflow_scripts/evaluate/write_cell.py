"""Write cells: one ranker on one domain, each measure with a confidence interval."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.measures import METRICS_FILE
from workflow_scripts.storage.artifacts import Artifact, InputError, atomic_path, parse_spec, run
from workflow_scripts.storage.tables import read_table

COLUMNS = ("measure", "value", "ci_low", "ci_high", "n_queries")


def write_cell(*, spec: Mapping, metrics: str | Path, outputs: Mapping[str, str | Path]) -> None:
    """Write one CSV per domain: measure, value, ci_low, ci_high, n_queries.

    value = sum over the domain's collections c of w_c times the mean of c's queries, with w_c = 1 / number of
    collections (a named set of collections counts as one, its parts sharing its weight): a macro mean over
    collections. The interval is :func:`stratified_interval`'s; n_queries is the number of queries behind both. Only
    measures that every collection of the domain has. ``spec``: ``domains`` and ``bootstrap`` (samples, seed,
    confidence); ``outputs``: domain to path.
    """
    domains = {domain.name: domain for domain in parse_domains(spec["domains"])}
    unknown = set(outputs) - set(domains)
    if unknown:
        raise InputError(f"{min(unknown)} is not a domain: it is one of {', '.join(domains)}")
    frame = read_table(Artifact(metrics).file(METRICS_FILE), columns=["collection", "query_id", "measure", "value"])
    for name, path in outputs.items():
        cell = cell_values(frame, domains[name], **spec["bootstrap"])
        with atomic_path(path) as partial:
            cell.to_csv(partial, index=False, float_format="%.6f", lineterminator="\n")


def cell_values(frame: pd.DataFrame, domain: Domain, *, samples: int, seed: int, confidence: float) -> pd.DataFrame:
    """One cell's rows from one ranker's metrics (collection, query_id, measure, value), measures in name order."""
    tables = {}
    for collection in domain.collections:
        rows = frame[frame["collection"] == collection]
        if rows.empty:
            raise InputError(f"the metrics lack the collection {collection} of {domain.name}: measure its run first")
        tables[collection] = rows.pivot(index="measure", columns="query_id", values="value")
    shared = sorted(set.intersection(*(set(table.index.astype(str)) for table in tables.values())))
    if not shared:
        raise InputError(f"the collections of {domain.name} share no measure: give them one in common, such as nDCG@10")
    values = {name: table.loc[shared].to_numpy(dtype=float) for name, table in tables.items()}  # (measures, queries)
    if any(np.isnan(array).any() for array in values.values()):
        raise InputError(f"a query of {domain.name} lacks a measure that others have: measure its runs again")
    weights = domain.weights
    low, high = stratified_interval(values, weights, samples=samples, seed=seed, confidence=confidence)
    value = sum(weights[name] * array.mean(axis=1) for name, array in values.items())
    queries = sum(array.shape[1] for array in values.values())
    columns = dict(zip(COLUMNS, (shared, value, low, high, queries), strict=True))
    return pd.DataFrame(columns)


def parse_outputs(pairs: Sequence[str]) -> dict[str, str]:
    """``DOMAIN=PATH`` arguments as a dictionary."""
    outputs = dict(pair.partition("=")[::2] for pair in pairs)
    if len(outputs) < len(pairs) or not all(outputs.values()):
        raise InputError(f"outputs are DOMAIN=PATH, each domain once: got {' '.join(pairs)}")
    return outputs


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of :func:`write_cell`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=parse_spec, required=True)
    parser.add_argument("--metrics", required=True, help="manifest of one ranker's metrics")
    parser.add_argument("--cells", "--output", nargs="+", required=True, metavar="DOMAIN=PATH")
    arguments = parser.parse_args(argv)
    write_cell(spec=arguments.spec, metrics=arguments.metrics, outputs=parse_outputs(arguments.cells))


if __name__ == "__main__":
    run(main)
