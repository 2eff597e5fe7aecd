"""The correlation table a second time: scipy's coefficients of predictors taken from the runs pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import nan, sqrt
from statistics import fmean

import numpy as np
import pandas as pd
from scipy import stats

from audit.contrasts import Domain
from audit.groups import coin
from audit.rows import Near, Rows
from audit.sources import Cell, Sources, Values

ROUNDING = 1e-6
"""Of a correlation with entropies that hardly vary, such as an untrained teacher's: all but 1 bit."""


def correlation(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Spearman's and Pearson's within collections, pooled through Fisher's z."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    for row in frame.itertuples():
        cell: Cell = (row.student, row.loss, row.sampler, row.teacher if row.student != "bm25" else "")
        seeds = spec["seeds"] if row.loss else values.seeds(cell)
        weights, z, spread, queries = domains[row.domain].weights, 0.0, 0.0, 0
        for name, weight in weights.items():
            r, number = _coefficient(row, spec, values, cell, seeds, name)
            with np.errstate(divide="ignore"):
                z += weight * np.arctanh(r)
            spread += weight**2 * (1 + r**2 / 2 if row.method == "spearman" else 1) / (number - 3)
            queries += number
        half = stats.norm.isf((1 - spec["confidence"]) / 2) * sqrt(spread) if spread == spread else nan
        found = {"correlation": z, "ci_low": z - half, "ci_high": z + half}
        found = {name: Near(np.tanh(value), ROUNDING) for name, value in found.items()}
        yield row.Index, {**found, "n_queries": queries, "n_seeds": len(seeds)}


def _coefficient(
    row: tuple, spec: dict, values: Values, cell: Cell, seeds: Sequence, collection: str
) -> tuple[float, int]:
    """Of the predictor with effectiveness on a collection, and how many queries have both."""
    of_seeds = [values.of(cell, seed, collection, spec["measure"]) for seed in seeds]
    predictor = _predictor(row, values, cell, seeds, collection, spec["depth"])
    shared = sorted(set(of_seeds[0]) & set(predictor))
    x, y = [predictor[query] for query in shared], [fmean(of[query] for of in of_seeds) for query in shared]
    if len(set(x)) == 1 or len(set(y)) == 1:
        return nan, len(shared)
    function = stats.spearmanr if row.method == "spearman" else stats.pearsonr
    return float(function(x, y).statistic), len(shared)


def _predictor(
    row: tuple, values: Values, cell: Cell, seeds: Sequence, collection: str, depth: int
) -> dict[str, float]:
    """Entropy of the teacher's preferences, or a student's divergence, over the teacher's first candidates; in bits."""
    teacher = values.run(("teacher", "", "", row.teacher), None, collection)
    runs = [values.run(cell, seed, collection) for seed in seeds] if row.predictor == "kl" else []
    scores = [run.set_index(["query", "document"])["score"] for run in runs]
    found = {}
    for query, rows in teacher[teacher["rank"] <= depth].groupby("query"):
        own = rows["score"].to_numpy()
        if len(own) < 2:
            continue
        if row.predictor == "entropy":
            found[query] = fmean(coin(one - other) for one, other in combinations(own, 2))
        else:
            others = [of.loc[query].loc[rows["document"]].to_numpy() for of in scores]
            found[query] = fmean(round(stats.entropy(_softmax(own), _softmax(of), base=2), 9) for of in others)
    return found


def _softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()
