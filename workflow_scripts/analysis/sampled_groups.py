"""Sampled groups as the analyses read them: arrays of equal groups, document ids and all, no token stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.groups import GroupTable, read_group_table


@dataclass(frozen=True)
class SampledGroups:
    """Groups of a sampler; column 0 is the positive.

    query_ids      # (groups,) text
    doc_ids        # (groups, docs) text
    probabilities  # (groups, docs - 1) of the negatives
    table          # the rows that they were read from
    """

    query_ids: np.ndarray
    doc_ids: np.ndarray
    probabilities: np.ndarray
    table: GroupTable

    def __len__(self) -> int:
        return len(self.query_ids)


def read_sampled_groups(manifest: str | Path) -> SampledGroups:
    """Read a groups artifact; :class:`InputError` where groups differ in size or a negative has no probability."""
    table = read_group_table(manifest, "probability")
    probabilities = table.rows["probability"].to_numpy().reshape(-1, table.size)[:, 1:]
    if np.isnan(probabilities).any():
        raise InputError(f"{manifest} has a negative without its drawing probability: draw the groups again")
    documents = table.rows["doc_id"].to_numpy().reshape(-1, table.size)
    return SampledGroups(table.query_ids.to_numpy(), documents, probabilities, table)


def read_labels(manifest: str | Path, groups: SampledGroups) -> np.ndarray:
    """Teacher scores of the same groups, float64  # (groups, docs); :class:`InputError` where they are of others."""
    return groups.table.labels(manifest, "score").astype(np.float64)


def read_entropies(manifest: str | Path, groups: SampledGroups) -> np.ndarray:
    """H of the same groups by a teacher's labels, in bits  # (groups,)."""
    return groups.table.entropies(manifest)


def true_grades(groups: SampledGroups, truth: pd.DataFrame) -> np.ndarray:
    """Grade of each document of each group  # (groups, docs); ``truth``: query_id, doc_id, relevance, others have 0."""
    size = groups.doc_ids.shape[1]
    pairs = pd.MultiIndex.from_arrays([np.repeat(groups.query_ids, size), groups.doc_ids.ravel()])
    grades = truth.set_index(["query_id", "doc_id"])["relevance"].reindex(pairs, fill_value=0)
    return grades.to_numpy().reshape(-1, size)


def count_positives(relevant: pd.DataFrame, query_ids: Sequence[str]) -> np.ndarray:
    """Relevant documents of each query  # (queries,) int; :class:`InputError` names a query without any."""
    counts = relevant.groupby("query_id").size().reindex(query_ids)
    if counts.isna().any():
        raise InputError(f"query {counts.index[counts.isna()][0]} has a group but no positive: draw the groups again")
    return counts.to_numpy(np.int64)
