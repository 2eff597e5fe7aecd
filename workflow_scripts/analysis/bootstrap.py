"""Bootstrap confidence intervals over queries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workflow_scripts.storage.seeds import derive_seed

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
    depend on (seed, collection) only, so every measure and every cell sees the same resamples of a collection.
    """
    theta: np.ndarray | float = 0.0  # (measures, samples)
    for collection in sorted(values):
        theta = theta + weights[collection] * resampled_means(values[collection], samples, seed, collection)
    return percentile_interval(theta, confidence)


def percentile_interval(theta: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles (1 - confidence) / 2 and (1 + confidence) / 2 of replicates ``theta``  # (..., samples) -> # (...)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(theta, [tail, 1 - tail], axis=-1)
    return low, high


def resampled_means(x: np.ndarray, samples: int, seed: int, collection: str) -> np.ndarray:
    """Means of ``samples`` resamples of a collection's queries; ``x``  # (rows, queries) -> # (rows, samples).

    Counts how often each query is drawn and multiplies: every row sees the same draws. Bound by that product,
    rows x queries x samples, once rows are many, else by the drawing.
    """
    generator = np.random.default_rng(derive_seed(seed, "bootstrap", collection))
    queries = x.shape[1]
    means = np.empty((x.shape[0], samples))
    block = max(1, _BLOCK // queries)
    for start in range(0, samples, block):
        size = min(block, samples - start)
        draws = generator.integers(0, queries, size=(size, queries)) + queries * np.arange(size)[:, None]
        counts = np.bincount(draws.ravel(), minlength=size * queries).reshape(size, queries)
        means[:, start : start + size] = x @ counts.T / queries
    return means
