"""Bands: how near two values are that no comparison tells apart, and where another training would come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from workflow_scripts.analysis.inference import CONTROLS
from workflow_scripts.analysis.training_noise import CAUTION, TrainingNoise

if TYPE_CHECKING:
    import pandas as pd


def noise_band(half_widths: np.ndarray) -> float:
    """Half the width of the interval of a block's median pair; cells nearer than it are not told apart.

    ``half_widths``: of all pairs of the block but those that are the same; NaN where a variance is not known, and then
    nothing is known of the block.
    """
    return float(np.median(half_widths)) if len(half_widths) else np.nan


def retraining_bands(means: np.ndarray, cells: int = 1, confidence: float = 0.95) -> np.ndarray:
    """Half the widths of the bands around a block's cells in which one more training lies; ``means``  # (cells, seeds).

    t sqrt(s^2 (1 + 1/S)), s^2 the larger of a cell's own variance over its S seeds and the block's mean one, t with
    k (S-1) degrees of freedom; jointly for ``cells`` cells by Bonferroni. Returns  # (cells,).
    """
    number, seeds = means.shape
    variance = means.var(axis=1, ddof=1)
    variance = np.maximum(variance, variance.mean())
    return _half(variance, seeds, number * (seeds - 1), cells, confidence)


def retraining_band_of_controls(noise: TrainingNoise, cells: int = 1, confidence: float = 0.95) -> np.ndarray:
    """:func:`retraining_bands` around a cell of one seed: with s^2 = 2 max(s2 - e, 0) + e of the student's controls."""
    return _half(CAUTION * noise.training + noise.both, 1, noise.degrees, cells, confidence)


def retraining_band_of_table(rows: pd.DataFrame, own: pd.DataFrame, confidence: float = 0.95) -> float:
    """Half the width of the band around one training in which another lies, from a variance table; NaN without rows.

    ``rows``: a student's cells on a domain (``sd``, ``sd_noise``, ``degrees``, ``basis``); ``own``: the cell's among
    them, or none. By controls as :func:`retraining_band_of_controls`; by seeds s^2 is the larger of the cell's own
    variance and the student's mean one, with the degrees of freedom of all its cells.
    """
    if rows.empty:
        return np.nan
    first = rows.iloc[0]
    if first["basis"] == CONTROLS:
        noise = TrainingNoise([], np.square(first["sd"]), np.square(first["sd_noise"]), first["degrees"])
        return float(retraining_band_of_controls(noise, confidence=confidence))
    variance = max([np.mean(rows["sd"] ** 2), *own["sd"] ** 2])
    return float(_half(np.asarray(variance), 1, rows["degrees"].sum(), 1, confidence))


def _half(variance: np.ndarray, seeds: int, degrees: float, cells: int, confidence: float) -> np.ndarray:
    return stdtrit(degrees, 1 - (1 - confidence) / 2 / cells) * np.sqrt(variance * (1 + 1 / seeds))
