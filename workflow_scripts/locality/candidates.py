"""Candidates of test queries as a teacher scores them, and how a student's scores of the same candidates differ."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.runs import run_on


class TeacherCandidates:
    """The first ``depth`` documents of a teacher's run for each judged query of one collection that has two or more.

    Scores are divided by the teacher's ``temperature``, as its labels are: students learn from those.
    """

    def __init__(
        self, runs: Sequence[Path], collection: str, depth: int, judged: Collection[str], temperature: float = 1.0
    ) -> None:
        run = run_on(collection, runs)
        run = run[(run["rank"] <= depth) & run["query_id"].isin(judged)].sort_values(
            ["query_id", "rank"], kind="stable"
        )
        sizes = run.groupby("query_id", sort=False)["rank"].transform("size")
        rows = run.loc[sizes > 1, ["query_id", "doc_id", "score"]].reset_index(drop=True)
        self._rows = rows.assign(score=rows["score"] / temperature)
        self._collection = collection
        found = self._rows.groupby("query_id", sort=False).size()
        self._sizes = found.to_numpy()
        self.queries: list[str] = found.index.tolist()
        """Judged queries with a candidate pair, the order of every array here."""

    def entropy(self) -> np.ndarray:
        """Teacher entropy H(g) of each query's candidates, in bits to nine decimals  # (queries,)."""
        return self._per_query(pairwise_entropy, self._rows["score"].to_numpy()).round(9)

    def divergence(self, runs: Sequence[Path]) -> np.ndarray:
        """KL(teacher || student) over each query's candidates, in bits to nine decimals  # (queries,).

        What is below is rounding: a student that is the teacher has 0 everywhere, and no correlation. Raises
        :class:`InputError` for a candidate that the student's run lacks.
        """
        run = run_on(self._collection, runs)[["query_id", "doc_id", "score"]]
        joined = self._rows.merge(run, on=["query_id", "doc_id"], how="left", suffixes=("", "_student"))
        missing = joined["score_student"].isna()
        if missing.any():
            row = joined[missing].iloc[0]
            raise InputError(
                f"{runs[0]} has no score of query {row.query_id}, document {row.doc_id}, on {self._collection}, "
                "the teacher's run has: re-rank the same candidates with both"
            )
        scores = joined["score"].to_numpy(), joined["score_student"].to_numpy()
        return self._per_query(listwise_divergence, *scores).round(9)

    def _per_query(self, function: Callable[..., np.ndarray], *scores: np.ndarray) -> np.ndarray:
        """Apply ``function`` to matrices (queries, docs) of all queries with equally many candidates at a time."""
        result = np.empty(len(self._sizes))
        for where, rows in self._by_size():
            result[where] = function(*(values[rows] for values in scores))
        return result

    def _by_size(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places of the queries of each size, and of their rows  # (queries, docs)."""
        starts = np.cumsum(self._sizes) - self._sizes
        for size in np.unique(self._sizes):
            where = np.flatnonzero(self._sizes == size)
            yield where, starts[where][:, None] + np.arange(size)


def listwise_divergence(teacher: np.ndarray, student: np.ndarray) -> np.ndarray:
    """KL(softmax(g) || softmax(f)) of each group, in bits; ``teacher`` g, ``student`` f  # (groups, docs) -> (groups,).

    Of the scores as they are: it depends on the student's scale, which a loss such as LCE does not tie to the
    teacher's.
    """
    log_p, log_q = log_softmax(teacher, axis=1), log_softmax(student, axis=1)
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=1) / np.log(2)
