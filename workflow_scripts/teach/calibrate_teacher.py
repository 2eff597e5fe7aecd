"""Calibrate a teacher: the temperature at which its score differences are the log-odds of development judgements.

Its labels are divided by it, so that H of a group means the same whichever teacher labels it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table
from workflow_scripts.teach.pools import SCORES_FILE


def calibrate_teacher(*, spec: Mapping, scores: Sequence[Path], collection: Path, output: Path) -> None:
    """Write an artifact whose counts hold ``temperature``, and the pairs and queries that it was fitted on.

    ``scores``: manifests of the scored pools of a development ``collection``'s candidates; a candidate that is not
    judged, or judged below 0, is not relevant. ``bits`` and ``bits_before``: mean surprise of a pair's order with and
    without the temperature; a coin toss has 1.
    """
    margins, weights, queries = read_margins(scores, collection)
    inverse = fit_inverse_temperature(margins, weights, f"the scores of {', '.join(map(str, scores))}")
    with ArtifactWriter(output, kind="calibrations", spec=spec) as writer:
        writer.counts |= {"temperature": 1 / inverse, "pairs": len(margins), "queries": queries}
        for name, value in (("bits", inverse), ("bits_before", 1.0)):
            writer.counts[name] = float(weights @ np.logaddexp(0, -value * margins) / np.log(2))


def read_margins(scores: Sequence[Path], collection: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Score of the better less that of the worse, for each pair of a query's candidates of different grades.

    With each pair's weight, all queries alike and 1 in all, both  # (pairs,), and the number of queries.
    """
    pairs = pd.concat([read_table(Artifact(path).file(SCORES_FILE)) for path in scores])
    qrels = read_table(Artifact(collection).file("qrels.parquet"))
    judged = pairs.merge(qrels, on=["query_id", "doc_id"], how="left").fillna({"relevance": 0})
    # TREC marks junk by grades below 0: it is not relevant, as what is not judged.
    judged["relevance"] = judged["relevance"].clip(lower=0)
    judged = judged.drop_duplicates(["query_id", "doc_id"]).sort_values(["query_id", "doc_id"])
    margins = list(_margins(judged))
    if not margins:
        raise InputError(f"no query of {collection} has candidates of different grades: make its pool deeper")
    weights = np.concatenate([np.full(len(each), 1 / (len(each) * len(margins))) for each in margins])
    return np.concatenate(margins), weights, len(margins)


def _margins(judged: pd.DataFrame) -> Iterator[np.ndarray]:
    for _, query in judged.groupby("query_id"):
        score, grade = query["score"].to_numpy(dtype=float), query["relevance"].to_numpy()
        better, worse = np.nonzero(grade[:, None] > grade[None, :])
        if len(better):
            yield score[better] - score[worse]


def fit_inverse_temperature(margins: np.ndarray, weights: np.ndarray, what: str) -> float:
    """The b > 0 of largest likelihood of all pairs' orders: of ``sum weights log sigma(b margins)``, which is concave.

    Raises :class:`InputError` where there is none: no margin points the right way on average, or all do.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    def slope(inverse: float) -> float:
        return float(weights @ (margins * expit(-inverse * margins)))

    if slope(0) <= 0:
        raise InputError(f"{what} order judged pairs no better than chance: set the teacher's calibrate to null")
    if margins.min() >= 0:
        raise InputError(f"{what} order every judged pair rightly: no temperature fits, take more queries")
    high = 1.0
    while slope(high) > 0:
        high *= 2
    return float(brentq(slope, 0, high, xtol=1e-12, rtol=1e-12))


if __name__ == "__main__":
    run(calibrate_teacher)
