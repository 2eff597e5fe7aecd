"""Curves of score against rank: a power law, an exponential and a stretched exponential, fitted by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POWER, EXPONENTIAL, STRETCHED = "power law", "exponential", "stretched exponential"
FORMS = (POWER, EXPONENTIAL, STRETCHED)
_STEPS = 40
_RATES, _STRETCHES = np.log(np.geomspace(0.01, 100, 41)), np.log(np.geomspace(0.1, 3, 25))
_LOWEST = np.array([_RATES[0] - 5, _STRETCHES[0]])
"""A stretch toward 0 with a rate that grows is a power law, no rival of one."""


@dataclass(frozen=True)
class Curve:
    """Fits of one form to several profiles, each # (profiles,): score = ``scale`` x shape(ratio).

    The shape of the power law is ratio^-rate, of the exponential exp(-rate ratio), of the stretched exponential
    exp(-rate ratio^stretch); a rate is positive. ``error``: the weighted mean squared error of the fit.
    """

    form: str
    scale: np.ndarray
    rate: np.ndarray
    stretch: np.ndarray
    error: np.ndarray

    def at(self, ratios: np.ndarray) -> np.ndarray:
        """The fitted scores  # (profiles, ratios)."""
        parameters = np.log(np.stack([self.rate, self.stretch], axis=1))
        return self.scale[:, None] * _shape(self.form, np.log(ratios), parameters)[0]


def curve_at(form: str, scale: float, rate: float, stretch: float, ratios: np.ndarray) -> np.ndarray:
    """Scores of one fitted curve  # (ratios,)."""
    return Curve(form, *(np.array([value]) for value in (scale, rate, stretch, np.nan))).at(ratios)[0]


def rank_weights(ratios: np.ndarray) -> np.ndarray:
    """Weights 1 / ratio, of sum 1: ranks are spaced evenly, and without these the tail would decide alone."""
    return (1 / ratios) / (1 / ratios).sum()


def fit_curve(form: str, ratios: np.ndarray, scores: np.ndarray) -> Curve:
    """Least squares of each profile, weighted by :func:`rank_weights`; ``scores``  # (profiles, ratios).

    The squares are of scores, not of their logarithms: so a mean profile's fit is also the curve that is nearest to its
    queries' own profiles, which may be 0. The scale follows from the shape (variable projection, Golub and Pereyra
    1973); the shape is searched by Levenberg and Marquardt's steps from the best of a grid, all profiles at once.
    """
    log, weights = np.log(ratios), rank_weights(ratios)
    free = 2 if form == STRETCHED else 1
    rates = _RATES[:31] if form == POWER else _RATES
    grid = np.stack(np.meshgrid(rates, _STRETCHES if free == 2 else [0.0]), axis=-1).reshape(-1, 2)
    shapes = _shape(form, log, grid)[0]
    gains = (scores @ (weights * shapes).T) ** 2 / (weights * shapes**2).sum(axis=1)  # (profiles, grid)
    parameters, damping = grid[gains.argmax(axis=1)], np.full((len(scores), 1), 1e-3)
    found = _project(form, log, weights, scores, parameters)
    for _ in range(_STEPS):
        _, error, jacobian, residual = found
        jacobian = jacobian[..., :free]
        normal = np.einsum("mpi,mpj,p->mij", jacobian, jacobian, weights)
        ridge = damping[..., None] * (np.eye(free) * normal + 1e-12 * np.eye(free))
        slope = np.einsum("mpi,mp,p->mi", jacobian, residual, weights)
        step = np.zeros_like(parameters)
        step[:, :free] = np.linalg.solve(normal + ridge, slope[..., None])[..., 0].clip(-1, 1)
        moved = np.maximum(parameters + step, _LOWEST)
        tried = _project(form, log, weights, scores, moved)
        better = tried[1] <= error
        parameters = np.where(better[:, None], moved, parameters)
        damping = np.where(better[:, None], damping / 5, damping * 5).clip(1e-9, 1e9)
        found = tuple(
            np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old) for new, old in zip(tried, found, strict=True)
        )
    rate, stretch = np.exp(parameters).T
    return Curve(form, found[0], rate, stretch, found[1])


def _shape(form: str, log: np.ndarray, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shapes  # (profiles, ratios) and derivatives  # (profiles, ratios, 2) by the logarithms of rate and stretch."""
    rate, stretch = np.exp(parameters).T[..., None]
    exponent = rate * (log if form == POWER else np.exp(stretch * log))
    shape = np.exp(-exponent)
    return shape, np.stack([-exponent * shape, -exponent * shape * stretch * log], axis=-1)


def _project(
    form: str, log: np.ndarray, weights: np.ndarray, scores: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Best scale, error, derivatives with the scale projected out (Kaufman 1975), residual."""
    shape, derivatives = _shape(form, log, parameters)
    norm = (weights * shape**2).sum(axis=1)
    scale = (weights * shape * scores).sum(axis=1) / norm
    along = np.einsum("mpi,mp,p->mi", derivatives, shape, weights) / norm[:, None]
    jacobian = scale[:, None, None] * (derivatives - shape[..., None] * along[:, None])
    residual = scores - scale[:, None] * shape
    return scale, (weights * residual**2).sum(axis=1), jacobian, residual
