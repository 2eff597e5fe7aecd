"""Excess risk: how often a ranking orders two documents wrong, where every pair's true relevance is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from workflow_scripts.analysis.measure_names import EXCESS_RISK


def pairwise_risk(grades: np.ndarray, scores: np.ndarray) -> tuple[float, int]:
    """Share of a query's candidate pairs with different true grades that the scores order wrong, and their number.

    R(f) = (1 / |P|) sum over P = {(i, j): y_i > y_j} of 1[f_i < f_j] + 1[f_i = f_j] / 2, the pairwise 0-1 loss. The
    grades are certain, so sorting by them has risk 0 and R is the excess risk over the best ranker of the candidates;
    (1 - Somers' D of the scores given the grades) / 2. ``grades`` and ``scores``  # (docs,). NaN where P is empty.
    Bound by the comparisons, docs^2.
    """
    ordered = grades[:, None] > grades[None, :]  # (docs, docs), row above column
    gaps = (scores[:, None] - scores[None, :])[ordered]
    pairs = len(gaps)
    wrong = np.count_nonzero(gaps < 0) + np.count_nonzero(gaps == 0) / 2
    return (wrong / pairs if pairs else np.nan), pairs


def run_risks(run: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Excess risk of each query of a run that has a pair to order: query_id, measure, value, sorted by query_id.

    ``run``: query_id, doc_id, score; ``truth``: query_id, doc_id, relevance of *every* relevant pair, so that a pair
    which it does not list is known to have grade 0, not unknown.
    """
    graded = run.merge(truth, on=["query_id", "doc_id"], how="left").fillna({"relevance": 0}).sort_values("query_id")
    queries = graded["query_id"].to_numpy(dtype=object)
    bounds = np.append(np.flatnonzero(np.append(True, queries[1:] != queries[:-1])), len(queries))
    grades, scores = graded["relevance"].to_numpy(), graded["score"].to_numpy()
    rows = [(queries[start], *pairwise_risk(grades[start:end], scores[start:end])) for start, end in pairwise(bounds)]
    frame = pd.DataFrame(rows, columns=["query_id", "value", "pairs"]).assign(measure=EXCESS_RISK)
    return frame.loc[frame["pairs"] > 0, ["query_id", "measure", "value"]].reset_index(drop=True)
