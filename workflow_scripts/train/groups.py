"""Training groups as arrays: a query, its positive and its negatives, by row of the token stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.storage.tables import read_arrow

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ["query_id", "position", "doc_id"]


class Rows(Protocol):
    """What is asked of a token store here: the rows of ids, an :class:`InputError` for an unknown one."""

    def rows(self, ids: object) -> np.ndarray: ...


@dataclass(frozen=True)
class Groups:
    """Training groups; column 0 is the positive.

    query_rows     # (groups,) int64, rows of the query store
    document_rows  # (groups, docs) int64, rows of the document store
    teacher        # (groups, docs) float32, the teacher's scores; None without labels
    """

    query_rows: np.ndarray
    document_rows: np.ndarray
    teacher: np.ndarray | None

    def __len__(self) -> int:
        return len(self.query_rows)


def read_groups(
    groups: str | Path, queries: Rows, documents: Rows, *, group_size: int, labels: str | Path | None = None
) -> Groups:
    """Read the groups artifact (and the teacher's labels of the same groups) against two token stores.

    Raises :class:`InputError`, naming the query, where a group has not ``group_size`` documents, a label is missing or
    not a number, or a query or document is in no store.
    """
    table = read_arrow(Artifact(groups).file("groups.parquet"), KEYS)
    if not len(table):
        raise InputError(f"{groups} holds no group: does the collection have training pairs?")
    _check_sizes(table, group_size, groups)
    teacher = None if labels is None else _teacher_scores(table, labels).reshape(-1, group_size)
    firsts = np.arange(0, len(table), group_size)
    query_rows = np.asarray(queries.rows(table["query_id"].take(firsts)))
    document_rows = np.asarray(documents.rows(table["doc_id"])).reshape(-1, group_size)
    return Groups(query_rows, document_rows, teacher)


def _check_sizes(table: pa.Table, group_size: int, groups: str | Path) -> None:
    positions = table["position"].to_numpy()
    encoded = table["query_id"].combine_chunks().dictionary_encode()
    queries = encoded.indices.to_numpy(zero_copy_only=False)  # numbered as they first come
    expected = np.arange(len(table))
    aligned = (positions == expected % group_size).all() and (queries == expected // group_size).all()
    if aligned and len(table) % group_size == 0:
        return
    for query_id, part in table.to_pandas().groupby("query_id", sort=True)["position"]:
        if sorted(part) != list(range(group_size)):
            raise InputError(
                f"the group of query {query_id} in {groups} has {len(part)} documents, not 1 + {group_size - 1}: "
                f"sample {group_size - 1} negatives or set group_size to {len(part)}"
            )
    raise InputError(f"{groups} is not sorted by query and position: make it again")


def _teacher_scores(table: pa.Table, labels: str | Path) -> np.ndarray:
    """Scores in the order of the groups' rows, (rows,) float32."""
    scored = read_arrow(Artifact(labels).file("labels.parquet"), [*KEYS, "score"])
    if all(scored[key].equals(table[key]) for key in KEYS):
        scores = scored["score"].to_numpy().astype(np.float32)
    else:
        merged = table.to_pandas().merge(scored.to_pandas(), how="left", on=KEYS)
        if len(merged) != len(table):
            raise InputError(f"{labels} scores a pair twice: make it again")
        scores = merged["score"].to_numpy(np.float32)
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        query_id, doc_id = (table[key][int(wrong[0])].as_py() for key in ("query_id", "doc_id"))
        raise InputError(
            f"{labels} has no teacher score for query {query_id}, document {doc_id}: label these groups again"
        )
    return scores


def group_order(groups: int, needed: int, order_seed: int) -> np.ndarray:
    """Which group is trained on when, (needed,) int64: every epoch a new permutation, the last one cut.

    An epoch's permutation depends on (``order_seed``, epoch) alone.
    """
    epochs = -(-needed // groups)
    order = [
        np.random.default_rng(derive_seed(order_seed, "epoch", epoch)).permutation(groups) for epoch in range(epochs)
    ]
    return np.concatenate(order)[:needed] if order else np.empty(0, np.int64)
