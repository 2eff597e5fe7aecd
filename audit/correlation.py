"""The correlation table a second time: scipy's coefficients of predictors taken from the runs pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import log, nan, sqrt
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
from scipy import special, stats

from audit.contrasts import Domain
from audit.locality import entropies
from audit.rows import Near, Rows
from audit.sources import Cell, Sources, by_query, temperature

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
            r, number = _coefficient(row, spec, sources, cell, seeds, name)
            with np.errstate(divide="ignore"):
                z += weight * np.arctanh(r)
            spread += weight**2 * (1 + r**2 / 2 if row.method == "spearman" else 1) / (number - 3)
            queries += number
        half = stats.norm.isf((1 - spec["confidence"]) / 2) * sqrt(spread) if spread == spread else nan
        found = {"correlation": z, "ci_low": z - half, "ci_high": z + half}
        found = {name: Near(np.tanh(value), ROUNDING) for name, value in found.items()}
        yield row.Index, {**found, "n_queries": queries, "n_seeds": len(seeds)}


def _coefficient(
    row: tuple, spec: dict, sources: Sources, cell: Cell, seeds: Sequence, collection: str
) -> tuple[float, int]:
    """Of the predictor with effectiveness on a collection, and how many queries have both."""
    values = sources.values["metrics"]
    of_seeds = [values.of(cell, seed, collection, spec["measure"]) for seed in seeds]
    teacher = values.path(("teacher", "", "", row.teacher), None, collection)
    runs = [values.path(cell, seed, collection) for seed in seeds] if row.predictor == "kl" else []
    calibration = sources.folder / "calibrations" / row.teacher
    fitted = temperature(calibration) if row.teacher in spec["calibrated"] else 1.0
    predictor = _predictor(teacher, tuple(runs), spec["depth"], fitted)
    shared = sorted(set(of_seeds[0]) & set(predictor))
    x = [round(predictor[query], 9) for query in shared]
    y = [round(fmean(of[query] for of in of_seeds), 9) for query in shared]
    if len(set(x)) == 1 or len(set(y)) == 1:
        return nan, len(shared)
    function = stats.spearmanr if row.method == "spearman" else stats.pearsonr
    return float(function(x, y).statistic), len(shared)


@cache
def _predictor(teacher: Path, runs: tuple[Path, ...], depth: int, fitted: float) -> dict[str, float]:
    """Entropy of the teacher's preferences, or of ``runs`` the mean divergence, over its first candidates; in bits.

    The teacher's scores are divided by the temperature ``fitted``.
    """
    scores, found = [by_query(run) for run in runs], {}
    for query, rows in by_query(teacher).items():
        first = {document: score for document, (rank, score) in rows.items() if rank <= depth}
        own = np.array(list(first.values())) / fitted
        if len(own) < 2:
            continue
        if runs:
            others = [np.array([of[query][document][1] for document in first]) for of in scores]
            found[query] = fmean(round(_divergence(own, other), 9) for other in others)
        else:
            found[query] = float(entropies(own[None])[0])
    return found


def _divergence(own: np.ndarray, other: np.ndarray) -> float:
    """Of the softmax of a student's scores from that of the teacher's, in bits."""
    return float(special.rel_entr(special.softmax(own), special.softmax(other)).sum() / log(2))
