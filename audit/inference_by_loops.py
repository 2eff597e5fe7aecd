"""A second implementation of the inference on one contrast: plain loops, straight from the formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import inf, isclose, sqrt
from statistics import fmean, variance

from scipy import stats

Row = tuple[float, float]
"""A variance and its degrees of freedom."""


def residual_sum(table: Sequence[Sequence[float]]) -> float:
    """Sum of squares that row and column means leave of a table of rows."""
    rows, columns = [fmean(row) for row in table], [fmean(column) for column in zip(*table, strict=True)]
    whole, found = fmean(rows), 0.0
    for i, j in product(range(len(rows)), range(len(columns))):
        found += (table[i][j] - rows[i] - columns[j] + whole) ** 2
    return found


def seed_rows(m: Sequence[Sequence[float]], a: Sequence[float], blocks: Sequence[Sequence[int]]) -> Row:
    """V_s and its degrees of freedom; ``m``: cell to its seeds' means."""
    seeds = len(m[0])
    own = variance([sum(ai * mi[s] for ai, mi in zip(a, m, strict=True)) for s in range(seeds)]) / seeds
    pooled = cells = squares = 0.0
    for block in blocks:
        k = len(block)
        if all(a[i] == 0 for i in block):
            continue
        if k > 1 and isclose(sum(a[i] for i in block), 0, abs_tol=1e-9):
            of_seed = [fmean(m[i][s] for i in block) for s in range(seeds)]
            whole, df = fmean(of_seed), (k - 1) * (seeds - 1)
            spread = [
                sum((m[i][s] - fmean(m[i]) - of_seed[s] + whole) ** 2 for s in range(seeds)) / (seeds - 1)
                for i in block
            ]
            tau = sum(spread) / (k - 1)
            single = [max(0.0, (x - tau / k) * k / (k - 2)) if k > 2 else 0.0 for x in spread]
        else:
            df = k * (seeds - 1)
            single = [variance(m[i]) for i in block]
            tau = fmean(single)
        part = tau * sum(a[i] ** 2 for i in block) / seeds
        pooled += part
        squares += part**2 / df
        cells += sum(a[i] ** 2 * x for i, x in zip(block, single, strict=True)) / seeds
    return max(own, pooled, cells), pooled**2 / squares if squares else seeds - 1


def control_rows(
    a: Sequence[float], w: Mapping[str, float], controls: Sequence[tuple[Sequence[int], Sequence[Mapping]]]
) -> tuple[float, float, float]:
    """V_s, its degrees of freedom and V_b from (places, control cells) of each student."""
    whole = both = inverse = 0.0
    fewest = inf
    for places, cells in controls:
        squares = sum(a[i] ** 2 for i in places)
        df = sum(len(next(iter(cell.values()))) - 1 for cell in cells)
        s2 = 0.0
        for cell in cells:
            seeds = len(next(iter(cell.values())))
            means = [sum(w[c] * fmean(cell[c][s]) for c in w) for s in range(seeds)]
            s2 += sum((x - fmean(means)) ** 2 for x in means) / df
        e = 0.0
        for c in w:
            n = len(cells[0][c][0])
            cells_df = sum((len(cell[c]) - 1) * (n - 1) for cell in cells)
            e += w[c] ** 2 * sum(residual_sum(cell[c]) for cell in cells) / cells_df / n
        part = squares * (2 * max(s2 - e, 0) + e)
        whole, both, inverse, fewest = whole + part, both + squares * e, inverse + part**2 / df, min(fewest, df)
    return whole, whole**2 / inverse if inverse else fewest, both


def rows_of(y: Mapping, w: Mapping[str, float], a: Sequence[float], blocks: Sequence, controls: Sequence = ()):
    """The estimate, the row (V, df), the row (V_s, df_s) and V_q with its degrees of freedom."""
    seeds = len(next(iter(y.values()))[0])
    m = [[sum(w[c] * fmean(y[c][i][s]) for c in w) for s in range(seeds)] for i in range(len(a))]
    of_query = of_both = below = query_below = estimate = 0.0
    for c in w:
        n = len(y[c][0][0])
        d = [[sum(ai * y[c][i][s][q] for i, ai in enumerate(a)) for q in range(n)] for s in range(seeds)]
        by_query = [fmean(d[s][q] for s in range(seeds)) for q in range(n)]
        v = w[c] ** 2 * variance(by_query) / n
        of_query, below, estimate = of_query + v, below + v**2 / (n - 1), estimate + w[c] * fmean(by_query)
        query_below += v**2 / (n - 1)
        if seeds > 1:
            df = (seeds - 1) * (n - 1)
            b = w[c] ** 2 * residual_sum(d) / df / (seeds * n)
            of_both, below = of_both + b, below + b**2 / df
    if seeds > 1:
        of_seed, df_seed = seed_rows(m, a, blocks)
    else:
        of_seed, df_seed, of_both = control_rows(a, w, controls)
    v = max(of_query + of_seed - of_both, of_query, of_seed)
    below += of_seed**2 / df_seed
    of_queries = of_query, of_query**2 / query_below if query_below else 1.0
    return estimate, (v, v**2 / below if below else 1.0), (of_seed, df_seed), of_queries


def by_members(y: Mapping, members: Sequence[Mapping[str, float]]) -> dict:
    """Values of cells x seeds with the members' means as queries; ``members``: collection to its weight within."""
    name = next(iter(y))
    return {
        "members": [
            [
                [sum(u * fmean(y[c][i][s]) for c, u in member.items()) for member in members]
                for s in range(len(y[name][i]))
            ]
            for i in range(len(y[name]))
        ]
    }


def t_of(distance: float, v: float) -> float:
    """Distance over its error; where nothing varies 0 or infinite."""
    distance = round(distance, 12)
    return 0.0 if distance == 0 else distance / sqrt(v) if v > 0 else inf * distance


def p_values(estimate: float, rows: Sequence[Row], margin: float) -> dict[str, float]:
    """All p-values: the larger of the rows'."""
    below = [stats.t.cdf(t_of(estimate - margin, v), df) for v, df in rows]
    above = [stats.t.sf(t_of(estimate - margin, v), df) for v, df in rows]
    not_below = [stats.t.sf(t_of(estimate + margin, v), df) for v, df in rows]
    return {
        "difference": max(2 * stats.t.sf(abs(t_of(estimate, v)), df) for v, df in rows),
        "not_above": max(below),
        "above": max(above),
        "not_below": max(not_below),
        "equivalence": max(*below, *not_below),
        "beyond": min(1.0, 2 * max(stats.t.sf(t_of(abs(estimate) - margin, v), df) for v, df in rows)),
    }


def ends(estimate: float, rows: Sequence[Row], confidence: float) -> tuple[float, float]:
    """The widest of the rows' intervals."""
    half = max(stats.t.ppf((1 + confidence) / 2, df) * sqrt(v) for v, df in rows)
    return estimate - half, estimate + half
