"""Bootstrap confidence intervals over queries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workflow_scripts.storage.artifacts import InputError, derive_seed

_BLOCK = 2_000_000
"""Draws held at a time: 16 MB of indices."""


def stratified_interval(
    values: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    *,
    samples: int,
    seed: int,
    confidence: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of a weighted mean of the collections' means, resampling queries.

    For replicate b, each collection c of n_c queries gets n_c draws with replacement from its own queries (stratified:
    collections are fixed, queries are the sample), and theta_b = sum_c w_c mean_i x_c[draw_i]. The interval is the
    (1 - confidence) / 2 and (1 + confidence) / 2 quantiles of theta (Efron and Tibshirani 1993, chapter 13).

    ``values``: collection to x_c  # (measures, queries). Returns the lower and upper ends  # (measures,). The draws
    depend on (seed, collection) only, so every measure and every cell sees the same resamples of a collection. Bound
    by memory traffic: samples x queries x measures gathered values.
    """
    if samples < 1 or not 0 < confidence < 1:
        raise InputError(f"the bootstrap needs samples >= 1 and 0 < confidence < 1, not {samples} and {confidence}")
    theta: np.ndarray | float = 0.0  # (measures, samples)
    for collection in sorted(values):
        theta = theta + weights[collection] * _replicates(values[collection], samples, seed, collection)
    tail = (1 - confidence) / 2
    low, high = np.quantile(theta, [tail, 1 - tail], axis=1)
    return low, high


def _replicates(x: np.ndarray, samples: int, seed: int, collection: str) -> np.ndarray:
    """Means of ``samples`` resamples of the queries; ``x``  # (measures, queries) -> # (measures, samples)."""
    generator = np.random.default_rng(derive_seed(seed, "bootstrap", collection))
    queries = x.shape[1]
    means = np.empty((x.shape[0], samples))
    block = max(1, _BLOCK // queries)
    for start in range(0, samples, block):
        stop = min(start + block, samples)
        draws = generator.integers(0, queries, size=(stop - start, queries))  # (block, queries)
        for row, measure in zip(means, x, strict=True):
            row[start:stop] = measure[draws].mean(axis=1)
    return means
