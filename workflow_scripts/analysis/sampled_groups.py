"""Sampled groups as the analyses read them: arrays of equal groups, document ids and all, no token stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table


@dataclass(frozen=True)
class SampledGroups:
    """Groups of a sampler; column 0 is the positive.

    query_ids      # (groups,) text
    doc_ids        # (groups, docs) text
    probabilities  # (groups, docs - 1) of the negatives
    """

    query_ids: np.ndarray
    doc_ids: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.query_ids)


def read_sampled_groups(manifest: str | Path) -> SampledGroups:
    """Read a groups artifact; :class:`InputError` where groups differ in size or a negative has no probability."""
    frame = read_table(Artifact(manifest).file("groups.parquet"), ["query_id", "position", "doc_id", "probability"])
    size = _group_size(frame, manifest)
    probabilities = frame["probability"].to_numpy(np.float64).reshape(-1, size)[:, 1:]
    if np.isnan(probabilities).any():
        raise InputError(f"{manifest} has a negative without its drawing probability: draw the groups again")
    queries, documents = (frame[name].to_numpy(dtype=object).reshape(-1, size) for name in ("query_id", "doc_id"))
    return SampledGroups(queries[:, 0], documents, probabilities)


def read_labels(manifest: str | Path, groups: SampledGroups) -> np.ndarray:
    """Teacher scores of the same groups, float64  # (groups, docs); :class:`InputError` where they are of others."""
    frame = read_table(Artifact(manifest).file("labels.parquet"), ["query_id", "doc_id", "score"])
    documents = groups.doc_ids.ravel()
    same = len(frame) == len(documents) and (frame["doc_id"].to_numpy(dtype=object) == documents).all()
    queries = np.repeat(groups.query_ids, groups.doc_ids.shape[1])
    if not same or (frame["query_id"].to_numpy(dtype=object) != queries).any():
        raise InputError(f"{manifest} labels other groups than those it is read with: label the groups again")
    return frame["score"].to_numpy(np.float64).reshape(groups.doc_ids.shape)


def relevant_negatives(groups: SampledGroups, truth: pd.DataFrame) -> np.ndarray:
    """Negatives of each group that are truly relevant  # (groups,) int; ``truth``: query_id, doc_id, relevance > 0."""
    size = groups.doc_ids.shape[1]
    pairs = pd.MultiIndex.from_arrays([np.repeat(groups.query_ids, size - 1), groups.doc_ids[:, 1:].ravel()])
    relevant = truth.loc[truth["relevance"] > 0, ["query_id", "doc_id"]]
    found = pairs.isin(pd.MultiIndex.from_frame(relevant))
    return found.reshape(-1, size - 1).sum(axis=1)


def count_positives(positives: pd.DataFrame, query_ids: Sequence[str]) -> np.ndarray:
    """Relevant documents of each query  # (queries,) int; :class:`InputError` names a query without any."""
    counts = positives.groupby("query_id").size().reindex(query_ids)
    if counts.isna().any():
        raise InputError(f"query {counts.index[counts.isna()][0]} has a group but no positive: draw the groups again")
    return counts.to_numpy(np.int64)


def _group_size(frame: pd.DataFrame, manifest: str | Path) -> int:
    positions = frame["position"].to_numpy()
    size = int(positions.max(initial=-1)) + 1
    whole = size > 1 and len(positions) % size == 0
    if not whole or (positions.reshape(-1, size) != np.arange(size)).any():
        raise InputError(f"{manifest} does not hold groups of one size, sorted by query and position: make it again")
    queries = frame["query_id"].to_numpy(dtype=object).reshape(-1, size)
    if (queries != queries[:, :1]).any():
        raise InputError(f"{manifest} holds a group of two queries: make it again")
    return size
