"""Correlation over queries, within collections, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtri

from workflow_scripts.storage.errors import InputError

PEARSON, SPEARMAN = "pearson", "spearman"


def pooled_correlation(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], weights: Mapping[str, float], *, method: str, confidence: float
) -> tuple[float, float, float]:
    """Mean correlation within a domain's collections, and its interval: (r, low, high).

    Each collection's r_c is taken through Fisher's z_c = atanh(r_c) and r = tanh(sum_c w_c z_c), the weights scaled to
    sum to 1: pooling raw queries would mix in how collections differ. The variance of z_c is 1 / (n_c - 3) for
    ``pearson`` (Fisher 1921) and (1 + r_c^2 / 2) / (n_c - 3) for ``spearman`` (Bonett and Wright 2000), and the
    interval tanh(z -+ q sqrt(sum_c w_c^2 var_c)). ``pairs``: collection to (x, y)  # (queries,) each. NaN where x or y
    is constant in a collection, where no correlation exists. Raises :class:`InputError` below four queries.
    """
    scale = sum(weights[name] for name in pairs)
    z, variance = 0.0, 0.0
    for name, (x, y) in pairs.items():
        if len(x) < 4:
            raise InputError(f"{name} has {len(x)} queries with two candidates: a correlation needs four or more")
        weight = weights[name] / scale
        r = pearson(x, y) if method == PEARSON else pearson(_ranks(x), _ranks(y))
        with np.errstate(divide="ignore"):
            z += weight * np.arctanh(r)
        variance += weight**2 * (1 if method == PEARSON else 1 + r**2 / 2) / (len(x) - 3)
    half = ndtri((1 + confidence) / 2) * np.sqrt(variance)
    return float(np.tanh(z)), float(np.tanh(z - half)), float(np.tanh(z + half))


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Product-moment correlation; NaN where either is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean."""
    return pd.Series(values).rank().to_numpy()
