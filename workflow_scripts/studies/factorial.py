"""Do two dials act apart? Their effects' sizes, all rectangles of the grid, and its analysis of variance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import fdtrc, ncfdtr

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import JUDGED, NEW, Rule, judge_family
from workflow_scripts.analysis.families import DIFFERENT, EQUIVALENT, ONE_SEED, SAME, UNDECIDED
from workflow_scripts.analysis.rectangles import rectangles
from workflow_scripts.analysis.variance import SEED, decompose

LOCALITY, ENTROPY, INTERACTION, RECTANGLE = "locality", "entropy", "interaction", "rectangle"
ANOVA = (
    *("source", "df", "sum_squares", "error_df", "f", "p", "eta_squared"),
    *("partial_omega_squared", "share_low", "share_high"),
)
COLUMNS = (*ANOVA, "levels", *JUDGED, "n_seeds", "n_queries")

_ROUNDING = 1e-12
"""A value, or a share of the sum of squares, up to this is rounding."""
_LARGEST = 1e8
"""F beyond which the share is 1 to five digits or more and the distribution cannot be computed."""


def analyse(
    cells: ComparedCells,
    levels: tuple[Sequence[str], Sequence[str]],
    domain: Domain,
    measure: str,
    rule: Rule,
    interaction_margin: float,
) -> pd.DataFrame:
    """Locality, entropy, interaction, every rectangle and, of several seeds, ``seed`` and the errors; :data:`COLUMNS`.

    ``cells``: of a grid of ``levels``, the second dial fastest, one block. A dial's ``difference`` is the mean of its
    last level minus that of its first; the two are a family. The :func:`rectangles` are a family, judged against
    ``interaction_margin``, in margins; :func:`interaction` says what they amount to. The first columns are
    :func:`anova`'s, of the domain's mean of each cell and seed. A factorial of one seed has no verdict.
    """
    shape = len(levels[0]), len(levels[1])
    means = cells.means(domain.weights, measure)
    margin = rule.margin_for(cells.values, domain, measure)
    corners = rectangles(*shape)
    dials = judge_family(cells, domain, measure, main_effects(*shape), rule, margin)
    four = judge_family(cells, domain, measure, np.array(list(corners.values())), rule, interaction_margin * margin)
    both = interaction(four, list(corners), shape, rule)
    judged = pd.concat([dials, both]).set_axis([LOCALITY, ENTROPY, INTERACTION])
    table = anova(means.reshape(*shape, -1), rule.confidence).join(judged, on="source")
    names = [
        f"{first[i]}, {first[j]} x {second[k]}, {second[m]}" for first, second in [levels] for (i, j), (k, m) in corners
    ]
    table = pd.concat([table, four.assign(source=RECTANGLE, levels=names)], ignore_index=True)
    queries = cells.values.number(domain.collections, measure)
    return table.assign(n_seeds=means.shape[1], n_queries=queries)[list(COLUMNS)]


def main_effects(localities: int, entropies: int) -> np.ndarray:
    """Last minus first level of each dial, mean over the other's levels  # (2, cells)."""
    turn, even = (lambda number: np.eye(number)[-1] - np.eye(number)[0]), (lambda number: np.full(number, 1 / number))
    effects = np.outer(turn(localities), even(entropies)), np.outer(even(localities), turn(entropies))
    return np.stack(effects).reshape(2, -1)


def interaction(rectangles: pd.DataFrame, corners: Sequence, shape: tuple[int, int], rule: Rule) -> pd.DataFrame:
    """One row: the rectangle from end to end, and the verdict of all.

    An interaction is ``different`` where one rectangle is shown not to be 0, with Holm's correction over all, and
    ``equivalent`` where each by itself is shown to be within the margin: an intersection of unions, which needs no
    correction (Berger 1982). ``p_equivalence`` is the largest.
    """
    whole = list(corners).index(((0, shape[0] - 1), (0, shape[1] - 1)))
    row = rectangles.iloc[[whole]].copy()
    for name in ("p_difference", "p_difference_holm"):
        row[name] = rectangles[name].min()
    tested = rectangles[rectangles["outcome"] != SAME]
    row["p_equivalence"] = row["p_equivalence_holm"] = tested["p_equivalence"].max()
    row["smallest_margin"] = tested["smallest_margin"].max()
    outcomes = set(rectangles["outcome"])
    if ONE_SEED in outcomes or outcomes == {SAME}:
        verdict = ONE_SEED if ONE_SEED in outcomes else SAME
    elif (tested["p_equivalence"] <= rule.alpha).all():
        verdict = EQUIVALENT
    else:
        verdict = DIFFERENT if row["p_difference_holm"].iloc[0] <= rule.difference_alpha else UNDECIDED
    return row.assign(outcome=verdict, **dict.fromkeys(NEW[:-1], np.nan), new_outcome="")


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
