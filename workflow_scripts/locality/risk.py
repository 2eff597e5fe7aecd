"""Excess risk: how often a ranking orders two documents wrong, where every pair's true relevance is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.analysis.query_values import RankerKey
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.runs import read_run
from workflow_scripts.storage.tables import read_table

EXCESS_RISK = "excess risk"
"""What the column ``measure`` holds; lower is better."""


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
    """Risk of each query of a run that has a pair to order: query_id, risk, pairs, sorted by query_id.

    ``run``: query_id, doc_id, score; ``truth``: query_id, doc_id, relevance of *every* relevant pair, so that a pair
    which it does not list is known to have grade 0, not unknown.
    """
    graded = run.merge(truth, on=["query_id", "doc_id"], how="left").fillna({"relevance": 0}).sort_values("query_id")
    queries = graded["query_id"].to_numpy(dtype=object)
    bounds = np.append(np.flatnonzero(np.append(True, queries[1:] != queries[:-1])), len(queries))
    grades, scores = graded["relevance"].to_numpy(), graded["score"].to_numpy()
    rows = [(queries[start], *pairwise_risk(grades[start:end], scores[start:end])) for start, end in pairwise(bounds)]
    frame = pd.DataFrame(rows, columns=["query_id", "risk", "pairs"])
    return frame[frame["pairs"] > 0].reset_index(drop=True)


class RiskValues:
    """Excess risk per query of every ranker on the collections whose truth is known.

    Looked up as :class:`~workflow_scripts.analysis.query_values.QueryValues`: complete or refused. ``rankers``:
    [student, loss, sampler, teacher, seed], as many as the manifests ``runs`` and in their order (BM25 is ["bm25", "",
    "", "", null]); ``collections``: id to manifest. One run is in memory at a time; bound by reading them.
    """

    def __init__(self, rankers: Sequence[Sequence], runs: Sequence[str | Path], collections: Mapping) -> None:
        if len(rankers) != len(runs):
            raise InputError(f"the spec names {len(rankers)} runs and {len(runs)} are given: one manifest each")
        self._values: dict[tuple, np.ndarray] = {}
        self.left_out: dict[str, tuple[int, int]] = {}
        """Collection to its queries without a pair of candidates to order, and all of its queries."""
        for name, manifest in collections.items():
            artifact = Artifact(manifest)
            if "truth.parquet" not in artifact:
                continue
            truth = read_table(artifact.file("truth.parquet"), ["query_id", "doc_id", "relevance"])
            measured = self._measure(name, truth, rankers, runs)
            total = pq.read_metadata(artifact.file("queries.parquet")).num_rows
            self.left_out[name] = (total - measured, total)

    def _measure(self, collection: str, truth: pd.DataFrame, rankers: Sequence, runs: Sequence[str | Path]) -> int:
        """Measure every run on a collection; the number of queries that have a risk."""
        first = pd.DataFrame(columns=["query_id", "pairs"])
        for place, (ranker, manifest) in enumerate(zip(rankers, runs, strict=True)):
            found = run_risks(read_run(Artifact(manifest).file(f"{collection}.run.gz")), truth)
            first = first if place else found
            if not found[["query_id", "pairs"]].equals(first[["query_id", "pairs"]]):
                raise InputError(f"{manifest} ranks other candidates of {collection} than {runs[0]}: re-rank the same")
            self._values[(*_key(ranker), collection)] = found["risk"].to_numpy()
        return len(first)

    def __contains__(self, collection: str) -> bool:
        return collection in self.left_out

    def seeds(self, ranker: RankerKey) -> list[int | None]:
        """Seeds that a ranker was measured with; ``[None]`` for one without seeds."""
        seeds = {key[4] for key in self._values if key[:4] == tuple(ranker)}
        if not seeds:
            raise InputError(
                f"there is no run of {_name((*ranker, None))} to take its {EXCESS_RISK} from: list it among the runs"
            )
        return sorted(seeds, key=lambda seed: -1 if seed is None else seed)

    def of(self, ranker: RankerKey, seeds: Sequence[int | None], collection: str, measure: str) -> np.ndarray:
        """Risks of a ranker on each query, averaged over its seeds  # (queries,); ``measure`` is EXCESS_RISK."""
        try:
            return np.mean([self._values[(*ranker, seed, collection)] for seed in seeds], axis=0)
        except KeyError as error:
            name = _name(error.args[0])
            raise InputError(f"the runs lack {name} on {collection}: list its run to measure its {measure}") from None


def _key(ranker: Sequence) -> tuple:
    *texts, seed = ranker
    return (*texts, None if seed is None else int(seed))


def _name(key: Sequence) -> str:
    return " ".join(f"{name}={value}" for name, value in zip(KEYS, key, strict=False) if value not in (None, ""))
