"""What training again changes: the variance that seeds bring to a contrast, from several seeds or from controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CAUTION = 2.0
"""Factor on a student's variance of training where it is taken from controls: losses and samplers differ in it."""
_CANCELS = 1e-9
"""Up to this a sum of coefficients is 0."""


@dataclass(frozen=True)
class TrainingNoise:
    """How far trainings of one cell of a student lie apart, pooled over its controls; leading axes as data sets.

    places   # (cells,): the student's cells that are compared
    total    # (...): s2, variance over seeds of a cell's mean on the domain
    both     # (...): e, the part of it that is seed x query noise
    degrees  # of freedom of ``total``: further seeds, added up over the controls
    """

    places: Sequence[int]
    total: np.ndarray
    both: np.ndarray
    degrees: float

    @property
    def training(self) -> np.ndarray:
        """The part of the variance that another set of queries would show too."""
        return np.maximum(self.total - self.both, 0)


@dataclass(frozen=True)
class SeedVariance:
    """V_s of contrasts and its degrees of freedom, each  # (..., contrasts).

    ``pooled``: the same from all cells alike and without caution, what other designs are planned from.
    """

    variance: np.ndarray
    degrees: np.ndarray
    pooled: np.ndarray


def training_noise(
    places: Sequence[int], controls: Sequence[Mapping[str, np.ndarray]], weights: Mapping[str, float]
) -> TrainingNoise:
    """Noise of one student from its controls, each a cell's values by collection  # (seeds, queries), seeds >= 2.

    s2: the variance over seeds within a cell of sum_c w_c mean_q y_c. e = sum_c w_c^2 MSE_c / n_c, MSE_c the mean
    square of the cells' seed x query residuals on the collection.
    """
    means = [sum(weight * cell[name].mean(axis=1) for name, weight in weights.items()) for cell in controls]
    degrees = sum(len(seeds) - 1 for seeds in means)
    both = 0.0
    for name, weight in weights.items():
        queries = controls[0][name].shape[1]
        square = sum(residual_squares(cell[name]) for cell in controls) / (degrees * (queries - 1))
        both += weight**2 * float(square) / queries
    total = sum(((seeds - seeds.mean()) ** 2).sum() for seeds in means) / degrees
    return TrainingNoise(places, np.asarray(total), np.asarray(both), degrees)


def residual_squares(values: np.ndarray) -> np.ndarray:
    """Sum of squares of what row and column means leave over; ``values``  # (..., seeds, queries) -> # (...)."""
    by_seed, by_query = values.mean(axis=-1, keepdims=True), values.mean(axis=-2, keepdims=True)
    rest = values - by_seed - by_query + values.mean(axis=(-2, -1), keepdims=True)
    return (rest**2).sum(axis=(-2, -1))


def variance_of_seeds(cell_means: np.ndarray, contrasts: np.ndarray, blocks: Sequence[Sequence[int]]) -> SeedVariance:
    """V_s from several seeds; ``cell_means``  # (..., cells, seeds), ``contrasts``  # (contrasts, cells).

    The largest of three variances of a contrast's mean over S seeds, with the degrees of freedom of the second:

    - own: var_s(a . m_s) / S;
    - pooled over each block of k cells: sum_i a_i^2 tau / S, tau the mean of its cells' variances, with (k-1)(S-1)
      degrees of freedom; over several blocks by Satterthwaite;
    - the cells': sum_i a_i^2 s_i^2 / S.

    Where the coefficients of a block sum to 0, what its cells share under one seed cancels and is taken out first
    (:func:`_centred`); else s_i^2 = var_s(m_is), and the block has k (S-1) degrees of freedom.
    """
    seeds = cell_means.shape[-1]
    own = (contrasts @ cell_means).var(axis=-1, ddof=1) / seeds
    pooled, by_cell, inverse = np.zeros_like(own), np.zeros_like(own), np.zeros_like(own)
    for block in blocks:
        squares = contrasts[:, block] ** 2  # (contrasts, cells of the block)
        centred = (np.abs(contrasts[:, block].sum(axis=1)) < _CANCELS) & (len(block) > 1)
        means = cell_means[..., list(block), :]
        plain_cells = means.var(axis=-1, ddof=1)
        plain_tau = plain_cells.mean(axis=-1)
        tau, cells = _centred(means) if len(block) > 1 else (plain_tau, plain_cells)
        of_block = np.where(centred, tau[..., None], plain_tau[..., None]) * squares.sum(axis=1) / seeds
        degrees = np.where(centred, len(block) - 1, len(block)) * (seeds - 1)
        pooled = pooled + of_block
        inverse = inverse + of_block**2 / degrees
        by_cell = by_cell + np.where(centred, cells @ squares.T, plain_cells @ squares.T) / seeds
    degrees = np.divide(pooled**2, inverse, out=np.full_like(pooled, seeds - 1), where=inverse > 0)
    return SeedVariance(np.maximum.reduce([own, pooled, by_cell]), degrees, pooled)


def _centred(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and single variances of a block's k cells once a seed's common effect is out, # (...) and # (..., k).

    A_i = sum_s (m_is - m_i. - m_.s + m_..)^2 / (S-1) and tau = sum_i A_i / (k-1). Since E[A_i] = s_i^2 (k-2)/k + mean
    of s^2 / k, s_i^2 is estimated by (A_i - tau/k) k/(k-2), at least 0; of two cells it cannot be told.
    """
    number, seeds = means.shape[-2:]
    rest = means - means.mean(axis=-1, keepdims=True) - means.mean(axis=-2, keepdims=True)
    rest = rest + means.mean(axis=(-2, -1), keepdims=True)
    spread = (rest**2).sum(axis=-1) / (seeds - 1)
    tau = spread.sum(axis=-1) / (number - 1)
    if number == 2:
        return tau, np.zeros_like(spread)
    return tau, np.maximum((spread - tau[..., None] / number) * number / (number - 2), 0)


def variance_of_controls(
    contrasts: np.ndarray, blocks: Sequence[Sequence[int]], noise: Sequence[TrainingNoise]
) -> tuple[SeedVariance, np.ndarray]:
    """V_s and V_b of contrasts of cells with one seed, from each student's controls; NaN where a cell has none.

    V_s = sum over students of sum_i a_i^2 (2 max(s2 - e, 0) + e) and V_b = sum_i a_i^2 e, over the cells in blocks.
    """
    variance, pooled, both, inverse = (np.zeros(len(contrasts)) for _ in range(4))
    covered = np.zeros(contrasts.shape[1], dtype=bool)
    for each in noise:
        covered[list(each.places)] = True
        squares = (contrasts[:, list(each.places)] ** 2).sum(axis=1)
        of_both, of_training = squares * each.both[..., None], squares * each.training[..., None]
        part = CAUTION * of_training + of_both
        variance, pooled, both = variance + part, pooled + of_training + of_both, both + of_both
        inverse = inverse + part**2 / each.degrees
    fewest = min((each.degrees for each in noise), default=1.0)
    degrees = np.divide(variance**2, inverse, out=np.full_like(variance, fewest), where=inverse > 0)
    bare = [place for block in blocks for place in block if not covered[place]]
    lacking = (contrasts[:, bare] != 0).any(axis=1)
    variance, pooled, both = (np.where(lacking, np.nan, array) for array in (variance, pooled, both))
    return SeedVariance(variance, degrees, pooled), both
