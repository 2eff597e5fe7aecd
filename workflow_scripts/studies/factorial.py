"""Do two dials act apart? Analysis of variance of a two-way design, its effects' sizes and what they amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import fdtrc, ncfdtr

from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.paired import MeanDifference, mean_difference
from workflow_scripts.analysis.variance import SEED, decompose

LOCALITY, ENTROPY, INTERACTION = "locality", "entropy", "interaction"
ANOVA = (
    *("source", "df", "sum_squares", "error_df", "f", "p", "eta_squared"),
    *("partial_omega_squared", "share_low", "share_high"),
)
SIZE = (
    *("size", "ci_low", "ci_high", "error", "degrees", "p_size", "p_equivalence", "margin"),
    *("smallest_margin", "outcome"),
)
COLUMNS = (*ANOVA, *SIZE, "n_seeds", "n_queries")

_ROUNDING = 1e-12
"""A value, or a share of the sum of squares, up to this is rounding."""
_LARGEST = 1e8
"""F beyond which the share is 1 to five digits or more and the distribution cannot be computed."""

Values = Mapping[str, np.ndarray]
"""Collection to the values of a study's cells  # (localities, entropies, seeds, queries)."""


def analyse(values: Values, weights: Mapping[str, float], *, margin: float, rule: Rule) -> pd.DataFrame:
    """Locality, entropy and interaction, and with several seeds ``seed`` and the errors; columns :data:`COLUMNS`.

    The first columns are :func:`anova`'s, of the domain's mean of each cell and seed. ``size`` is the effect's
    :func:`contrasts` in the measure's units, estimated by :func:`estimate`: ``error`` and ``degrees`` are those of its
    first row; the interval (at ``rule.confidence``) is the widest of its rows', ``p_size`` against 0, ``p_equivalence``
    against ``margin`` and ``smallest_margin`` the largest: what is shown is shown by each. ``outcome`` is the verdict
    by ``rule``, one test at a time. F is about other seeds on these same queries; size and interval are about other
    seeds and other queries, or, with one seed, about other queries alone.
    """
    means = _means(values, weights)
    table = anova(means, rule.confidence)
    sizes = {}
    for name, coefficients in contrasts(*means.shape[:2]).items():
        found = estimate(values, weights, coefficients)
        p = float(found.difference_p().max()), float(found.equivalence_p(margin).max())
        (verdict,) = rule.verdicts(*([value] for value in p))
        smallest, ends = found.smallest_margin(rule.alpha).max(), _ends(found, rule.confidence)
        numbers = (found.mean[0], *ends, found.error[0], found.degrees[0], *p, margin, smallest, verdict)
        sizes[name] = dict(zip(SIZE, numbers, strict=True))
    table = table.join(pd.DataFrame.from_dict(sizes, orient="index"), on="source")
    queries = sum(array.shape[3] for array in values.values())
    return table.assign(n_seeds=means.shape[2], n_queries=queries)[list(COLUMNS)]


def _means(values: Values, weights: Mapping[str, float]) -> np.ndarray:
    """The domain's mean of each cell and seed  # (localities, entropies, seeds)."""
    return sum(weights[name] * array.mean(axis=3) for name, array in values.items())


def _ends(found: MeanDifference, confidence: float) -> tuple[float, float]:
    low, high = found.interval(confidence)
    return float(low.min()), float(high.max())


def anova(means: np.ndarray, confidence: float) -> pd.DataFrame:
    """Analysis of variance of ``means``  # (localities, entropies, seeds), seeds crossed; columns :data:`ANOVA`.

    Cells of one seed share what the seed draws (data order, initialisation, and the groups of one sampler), so the
    seed is a random block, not a replicate within a cell. Its main effect is taken out, and each effect has an error
    of its own, its interaction with the seed: F = MS_effect / MS_effect:seed, ``error_df`` = df (S - 1), the two-way
    repeated-measures analysis of variance (Maxwell and Delaney 2004, chapter 12), which needs the differences between
    an effect's levels to vary equally over seeds. Sums of squares: :func:`decompose`, the seed a factor.

    eta^2 = SS_effect / SS_total. partial omega^2 = df (F - 1) / (df (F - 1) + N) of N cells and seeds (Olejnik and
    Algina 2003): the share of the effect in the variance that it and its error give one value, whatever the number of
    seeds; below 0 where F is below 1. ``share_low`` and ``share_high``: :func:`share_interval`. Rows: locality,
    entropy, interaction, ``seed``, and the errors ``locality:seed``, ``entropy:seed`` and ``interaction:seed``.

    One seed has no errors: three rows, nothing is tested, all of these but eta^2 are NaN, and the interaction's sum of
    squares holds the seed's noise.
    """
    effects = [LOCALITY, ENTROPY, INTERACTION]
    errors = [f"{name}:{SEED}" for name in effects]
    if means.shape[2] == 1:
        # Of two factors with one seed the residual is the interaction, noise and all.
        table, order = decompose(means, (LOCALITY, ENTROPY)).assign(source=effects), effects
    else:
        table, order = decompose(means[..., None], (LOCALITY, ENTROPY, SEED)), [*effects, SEED, *errors]
        table = table.assign(source=[LOCALITY, ENTROPY, SEED, INTERACTION, *errors])
    table = table.set_index("source")[["df", "sum_squares", "eta_squared"]]
    rows = table.T.to_dict("list")
    pairs = [(name, error) for name, error in zip(effects, errors, strict=True) if error in rows]
    tests = {name: _tested(rows[name], rows[error], means.size, confidence) for name, error in pairs}
    columns = [name for name in ANOVA[1:] if name not in table]
    found = pd.DataFrame.from_dict(tests, orient="index", columns=columns, dtype=float)
    return table.join(found).loc[order].rename_axis("source").reset_index()[list(ANOVA)]


def _tested(effect: Sequence[float], error: Sequence[float], values: int, confidence: float) -> tuple[float, ...]:
    """error_df, F, its p-value, partial omega^2 and the share's interval; NaN where there is no error.

    ``effect``, ``error``: degrees of freedom, sum of squares and share of the total; ``values``: cells x seeds.
    """
    (df, squares, _), (rest_df, rest, share) = effect, error
    if share <= _ROUNDING or rest <= _ROUNDING**2:
        return (rest_df, *[np.nan] * 5)
    f = squares / df / (rest / rest_df)
    gain = df * (f - 1)
    return (
        rest_df,
        f,
        float(fdtrc(df, rest_df, f)),
        gain / (gain + values),
        *share_interval(f, df, rest_df, values, confidence),
    )


def share_interval(f: float, df: float, rest_df: float, values: int, confidence: float) -> tuple[float, float]:
    """Interval of the share of the variance that partial omega^2 estimates.

    F follows the non-central F distribution with noncentrality L, which is ``values`` times the effect's variance over
    its error's: L / (L + values) is the share. L's interval inverts the distribution (Steiger 2004, Psychological
    Methods 9(2), section on the analysis of variance): its ends are those L at which P(F' <= f) is
    (1 + confidence) / 2 and (1 - confidence) / 2; 0 where no L >= 0 gives that.
    """
    ends, f = [], min(f, _LARGEST)
    for probability in ((1 + confidence) / 2, (1 - confidence) / 2):
        low, high = 0.0, 1.0 + df * f
        if ncfdtr(df, rest_df, low, f) <= probability:
            ends.append(0.0)
            continue
        while ncfdtr(df, rest_df, high, f) > probability:
            low, high = high, 2 * high
        root = brentq(lambda size, level=probability: ncfdtr(df, rest_df, size, f) - level, low, high, rtol=1e-10)
        ends.append(root / (root + values))
    return ends[0], ends[1]


def contrasts(localities: int, entropies: int) -> dict[str, np.ndarray]:
    """Coefficients of the effects' sizes, each  # (localities, entropies).

    locality: last minus first level, mean over the entropies; entropy likewise; interaction: y11 - y10 - y01 + y00 of
    the four corners, what turning one dial from end to end changes about the other's effect.
    """
    turn = {number: np.eye(number)[-1] - np.eye(number)[0] for number in (localities, entropies)}
    even = {number: np.full(number, 1 / number) for number in (localities, entropies)}
    return {
        LOCALITY: np.outer(turn[localities], even[entropies]),
        ENTROPY: np.outer(even[localities], turn[entropies]),
        INTERACTION: np.outer(turn[localities], turn[entropies]),
    }


def estimate(values: Values, weights: Mapping[str, float], coefficients: np.ndarray) -> MeanDifference:
    """Estimate of a contrast C = sum_le c_le y_le over seeds and queries; rows: over both, over the seeds alone.

    V_query: variance of the mean over queries of the per-query contrasts, seeds averaged (:func:`mean_difference`). One
    seed: that is the only row, the paired t test. S seeds: V_seed = var(C_1..C_S) / S, C_s the contrast of seed s over
    the domain, in which all that cells of one seed share cancels as it does in C, and so does what a query does under
    every seed. V = V_query + V_seed - V_both, V_both the noise of single pairs of seed and query, which is in each of
    the two: MS_residual / (S n) of the seed x query table of contrasts. V is at least the larger of the two; degrees of
    freedom by Satterthwaite: the mean of a two-way random layout (Searle, Casella and McCulloch 1992, chapter 4).

    Where V_seed, of S - 1 degrees of freedom, comes out small by chance, those of V come out large: of 3 seeds such an
    interval of 95% covers 92%. Hence the second row, V_seed alone: what is shown must be shown by both.
    """
    per_seed = {name: np.tensordot(coefficients, array, axes=2) for name, array in values.items()}  # (seeds, queries)
    by_query = mean_difference({name: array.mean(axis=0)[None] for name, array in per_seed.items()}, weights)
    seeds = next(iter(per_seed.values())).shape[0]
    if seeds == 1:
        return by_query
    means = sum(weights[name] * array.mean(axis=1) for name, array in per_seed.items())  # (seeds,)
    of_query, of_seed = by_query.error[0] ** 2, means.var(ddof=1) / seeds
    of_both = np.zeros((len(per_seed), 2))  # variance and degrees of freedom by collection
    for row, (name, array) in enumerate(per_seed.items()):
        rest = array - array.mean(axis=0) - array.mean(axis=1, keepdims=True) + array.mean()
        cells = (seeds - 1) * (array.shape[1] - 1)
        of_both[row] = weights[name] ** 2 * (rest**2).sum() / cells / array.size, cells
    variance = max(of_query + of_seed - of_both[:, 0].sum(), of_query, of_seed)
    squares = of_query**2 / by_query.degrees[0] + of_seed**2 / (seeds - 1) + (of_both[:, 0] ** 2 / of_both[:, 1]).sum()
    degrees = variance**2 / squares if squares > 0 else 1.0
    mean = np.repeat(by_query.mean, 2)
    return MeanDifference(mean, np.sqrt([variance, of_seed]), np.array([degrees, seeds - 1.0]))


def cell_means(values: Values, weights: Mapping[str, float], confidence: float) -> pd.DataFrame:
    """Mean of each cell, its standard deviation over seeds (NaN for one), :func:`estimate`'s interval.

    Columns mean, std_seed, ci_low, ci_high, n_seeds, n_queries; rows with the entropies fastest.
    """
    means = _means(values, weights)
    rows = []
    for cell in np.ndindex(*means.shape[:2]):
        chosen = np.zeros(means.shape[:2])
        chosen[cell] = 1
        spread = np.std(means[cell], ddof=1) if means.shape[2] > 1 else np.nan
        rows.append((means[cell].mean(), spread, *_ends(estimate(values, weights, chosen), confidence)))
    frame = pd.DataFrame(rows, columns=["mean", "std_seed", "ci_low", "ci_high"])
    return frame.assign(n_seeds=means.shape[2], n_queries=sum(array.shape[3] for array in values.values()))
