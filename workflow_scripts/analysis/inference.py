"""Contrasts of trained rankers, judged over other trainings and other queries: one rule for every comparison.

``values``: collection to y_c  # (cells, seeds, queries), a cell being what is trained once a seed; a ranker without
seeds (BM25, a teacher) repeats its values over them. ``weights``: collection to w_c, signed where domains are compared.
``contrasts``: coefficients a  # (contrasts, cells). ``blocks``: places of the cells that are compared with one
another, such as the samplers of a student, loss and teacher; a cell in no block brings no variance of training.

The estimand of a contrast is sum_c w_c E[a . y_c] over other seeds and other queries of these collections, given the
teacher, the backbone and the training collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtr, stdtrit

from workflow_scripts.analysis.domains import ALL, Domain
from workflow_scripts.analysis.training_noise import (
    TrainingNoise,
    residual_squares,
    variance_of_controls,
    variance_of_seeds,
)
from workflow_scripts.storage.errors import InputError

DIGITS = 12
"""Decimals of a value that count: what is below them is rounding."""
ROUNDING = 10.0 ** (-2 * DIGITS)
"""A variance below this is rounding."""
SEEDS, CONTROLS = "seeds", "one seed, controls"
"""What tells the variance of training."""


@dataclass(frozen=True)
class Moments:
    """What the queries contribute to the inference. Leading axes, where there are any, are independent data sets.

    cell_means  # (..., cells, seeds): of the weighted mean over the collections
    of_queries  # (..., contrasts, collections): v_c, the variance of a contrast that queries bring
    of_both     # (..., contrasts, collections): b_c, the part of v_c that is noise of seed x query; 0 for one seed
    queries     # (collections,)
    same        # (..., contrasts): whether the contrast is 0 on every query under every seed
    """

    cell_means: np.ndarray
    of_queries: np.ndarray
    of_both: np.ndarray
    queries: np.ndarray
    same: np.ndarray


@dataclass(frozen=True)
class Components:
    """Variances behind contrasts of single trainings, each  # (..., contrasts): what other designs are planned from.

    queries          # A, which these queries bring under every seed
    both             # B, seed x query noise of one training on these queries
    training         # T, what training again adds on all queries alike: as the blocks show on average
    most_training    # the same by the variance that the contrast itself is tested by, the largest of three
    query_degrees    # degrees of freedom of the queries' part
    seed_degrees     # degrees of freedom of the seeds' part, of this design
    """

    queries: np.ndarray
    both: np.ndarray
    training: np.ndarray
    most_training: np.ndarray
    query_degrees: np.ndarray
    seed_degrees: np.ndarray


@dataclass(frozen=True)
class Estimates:
    """Contrasts with the variances that they are tested by; what is shown is shown by every row.

    mean         # (..., contrasts)
    variance     # (rows, ..., contrasts): over seeds and queries, over seeds alone (, over collections); NaN: not known
    degrees      # (rows, ..., contrasts) degrees of freedom
    same         # (..., contrasts): nothing differs, so nothing is tested
    basis        # what tells the variance of training, where anything does
    components   # None for values without queries
    """

    mean: np.ndarray
    variance: np.ndarray
    degrees: np.ndarray
    same: np.ndarray
    basis: str = SEEDS
    components: Components | None = None

    @property
    def known(self) -> np.ndarray:
        """Whether the variance of training is known, from several seeds or from controls  # (..., contrasts)."""
        return ~np.isnan(self.variance).any(axis=0)

    @property
    def tested(self) -> np.ndarray:
        """Whether something differs and the variance of training is known  # (..., contrasts)."""
        return self.known & ~self.same

    def difference_p(self) -> np.ndarray:
        """p-value of H0: the contrast is 0; two-sided."""
        return 2 * self._largest(-np.abs(self._t()))

    def above_p(self, margin: float | np.ndarray) -> np.ndarray:
        """p-value of H0: the contrast is at most ``margin``; small where it is shown to be above."""
        return self._largest(-self._t(margin))

    def not_above_p(self, margin: float | np.ndarray) -> np.ndarray:
        """p-value of H0: the contrast is ``margin`` or more; small where it is shown not to be above."""
        return self._largest(self._t(margin))

    def not_below_p(self, margin: float | np.ndarray) -> np.ndarray:
        """p-value of H0: the contrast is ``-margin`` or less; small where it is shown not to be below."""
        return self._largest(-self._t(-np.asarray(margin)))

    def equivalence_p(self, margin: float | np.ndarray) -> np.ndarray:
        """p-value of H0: the contrast is ``margin`` or more away from 0 (Schuirmann's two one-sided tests, 1987)."""
        return np.maximum(self.not_above_p(margin), self.not_below_p(margin))

    def beyond_p(self, margin: float | np.ndarray) -> np.ndarray:
        """p-value of H0: the contrast is at most ``margin`` away from 0; small where it is shown to be beyond."""
        away = replace(self, mean=np.abs(self.mean))
        return np.minimum(2 * away.above_p(margin), 1)

    def half_width(self, confidence: float) -> np.ndarray:
        """Half the width of the t interval, of the row that gives the widest."""
        return (stdtrit(self.degrees, (1 + confidence) / 2) * np.sqrt(self.variance)).max(axis=0)

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the widest of the rows' t intervals."""
        half = self.half_width(confidence)
        return self.mean - half, self.mean + half

    def smallest_margin(self, alpha: float) -> np.ndarray:
        """Smallest margin within which one contrast by itself would be shown to be."""
        return np.abs(self.mean) + self.half_width(1 - 2 * alpha)

    def _t(self, shift: float | np.ndarray = 0.0) -> np.ndarray:
        """(mean - shift) / error of each row; where nothing varies 0 for no distance, else infinite."""
        distance = np.round(self.mean - shift, DIGITS)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((distance == 0) & ~np.isnan(self.variance), 0.0, distance / np.sqrt(self.variance))

    def _largest(self, t: np.ndarray) -> np.ndarray:
        """The largest of the rows' probabilities of a value below ``t``."""
        return stdtr(self.degrees, t).max(axis=0)


def infer(
    values: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    contrasts: np.ndarray,
    blocks: Sequence[Sequence[int]],
    noise: Sequence[TrainingNoise] = (),
) -> Estimates:
    """Estimate ``contrasts``, the collections being these and no others; see :func:`estimate`.

    Raises :class:`InputError` for a collection of fewer than two queries.
    """
    contrasts = np.asarray(contrasts, dtype=float)
    return estimate(moments(values, weights, contrasts), contrasts, blocks, noise)


def infer_new_collections(
    values: Mapping[str, np.ndarray],
    domain: Domain,
    contrasts: np.ndarray,
    blocks: Sequence[Sequence[int]],
    noise: Sequence[TrainingNoise] = (),
) -> Estimates | None:
    """Estimate ``contrasts`` with the domain's members as a random sample of collections; None for fewer than three.

    Members take the place of queries in :func:`estimate`, and a third row is over the members alone. ``noise`` is that
    of :func:`member_means`, not of queries.
    """
    if len(domain.members) < 3:
        return None
    contrasts = np.asarray(contrasts, dtype=float)
    found = moments({ALL: member_means(values, domain)}, {ALL: 1.0}, contrasts)
    return estimate(found, contrasts, blocks, noise, sampled=True)


def member_means(values: Mapping[str, np.ndarray], domain: Domain) -> np.ndarray:
    """Mean over each member's queries; ``values``: collection to # (..., queries) -> # (..., members of the domain)."""
    means = {name: np.asarray(values[name]).mean(axis=-1) for name in domain.collections}
    return np.stack([np.mean([means[name] for name in parts], axis=0) for _, parts in domain.members], axis=-1)


def moments(values: Mapping[str, np.ndarray], weights: Mapping[str, float], contrasts: np.ndarray) -> Moments:
    """The moments of values rounded to :data:`DIGITS`; :class:`InputError` for a collection of fewer than two queries.

    With D_c = a . y_c  # (seeds, queries): v_c = w_c^2 var_q(mean_s D_c) / n_c and b_c = w_c^2 MSE_c / (S n_c), MSE_c
    the mean square of the residuals of D_c, of (S - 1)(n_c - 1) degrees of freedom.
    """
    cell_means: np.ndarray | float = 0.0
    of_queries, of_both, queries, same = [], [], [], np.ones(len(contrasts), dtype=bool)
    for name, weight in weights.items():
        y = np.round(values[name], DIGITS)
        seeds, count = y.shape[1:]
        if count < 2:
            raise InputError(f"{name} has {count} query: a test over queries needs two or more, leave it out")
        found = np.round(np.tensordot(contrasts, y, axes=1), DIGITS)  # (contrasts, seeds, queries)
        of_queries.append(weight**2 * found.mean(axis=1).var(axis=1, ddof=1) / count)
        cells = max(seeds - 1, 1) * (count - 1)
        of_both.append(weight**2 * residual_squares(found) / cells / (seeds * count))
        same &= (found == 0).all(axis=(1, 2))
        queries.append(count)
        cell_means = cell_means + weight * y.mean(axis=2)
    return Moments(
        np.asarray(cell_means), np.stack(of_queries, axis=-1), np.stack(of_both, axis=-1), np.array(queries), same
    )


def estimate(
    found: Moments,
    contrasts: np.ndarray,
    blocks: Sequence[Sequence[int]],
    noise: Sequence[TrainingNoise] = (),
    *,
    sampled: bool = False,
) -> Estimates:
    """Contrasts with their variances: a row over seeds and queries, and one over seeds alone.

    V_q = sum_c v_c, V_b = sum_c b_c, and V_s of :func:`variance_of_seeds`, or of the controls' ``noise`` where there is
    one seed (:func:`variance_of_controls`). The first row is V = V_q + V_s - V_b, at least the larger of V_q and V_s,
    since seed x query noise is in both; Satterthwaite's degrees of freedom are V^2 over the sum of each part's square
    over its own. The second row is V_s alone: where V_s, of few degrees of freedom, comes out small by chance, the
    degrees of V come out large; without blocks there is none. ``sampled``: what stands for queries are collections, few
    of them: a third row is V_q.
    """
    seeds = found.cell_means.shape[-1]
    of_queries, of_both = _whole(found.of_queries.sum(axis=-1)), _whole(found.of_both.sum(axis=-1))
    query_squares = (found.of_queries**2 / (found.queries - 1)).sum(axis=-1)
    if seeds > 1:
        of_seeds = variance_of_seeds(found.cell_means, contrasts, blocks)
        both_squares = (found.of_both**2 / ((seeds - 1) * (found.queries - 1))).sum(axis=-1)
    else:
        of_seeds, of_both = variance_of_controls(contrasts, blocks, noise)
        both_squares = np.zeros_like(of_both)
    alone = _whole(of_seeds.variance)
    variance = np.maximum.reduce([of_queries + alone - of_both, of_queries, alone])
    degrees = _ratio(variance**2, query_squares + alone**2 / of_seeds.degrees + both_squares)
    query_degrees = _ratio(of_queries**2, query_squares)
    components = Components(
        queries=np.maximum(of_queries - of_both, 0),
        both=seeds * of_both,
        training=seeds * np.maximum(of_seeds.pooled - of_both, 0),
        most_training=seeds * np.maximum((of_seeds.variance if seeds > 1 else of_seeds.pooled) - of_both, 0),
        query_degrees=query_degrees,
        seed_degrees=of_seeds.degrees,
    )
    # Of values in no block training is no part: a row over seeds would be one of no variance at all.
    of_training = [(alone, of_seeds.degrees)] * bool(blocks)
    rows = [(variance, degrees), *of_training, *[(of_queries, query_degrees)] * sampled]
    variances, freedoms = (np.stack(np.broadcast_arrays(*arrays)) for arrays in zip(*rows, strict=True))
    mean = np.round((contrasts @ found.cell_means).mean(axis=-1), DIGITS)
    same = np.broadcast_to(found.same, mean.shape)
    return Estimates(mean, variances, freedoms, same, SEEDS if seeds > 1 else CONTROLS, components)


def infer_runs(values: np.ndarray, contrasts: np.ndarray, blocks: Sequence[Sequence[int]]) -> Estimates:
    """Contrasts of values that a training has without queries (a final loss), over seeds alone.

    ``values``  # (cells, seeds >= 2).
    """
    contrasts, values = np.asarray(contrasts, dtype=float), np.round(values, DIGITS)
    of_seeds = variance_of_seeds(values, contrasts, blocks)
    per_seed = np.round(contrasts @ values, DIGITS)
    mean = np.round(per_seed.mean(axis=-1), DIGITS)
    return Estimates(mean, _whole(of_seeds.variance)[None], of_seeds.degrees[None], (per_seed == 0).all(axis=-1))


def _whole(variance: np.ndarray) -> np.ndarray:
    """Variances, 0 where only rounding varies."""
    return np.where(variance < ROUNDING, 0.0, variance)


def _ratio(square: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Degrees of freedom; 1 where nothing varies, since any number will do there, NaN where that is not known."""
    square, squares = np.broadcast_arrays(square, squares)
    return np.where(square > 0, square / np.where(square > 0, squares, 1.0), np.where(np.isnan(square), np.nan, 1.0))
