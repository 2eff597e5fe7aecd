"""Do two dials act apart? Analysis of variance of a two-way design, its effects' sizes and what they amount to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ncfdtr

from workflow_scripts.analysis.bootstrap import percentile_interval, resampled_means
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.paired import MeanDifference, mean_difference, outcome
from workflow_scripts.analysis.variance import SEED, decompose
from workflow_scripts.storage.artifacts import InputError, derive_seed

LOCALITY, ENTROPY, INTERACTION = "locality", "entropy", "interaction"
ANOVA = (
    "source",
    "df",
    "sum_squares",
    "f",
    "p",
    "eta_squared",
    "partial_eta_squared",
    "partial_omega_squared",
    "share_low",
    "share_high",
)
SIZE = (
    "size",
    "ci_low",
    "ci_high",
    "error",
    "degrees",
    "p_size",
    "p_equivalence",
    "margin",
    "smallest_margin",
    "outcome",
)
COLUMNS = (*ANOVA, *SIZE, "n_seeds", "n_queries")

Values = Mapping[str, np.ndarray]
"""Collection to the values of a study's cells  # (localities, entropies, seeds, queries)."""


def analyse(
    values: Values, weights: Mapping[str, float], *, margin: float, rule: Rule, bootstrap: Mapping
) -> pd.DataFrame:
    """One row an effect, columns :data:`COLUMNS`: locality, entropy, interaction and, with several seeds, ``seed``.

    The first columns are :func:`anova`'s, of the domain's mean of each cell and seed. ``size`` is the effect's
    :func:`contrasts` in the measure's units, with :func:`resampled`'s interval; ``p_size`` and ``p_equivalence`` test
    it (:func:`estimate`) against 0 and against ``margin``, ``outcome`` is the verdict by ``rule``, one test at a time.
    F speaks of other seeds on these very queries; the tests of the size speak of other seeds and other queries, or,
    with one seed, of other queries alone. ``bootstrap``: samples, seed, confidence.
    """
    means = sum(weights[name] * array.mean(axis=3) for name, array in values.items())
    table = anova(means, bootstrap["confidence"])
    *_, seeds = means.shape
    rest = table[table["source"] == SEED]
    within = (float(rest["sum_squares"].iloc[0] / rest["df"].iloc[0]), int(rest["df"].iloc[0])) if seeds > 1 else None
    sizes = {}
    for name, coefficients in contrasts(*means.shape[:2]).items():
        found = estimate(values, weights, coefficients, within)
        drawn = resampled(values, weights, coefficients, bootstrap["samples"], bootstrap["seed"])
        low, high = percentile_interval(drawn, bootstrap["confidence"])
        p = float(found.difference_p()[0]), float(found.equivalence_p(margin)[0])
        verdict = outcome(*p, difference_alpha=rule.difference_alpha, alpha=rule.alpha)
        smallest = found.smallest_margin(rule.alpha)[0]
        numbers = (found.mean[0], low, high, found.error[0], found.degrees[0], *p, margin, smallest, verdict)
        sizes[name] = dict(zip(SIZE, numbers, strict=True))
    table = table.join(pd.DataFrame.from_dict(sizes, orient="index"), on="source")
    queries = sum(array.shape[3] for array in values.values())
    return table.assign(n_seeds=seeds, n_queries=queries)[list(COLUMNS)]


def anova(means: np.ndarray, confidence: float) -> pd.DataFrame:
    """Fixed-effects analysis of variance of ``means``  # (localities, entropies, seeds); columns :data:`ANOVA`.

    Sums of squares by :func:`~workflow_scripts.analysis.variance.decompose`. F = MS_effect / MS_seed, the seeds being
    replicates within a cell; eta^2 = SS_effect / SS_total, partial eta^2 = SS_effect / (SS_effect + SS_seed), partial
    omega^2 = df (F - 1) / (df (F - 1) + N), N values, less biased and below 0 where F is below 1. ``share_low`` and
    ``share_high``: :func:`share_interval`. One seed has no replicates: nothing is tested, all of these but eta^2 are
    NaN, and the interaction's sum of squares holds the seed's noise. Raises :class:`InputError` for a dial of one
    level.
    """
    if min(means.shape[:2]) < 2:
        raise InputError(f"the study has {means.shape[0]} x {means.shape[1]} cells: give each dial two levels or more")
    seeds = means.shape[2]
    found = decompose(means, (LOCALITY, ENTROPY))
    # Of two factors with one seed the residual is the interaction, noise and all.
    sources = [LOCALITY, ENTROPY, INTERACTION, SEED][: 4 if seeds > 1 else 3]
    table = found.assign(source=sources, **dict.fromkeys(ANOVA[-4:], np.nan))
    if seeds == 1:
        return table.assign(f=np.nan, p=np.nan)[list(ANOVA)]
    rest, rest_df = found["sum_squares"].iloc[-1], found["df"].iloc[-1]
    tested = table["f"].notna()
    gain = table["df"] * (table["f"] - 1)
    table["partial_omega_squared"] = gain / (gain + means.size)
    table["partial_eta_squared"] = (table["sum_squares"] / (table["sum_squares"] + rest)).where(tested)
    for row in table.index[tested]:
        ends = share_interval(table.loc[row, "f"], table.loc[row, "df"], rest_df, means.size, confidence)
        table.loc[row, ["share_low", "share_high"]] = ends
    return table[list(ANOVA)]


def share_interval(f: float, df: float, rest_df: float, number: int, confidence: float) -> tuple[float, float]:
    """Interval of an effect's partial share of the variance, which partial eta^2 and omega^2 estimate.

    F follows the non-central F distribution with noncentrality L, and L / (L + N) is the share, N values (Steiger 2004,
    Psychological Methods 9(2), section on the analysis of variance). The ends are those of L at which P(F' <= f) is
    (1 + confidence) / 2 and (1 - confidence) / 2; 0 where no L >= 0 gives that.
    """
    ends = []
    for probability in ((1 + confidence) / 2, (1 - confidence) / 2):
        low, high = 0.0, 1.0 + df * f
        if ncfdtr(df, rest_df, low, f) <= probability:
            ends.append(0.0)
            continue
        while ncfdtr(df, rest_df, high, f) > probability:
            low, high = high, 2 * high
        root = brentq(lambda size, level=probability: ncfdtr(df, rest_df, size, f) - level, low, high, rtol=1e-10)
        ends.append(root / (root + number))
    return ends[0], ends[1]


def contrasts(localities: int, entropies: int) -> dict[str, np.ndarray]:
    """Coefficients of the effects' sizes, each  # (localities, entropies).

    locality: last less first level, mean over the entropies; entropy likewise; interaction: y11 - y10 - y01 + y00 of
    the four corners, what turning one dial from end to end changes about the other's effect.
    """
    turn = {number: np.eye(number)[-1] - np.eye(number)[0] for number in (localities, entropies)}
    even = {number: np.full(number, 1 / number) for number in (localities, entropies)}
    return {
        LOCALITY: np.outer(turn[localities], even[entropies]),
        ENTROPY: np.outer(even[localities], turn[entropies]),
        INTERACTION: np.outer(turn[localities], turn[entropies]),
    }


def estimate(
    values: Values, weights: Mapping[str, float], coefficients: np.ndarray, within: tuple[float, int] | None
) -> MeanDifference:
    """Estimate of a contrast C = sum_le c_le y_le over seeds and queries, one row.

    V_query: variance of the mean over queries of the per-query contrasts, seeds averaged (:func:`mean_difference`). One
    seed (``within`` None): that is all, the paired t test. ``within``: mean square within cells and its degrees of
    freedom; then V = V_query + V_seed - V_both, V_seed = MS sum_le c_le^2 / S, and V_both the noise of single pairs of
    seed and query, which is in both: MS_residual / (S n) of the seed x query table of contrasts. V is at least the
    larger of the two. Degrees of freedom: Satterthwaite's. This is the mean of a two-way random layout (Searle, Casella
    and McCulloch 1992, chapter 4), its seed part taken from all cells, whose spread is assumed equal.
    """
    per_seed = {name: np.tensordot(coefficients, array, axes=2) for name, array in values.items()}  # (seeds, queries)
    by_query = mean_difference({name: array.mean(axis=0)[None] for name, array in per_seed.items()}, weights)
    if within is None:
        return by_query
    mean_square, freedom = within
    seeds = next(iter(per_seed.values())).shape[0]
    of_query, of_seed = by_query.error**2, mean_square * float((coefficients**2).sum()) / seeds
    of_both = np.zeros((len(per_seed), 2))  # variance and degrees of freedom by collection
    for row, (name, array) in enumerate(per_seed.items()):
        rest = array - array.mean(axis=0) - array.mean(axis=1, keepdims=True) + array.mean()
        cells = (array.shape[0] - 1) * (array.shape[1] - 1)
        of_both[row] = weights[name] ** 2 * (rest**2).sum() / cells / array.size, cells
    variance = np.maximum(of_query + of_seed - of_both[:, 0].sum(), np.maximum(of_query, of_seed))
    squares = of_query**2 / by_query.degrees + of_seed**2 / freedom + (of_both[:, 0] ** 2 / of_both[:, 1]).sum()
    degrees = np.divide(variance**2, squares, out=np.ones_like(variance), where=squares > 0)
    return MeanDifference(by_query.mean, np.sqrt(variance), degrees)


def resampled(
    values: Values, weights: Mapping[str, float], coefficients: np.ndarray, samples: int, seed: int
) -> np.ndarray:
    """Bootstrap replicates of a contrast over queries and seeds  # (samples,).

    Queries are drawn within collections, seeds once for all cells and collections, each independently of the other
    (Owen 2007's pigeonhole bootstrap: a seed keeps its queries, a query its seeds). Of S seeds S - 1 are drawn with
    replacement, which gives the seeds' part its unbiased variance however few they are (Rao and Wu 1988, section 2);
    noise of single pairs of seed and query counts about three times, so the interval is on the wide side.
    """
    theta: np.ndarray | float = 0.0  # (seeds, samples)
    for name in sorted(values):
        per_seed = np.tensordot(coefficients, values[name], axes=2)  # (seeds, queries)
        theta = theta + weights[name] * resampled_means(per_seed, samples, seed, name)
    seeds = len(theta)
    if seeds == 1:
        return theta[0]
    generator = np.random.default_rng(derive_seed(seed, "bootstrap", "seeds"))
    drawn = generator.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=samples)  # (samples, seeds)
    return np.einsum("bs,sb->b", drawn, theta) / (seeds - 1)


def cell_means(values: Values, weights: Mapping[str, float], bootstrap: Mapping) -> pd.DataFrame:
    """Mean of each cell, its standard deviation over seeds (NaN for one), :func:`resampled`'s interval.

    Columns mean, std_seed, ci_low, ci_high, n_seeds, n_queries; rows with the entropies fastest. ``bootstrap``:
    samples, seed, confidence.
    """
    means = sum(weights[name] * array.mean(axis=3) for name, array in values.items())  # (localities, entropies, seeds)
    rows = []
    for cell in np.ndindex(*means.shape[:2]):
        chosen = np.zeros(means.shape[:2])
        chosen[cell] = 1
        drawn = resampled(values, weights, chosen, bootstrap["samples"], bootstrap["seed"])
        low, high = percentile_interval(drawn, bootstrap["confidence"])
        spread = np.std(means[cell], ddof=1) if means.shape[2] > 1 else np.nan
        rows.append((means[cell].mean(), spread, low, high))
    frame = pd.DataFrame(rows, columns=["mean", "std_seed", "ci_low", "ci_high"])
    return frame.assign(n_seeds=means.shape[2], n_queries=sum(array.shape[3] for array in values.values()))
