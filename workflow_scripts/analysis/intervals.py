"""Bootstrap intervals over queries for every row of the main table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import percentile_interval, resampled_means
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid, entities


def with_intervals(
    table: pd.DataFrame, values: QueryValues, grid: Grid, domains: Sequence[Domain], bootstrap: Mapping
) -> pd.DataFrame:
    """The main table with ``ci_low`` and ``ci_high``: the percentile interval of each row's mean.

    As :func:`~workflow_scripts.analysis.bootstrap.stratified_interval`, each collection resampled once for all rankers
    and measures. A query's value is averaged over the seeds first, so the interval says how the mean varies with the
    queries; ``std_seed`` says how it varies with the seed. ``bootstrap``: samples, seed, confidence.
    """
    rankers = {ranker: values.seeds(ranker) for ranker in grid.references}
    rankers |= {ranker: list(grid.seeds) for ranker in grid.trained}
    measures = list(dict.fromkeys(table["measure"]))
    replicates: dict[str, np.ndarray] = {}  # collection -> # (rows, samples)
    places: dict[tuple, int] = {}
    for collection in dict.fromkeys(name for domain in domains for name in domain.collections):
        keys = [(ranker, measure) for measure in values.measures([collection], measures) for ranker in rankers]
        places |= {(collection, *key): place for place, key in enumerate(keys)}
        x = np.stack([values.of(ranker, rankers[ranker], collection, measure) for ranker, measure in keys])
        replicates[collection] = resampled_means(x, bootstrap["samples"], bootstrap["seed"], collection)
    weights = {(domain.name, name): entity for domain in domains for name, entity in entities(domain)}
    intervals = np.empty((len(table), 2))
    for index, (*ranker, domain, name, measure) in enumerate(table[list(_ROW)].itertuples(index=False)):
        theta = sum(
            weight * replicates[collection][places[collection, tuple(ranker), measure]]
            for collection, weight in weights[domain, name].items()
        )
        intervals[index] = percentile_interval(theta, bootstrap["confidence"])
    return table.assign(ci_low=intervals[:, 0], ci_high=intervals[:, 1])


_ROW = ("student", "loss", "sampler", "teacher", "domain", "collection", "measure")
