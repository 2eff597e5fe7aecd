"""The power table a second time, one pair of samplers after the other."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan, sqrt
from statistics import fmean, median

import pandas as pd
from scipy import stats

from audit.contrasts import Block, Domain
from audit.inference_by_loops import control_rows, residual_sum, rows_of
from audit.rows import Rows
from audit.sources import Sources
from audit.tables import BLOCK, block_of, pairs_of

Parts = tuple[float, float, float, float, float]
"""A, B and T of a pair, degrees of freedom of V_q and of V_s (docs/inference.md)."""


def power(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """What every block could have shown, and what would decide its undecided pairs."""
    domains = {each["name"]: Domain.of(each) for each in spec["domains"]}
    for key, rows in frame.groupby(BLOCK, sort=False):
        block = block_of(sources.values["metrics"], spec, key[:3])
        weights, cells = domains[key[3]].weights, len(block.cells)
        contrasts = pairs_of(cells)
        kept = [a for a in contrasts if not block.infer(weights, key[4], a).same]
        parts = {tuple(a): _parts(block, weights, key[4], a) for a in contrasts}
        middle = [median(parts[tuple(a)][place] for a in kept) for place in range(4)]
        degrees = parts[tuple(contrasts[0])][4] if len(block.seeds) == 1 else 2.0 * len(spec["losses"])
        for row in rows[rows["scope"] == "block"].itertuples():
            reach = _reach((*middle, degrees), cells, int(row.seeds), spec["rule"])
            yield row.Index, {**reach, "n_pairs": len(kept), "is_own": int(row.seeds) == len(block.seeds)}
        for row in rows[rows["scope"] == "pair"].itertuples():
            a = [(sampler == row.sampler_a) - (sampler == row.sampler_b) for sampler in spec["samplers"]]
            yield (
                row.Index,
                {"seeds_needed": _needed(parts[tuple(a)], cells, abs(row.mean_difference), row.margin, spec["rule"])},
            )


def _parts(block: Block, weights: Mapping, measure: str, a: list[float]) -> Parts:
    y = block.values_of(weights, measure)
    seeds, squares = len(block.seeds), sum(each**2 for each in a)
    *_, (of_queries, query_df) = rows_of(y, weights, a, block.blocks, block.controlled(weights, measure))
    if seeds == 1:
        of_seeds, df, both = control_rows(a, weights, block.controlled(weights, measure))
        return max(of_queries - both, 0), both, (of_seeds - both) / 2, query_df, df
    both = 0.0
    for c, weight in weights.items():
        number = len(y[c][0][0])
        d = [[sum(ai * y[c][i][s][q] for i, ai in enumerate(a)) for q in range(number)] for s in range(seeds)]
        both += weight**2 * residual_sum(d) / ((seeds - 1) * (number - 1)) / (seeds * number)
    means = [[sum(weights[c] * fmean(y[c][i][s]) for c in weights) for s in range(seeds)] for i in range(len(a))]
    tau = residual_sum(means) / ((seeds - 1) * (len(a) - 1))
    return max(of_queries - both, 0), seeds * both, seeds * max(tau * squares / seeds - both, 0), query_df, nan


def _reach(parts: Parts, cells: int, seeds: int, rule: Mapping) -> dict[str, float]:
    """Detectable difference and smallest margin, alone and in the family."""
    queries, both, training, query_df, control_df = parts
    noise = (training + both) / seeds
    if seeds == 1:
        of_seeds, seed_df, below = 2 * training + both, control_df, 0.0
    else:
        of_seeds, seed_df = noise, (cells - 1) * (seeds - 1)
        below = (both / seeds) ** 2 / ((seeds - 1) * query_df)
    whole = queries + of_seeds
    below += (queries + both / seeds) ** 2 / query_df + of_seeds**2 / seed_df
    rows, found = [(whole, whole**2 / below if below else 1.0), (of_seeds, seed_df)], {}
    for where, number in (("alone", 1), ("family", cells * (cells - 1) // 2)):
        if seeds == 1:
            kappa = 1.05 if where == "alone" else 1.09
        else:
            kappa = 1 + (0.23 / (seeds - 1) ** 0.6 if where == "alone" else 0.32 / (seeds - 1) ** 0.7)
            kappa = 1.0 if cells == 2 else kappa
        for name, tail, chance in (("difference", rule["difference_alpha"] / 2, 0.8), ("margin", rule["alpha"], 0.9)):
            width = max(stats.t.isf(tail / number, df) * sqrt(variance) for variance, df in rows)
            found[f"{name}_{where}"] = kappa * (width + stats.norm.ppf(chance) * sqrt(queries + noise))
    return found


def _needed(parts: Parts, cells: int, difference: float, margin: float, rule: Mapping) -> float:
    for seeds in range(2, 101):
        reach = _reach(parts, cells, seeds, rule)
        if difference >= reach["difference_family"] or difference + reach["margin_family"] <= margin:
            return seeds
    return nan
