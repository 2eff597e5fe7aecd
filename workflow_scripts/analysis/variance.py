"""Where a grid's spread comes from: analysis of variance of a balanced factorial design."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

import numpy as np
import pandas as pd
from scipy.special import fdtrc

SEED, RESIDUAL = "seed", "residual"
_ROUNDING = 1e-24
"""A mean square up to this is rounding: students have one value of a measure that re-ranking does not change."""
COLUMNS = ("source", "df", "sum_squares", "eta_squared", "f", "p", "component", "component_share")


def decompose(values: np.ndarray, factors: Sequence[str]) -> pd.DataFrame:
    """Sums of squares and variance components of each factor, each interaction, and the rest; columns :data:`COLUMNS`.

    ``values``  # (levels of factor 1, levels of factor 2, ..., seeds): one value a cell and seed. Effects come from
    marginal means, effect_T = mean_T - sum of the effects of T's proper subsets, SS_T = sum over all values of
    effect_T^2: in a balanced design type I, II and III agree. Factors of one level are left out.

    - With several seeds the rest is ``seed``: the spread within cells, what training again changes.
    - With one seed the rest is ``residual``: interactions of three or more factors (of two where there are just two)
      *and* the seed, which cannot be told apart.

    eta_squared = SS_T / SS_total describes this grid, and grows with the number of levels even for pure noise. f and p
    test MS_T against the rest's (factors as fixed, the seeds as independent replicates within each cell). Where cells
    of one seed share something and a test has to be free of it, pass the seed as a factor before a last axis of length
    1, as :func:`~workflow_scripts.studies.factorial.anova` does, and test against its interactions.

    ``component`` is the variance that the source adds to one value, its levels taken as a random sample: with n_U
    values behind each level of U, E[MS_T] = s2_rest + sum_{U >= T} n_U s2_U, solved from the largest T down (the ANOVA
    estimator; where none is negative also the REML one; negative ones are set to 0). component_share is its share of
    their sum.
    """
    seeds = values.shape[-1]
    kept = [axis for axis in range(len(factors)) if values.shape[axis] > 1]
    values = values.reshape(*(values.shape[axis] for axis in kept), seeds)
    axes = range(len(kept))
    subsets = [subset for size in range(1, len(kept) + 1) for subset in combinations(axes, size)]
    if seeds == 1 and len(kept) > 1:
        subsets = [subset for subset in subsets if len(subset) < min(len(kept), 3)]
    effects: dict[tuple[int, ...], np.ndarray] = {(): values.mean(keepdims=True)}
    for subset in subsets:
        mean = values.mean(axis=tuple(axis for axis in range(values.ndim) if axis not in subset), keepdims=True)
        effects[subset] = mean - sum(effect for part, effect in effects.items() if set(part) < set(subset))
    squares = {subset: _sum_squares(effects[subset], values.size) for subset in subsets}
    freedom = {subset: prod(values.shape[axis] - 1 for axis in subset) for subset in subsets}
    total = _sum_squares(values - values.mean(), values.size)
    rest_df = values.size - 1 - sum(freedom.values())
    # Sums of squares are not negative, but the last digits of a difference of them may be.
    rest = max(total - sum(squares.values()), 0.0) if rest_df else 0.0
    components = _components(values, subsets, squares, freedom, rest / rest_df if rest_df else np.nan)
    rows = [(":".join(factors[kept[axis]] for axis in subset), freedom[subset], squares[subset]) for subset in subsets]
    if rest_df:
        rows.append((SEED if seeds > 1 else RESIDUAL, rest_df, rest))
    table = pd.DataFrame(rows, columns=list(COLUMNS[:3]))
    return table.assign(**_tests(table, total, rest, rest_df), **_shares(components[: len(table)]))[list(COLUMNS)]


def _sum_squares(effect: np.ndarray, size: int) -> float:
    """Sum over all ``size`` values of the square of an effect that is constant over the axes of length 1."""
    mean = float((effect**2).mean())
    return mean * size if mean > _ROUNDING else 0.0


def _components(
    values: np.ndarray, subsets: Sequence[tuple], squares: dict, freedom: dict, mean_square: float
) -> list[float]:
    """Variance components of the subsets, then of the rest, by their expected mean squares."""
    behind = {subset: values.size / prod(values.shape[axis] for axis in subset) for subset in subsets}
    found: dict[tuple, float] = {}
    for subset in reversed(subsets):
        larger = sum(behind[other] * found[other] for other in found if set(other) > set(subset))
        found[subset] = (squares[subset] / freedom[subset] - mean_square - larger) / behind[subset]
    return [max(found[subset], 0.0) if np.isfinite(found[subset]) else np.nan for subset in subsets] + [mean_square]


def _tests(table: pd.DataFrame, total: float, rest: float, rest_df: int) -> dict[str, np.ndarray]:
    eta = table["sum_squares"].to_numpy() / total if total > 0 else np.full(len(table), np.nan)
    f, p = np.full(len(table), np.nan), np.full(len(table), np.nan)
    if rest_df and rest > 0:
        f = (table["sum_squares"] / table["df"]).to_numpy() / (rest / rest_df)
        p = fdtrc(table["df"].to_numpy(dtype=float), float(rest_df), f)
        f[-1] = p[-1] = np.nan  # the rest is not tested against itself
    return {"eta_squared": eta, "f": f, "p": p}


def _shares(components: Sequence[float]) -> dict[str, np.ndarray]:
    component = np.array(components, dtype=float)
    total = component.sum()
    return {
        "component": component,
        "component_share": component / total if total > 0 else np.full(len(component), np.nan),
    }
