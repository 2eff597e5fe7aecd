"""First stages: what a bi-encoder finds by itself in a whole collection, beside its re-ranking of BM25's candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.errors import InputError

COLUMNS = (
    *("student", "loss", "sampler", "teacher", "domain", "measure", "reranked", "reranked_std_seed"),
    *("retrieved", "retrieved_std_seed", "difference", "ci_low", "ci_high", "n_queries", "n_seeds"),
)


def compare_stages(
    reranked: QueryValues,
    retrieved: QueryValues,
    grid: Grid,
    domains: Sequence[Domain],
    measures: Sequence[str],
    bootstrap: Mapping,
) -> pd.DataFrame:
    """One row for each student, domain and measure, columns :data:`COLUMNS`; difference is retrieved minus reranked.

    ``reranked`` and ``retrieved`` are the mean over seeds of the domain's values (the weighted mean of its collections'
    means), with their standard deviation over seeds, NaN for one. The interval resamples queries within collections:
    a query's difference is averaged over seeds first. ``bootstrap``: samples, seed, confidence. A measure that not all
    collections of a domain have is left out there. Raises :class:`InputError` for a ranker, measure or query that one
    of the two lacks.
    """
    rows = []
    for domain in domains:
        for measure in reranked.measures(domain.collections, measures):
            pair = [_by_seed(values, grid, domain, measure, reranked) for values in (reranked, retrieved)]
            differences = {name: (pair[1][name] - pair[0][name]).mean(axis=1) for name in domain.collections}
            low, high = stratified_interval(differences, domain.weights, **bootstrap)
            # (rankers, seeds) of each stage
            means = [sum(w * part[name].mean(axis=2) for name, w in domain.weights.items()) for part in pair]
            queries = sum(array.shape[1] for array in differences.values())
            for place, ranker in enumerate(grid.trained):
                first, second = (_summary(array[place]) for array in means)
                ends = (second[0] - first[0], low[place], high[place])
                rows.append((*ranker, domain.name, measure, *first, *second, *ends, queries, len(grid.seeds)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _by_seed(
    values: QueryValues, grid: Grid, domain: Domain, measure: str, order: QueryValues
) -> dict[str, np.ndarray]:
    """Collection to every student's values  # (rankers, seeds, queries), queries in the order that ``order`` has."""
    found = {}
    for name in domain.collections:
        rankers: list[RankerKey] = grid.trained
        array = np.stack([[values.of(ranker, [seed], name, measure) for seed in grid.seeds] for ranker in rankers])
        found[name] = array[:, :, _places(values.queries(name, measure), order.queries(name, measure), name)]
    return found


def _places(queries: Sequence[str], wanted: Sequence[str], collection: str) -> np.ndarray:
    """Places of ``wanted`` in ``queries``, which must be the same set."""
    different = set(queries) ^ set(wanted)
    if different:
        raise InputError(
            f"query {min(different)} of {collection} was measured for one of re-ranking and retrieval: "
            "measure both on the same judgements"
        )
    places = {query: place for place, query in enumerate(queries)}
    return np.array([places[query] for query in wanted])


def _summary(of_seeds: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over seeds, NaN for one."""
    return float(of_seeds.mean()), float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else np.nan
