"""A second implementation of the inference: one contrast at a time, straight from the formulas of docs/inference.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isclose, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

Row = tuple[float, float]
"""A variance and its degrees of freedom."""


def variance(values: Sequence[float]) -> float:
    """Sample variance; 0 where only the last digits vary."""
    found = float(np.var(values, ddof=1))
    return found if found > 1e-26 else 0.0


def residual_sum(table: Sequence[Sequence[float]]) -> float:
    """Sum of squares that row and column means leave of a table of rows."""
    table = np.asarray(table)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    found = float((rest**2).sum())
    return found if found > 1e-26 * table.size else 0.0


def seed_rows(m: Sequence[Sequence[float]], a: Sequence[float], blocks: Sequence[Sequence[int]]) -> Row:
    """V_s and its degrees of freedom; ``m``: cell to its seeds' means."""
    seeds = len(m[0])
    own = variance(np.asarray(a) @ np.asarray(m)) / seeds
    pooled, cells, squares = pooled_rows(m, a, blocks)
    return max(own, pooled, cells), pooled**2 / squares if squares else seeds - 1


def pooled_rows(m: Sequence, a: Sequence[float], blocks: Sequence[Sequence[int]]) -> tuple[float, float, float]:
    """What blocks show on average of a contrast's variance over seeds, what its cells show, the former's squares."""
    m, a = np.asarray(m), np.asarray(a)
    seeds, pooled, cells, squares = m.shape[1], 0.0, 0.0, 0.0
    for block in blocks:
        k, ab, mb = len(block), a[list(block)], m[list(block)]
        if not ab.any():
            continue
        if k > 1 and isclose(ab.sum(), 0, abs_tol=1e-9):
            df = (k - 1) * (seeds - 1)
            rest = mb - mb.mean(axis=1, keepdims=True) - mb.mean(axis=0) + mb.mean()
            spread = (rest**2).sum(axis=1) / (seeds - 1)
            tau = float(spread.sum()) / (k - 1)
            single = [max(0.0, (x - tau / k) * k / (k - 2)) if k > 2 else 0.0 for x in spread]
        else:
            df = k * (seeds - 1)
            single = [variance(each) for each in mb]
            tau = sum(single) / k
        part = tau * float(ab @ ab) / seeds
        pooled += part
        squares += part**2 / df
        cells += float(ab**2 @ single) / seeds
    return pooled, cells, squares


def noise_of(cells: Sequence[Mapping], w: Mapping[str, float]) -> tuple[float, float, float]:
    """Of a student's control cells: variance over seeds, its seed x query part, degrees of freedom."""
    df = sum(len(next(iter(cell.values()))) - 1 for cell in cells)
    means = [sum(w[c] * np.mean(cell[c], axis=1) for c in w) for cell in cells]
    of_seeds = sum(float(((each - each.mean()) ** 2).sum()) for each in means) / df
    both = 0.0
    for c in w:
        n = len(cells[0][c][0])
        both += w[c] ** 2 * sum(residual_sum(cell[c]) for cell in cells) / (df * (n - 1)) / n
    return of_seeds, both, df


def control_rows(
    a: Sequence[float], w: Mapping[str, float], controls: Sequence[tuple[Sequence[int], Sequence[Mapping]]]
) -> tuple[float, float, float]:
    """V_s, its degrees of freedom and V_b from (places, control cells) of each student."""
    whole = both = inverse = 0.0
    fewest = inf
    for places, cells in controls:
        squares = sum(a[i] ** 2 for i in places)
        of_seeds, of_both, df = noise_of(cells, w)
        part = squares * (2 * max(of_seeds - of_both, 0) + of_both)
        whole, both, inverse, fewest = whole + part, both + squares * of_both, inverse + part**2 / df, min(fewest, df)
    return whole, whole**2 / inverse if inverse else fewest, both


def rows_of(y: Mapping, w: Mapping[str, float], a: Sequence[float], blocks: Sequence, controls: Sequence = ()):
    """The estimate, the row (V, df), the row (V_s, df_s) and V_q with its degrees of freedom."""
    seeds = len(next(iter(y.values()))[0])
    of_query = of_both = below = query_below = estimate = 0.0
    for c in w:
        d = np.tensordot(a, y[c], axes=1)  # seeds x queries
        n = d.shape[1]
        v = w[c] ** 2 * variance(d.mean(axis=0)) / n
        of_query, below, estimate = of_query + v, below + v**2 / (n - 1), estimate + w[c] * float(d.mean())
        query_below += v**2 / (n - 1)
        if seeds > 1:
            df = (seeds - 1) * (n - 1)
            b = w[c] ** 2 * residual_sum(d) / df / (seeds * n)
            of_both, below = of_both + b, below + b**2 / df
    if seeds > 1:
        of_seed, df_seed = seed_rows(sum(w[c] * np.mean(y[c], axis=2) for c in w), a, blocks)
    else:
        of_seed, df_seed, of_both = control_rows(a, w, controls)
    v = max(of_query + of_seed - of_both, of_query, of_seed)
    below += of_seed**2 / df_seed
    of_queries = of_query, of_query**2 / query_below if query_below else 1.0
    return estimate, (v, v**2 / below if below else 1.0), (of_seed, df_seed), of_queries


def by_members(y: Mapping, members: Sequence[Mapping[str, float]]) -> dict:
    """Values of cells x seeds with the members' means as queries; ``members``: collection to its weight within."""
    means = {c: np.mean(array, axis=2) for c, array in y.items()}
    return {"members": np.stack([sum(u * means[c] for c, u in member.items()) for member in members], axis=2)}


def t_of(distance: float, v: float) -> float:
    """Distance over its error; where nothing varies 0 or infinite."""
    distance = round(distance, 12)
    return 0.0 if distance == 0 else distance / sqrt(v) if v > 0 else inf * distance


def p_values(estimate: float, rows: Sequence[Row], margin: float) -> dict[str, float]:
    """All p-values: the larger of the rows'."""

    def below(distance: float) -> float:
        return max(float(stdtr(df, t_of(distance, v))) for v, df in rows)

    not_above, not_below = below(estimate - margin), below(-estimate - margin)
    return {
        "difference": 2 * below(-abs(estimate)),
        "not_above": not_above,
        "above": below(margin - estimate),
        "not_below": not_below,
        "equivalence": max(not_above, not_below),
        "beyond": min(1.0, 2 * below(margin - abs(estimate))),
    }


def ends(estimate: float, rows: Sequence[Row], confidence: float) -> tuple[float, float]:
    """The widest of the rows' intervals."""
    half = max(float(stdtrit(df, (1 + confidence) / 2)) * sqrt(v) for v, df in rows)
    return estimate - half, estimate + half
