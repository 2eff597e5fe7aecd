"""The power table a second time, one pair of samplers after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan, sqrt
from statistics import median

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from audit.contrasts import Block, Domain
from audit.inference import control_rows, pooled_rows, residual_sum, rows_of
from audit.rows import Rows
from audit.sources import Sources
from audit.tables import BLOCK, block_of, margin_of, pairs_of

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
        parts = {tuple(a): parts_of(block, weights, key[4], a) for a in contrasts}
        middle = [median(parts[tuple(a)][place] for a in kept) for place in range(4)]
        degrees = parts[tuple(contrasts[0])][4] if len(block.seeds) == 1 else 2.0 * len(spec["losses"])
        for row in rows[rows["scope"] == "block"].itertuples():
            reached = _reaches((*middle, degrees), cells, int(row.seeds), spec["rule"])
            yield row.Index, {**reached, "n_pairs": len(kept), "is_own": int(row.seeds) == len(block.seeds)}
        for row in rows[rows["scope"] == "pair"].itertuples():
            a = [(sampler == row.sampler_a) - (sampler == row.sampler_b) for sampler in spec["samplers"]]
            mean = block.infer(weights, key[4], a).estimate
            margin = margin_of(block.values, domains[key[3]], key[4], spec["rule"])
            needed = _needed(parts[tuple(a)], cells, abs(mean), margin, spec["rule"])
            yield row.Index, {"mean_difference": mean, "margin": margin, "seeds_needed": needed}


def parts_of(block: Block, weights: Mapping, measure: str, a: Sequence[float], *, tested: bool = False) -> Parts:
    """What a design is planned from, of one contrast; ``tested``: by the variance over seeds that it is tested by."""
    y = block.values_of(weights, measure)
    seeds = len(block.seeds)
    controls = block.controlled(weights, measure)
    _, _, (of_seeds, _), (of_queries, query_df) = rows_of(y, weights, a, block.blocks, controls)
    if seeds == 1:
        of_seeds, df, both = control_rows(a, weights, controls)
        return max(of_queries - both, 0), both, (of_seeds - both) / 2, query_df, df
    both = 0.0
    for c, weight in weights.items():
        number = len(y[c][0][0])
        both += weight**2 * residual_sum(np.tensordot(a, y[c], 1)) / ((seeds - 1) * (number - 1)) / (seeds * number)
    if not tested:
        of_seeds, *_ = pooled_rows(sum(weights[c] * np.mean(y[c], axis=2) for c in weights), a, block.blocks)
    return max(of_queries - both, 0), seeds * both, seeds * max(of_seeds - both, 0), query_df, nan


def _reaches(parts: Parts, cells: int, seeds: int, rule: Mapping) -> dict[str, float]:
    """Detectable difference and smallest margin, alone and in the family."""
    found = {}
    for where in ("alone", "family"):
        design = parts, cells, seeds, where == "family"
        found[f"difference_{where}"] = reach(*design, rule["difference_alpha"] / 2, 0.8)
        found[f"margin_{where}"] = reach(*design, rule["alpha"], 0.9)
    return found


def reach(parts: Parts, cells: int, seeds: int, in_family: bool, tail: float, chance: float) -> float:
    """The distance that a test with this tail finds with this chance, alone or as the first of all pairs of cells."""
    queries, both, training, query_df, control_df = parts
    noise = (training + both) / seeds
    if seeds == 1:
        of_seeds, seed_df, below = 2 * training + both, control_df, 0.0
    else:
        of_seeds, seed_df = noise, (cells - 1) * (seeds - 1)
        below = (both / seeds) ** 2 / ((seeds - 1) * query_df)
    whole = queries + of_seeds
    below += (queries + both / seeds) ** 2 / query_df + of_seeds**2 / seed_df
    rows = [(whole, whole**2 / below if below else 1.0), (of_seeds, seed_df)]
    if seeds == 1:
        kappa = 1.09 if in_family else 1.05
    else:
        kappa = 1 + (0.32 / (seeds - 1) ** 0.7 if in_family else 0.23 / (seeds - 1) ** 0.6)
        kappa = 1.0 if cells == 2 else kappa
    tail /= cells * (cells - 1) // 2 if in_family else 1
    width = max(-stdtrit(df, tail) * sqrt(variance) for variance, df in rows)
    return kappa * (width + ndtri(chance) * sqrt(queries + noise))


def _needed(parts: Parts, cells: int, difference: float, margin: float, rule: Mapping) -> float:
    for seeds in range(2, 101):
        reached = _reaches(parts, cells, seeds, rule)
        if difference >= reached["difference_family"] or difference + reached["margin_family"] <= margin:
            return seeds
    return nan
