"""Training groups as arrays: a query, its positive and its negatives, by row of the token stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from workflow_scripts.analysis.cut_names import RANDOM
from workflow_scripts.analysis.cuts import TUKEY, keep, keep_random, too_few
from workflow_scripts.models.folds import folds_of
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed

if TYPE_CHECKING:
    from workflow_scripts.models.token_store import TokenStore
    from workflow_scripts.storage.groups import GroupTable


class Rows(Protocol):
    """What is asked of a token store here: the rows of ids, an :class:`InputError` for an unknown one.

    A fold is of a whole store.
    """

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


@dataclass(frozen=True)
class Positives:
    """All documents that are judged relevant to each query, of a group or not: no in-batch negatives of it.

    starts         # (queries + 1,) int64: those of query row n are document_rows[starts[n]:starts[n + 1]]
    document_rows  # (pairs,) int64, rows of the document store
    """

    starts: np.ndarray
    document_rows: np.ndarray

    def of(self, query_row: int) -> np.ndarray:
        """Rows of a query's relevant documents."""
        return self.document_rows[self.starts[query_row] : self.starts[query_row + 1]]


def read_positives(collection: str | Path, queries: TokenStore, documents: TokenStore) -> Positives:
    """The positives of a collection (its manifest), and what it spares, against two token stores."""
    from workflow_scripts.storage.documents import read_shut_out

    pairs = read_shut_out(collection)
    query_rows, document_rows = queries.rows(pairs["query_id"]), documents.rows(pairs["doc_id"])
    counts = np.bincount(query_rows, minlength=len(queries))
    return Positives(np.append(0, np.cumsum(counts)), document_rows[np.argsort(query_rows, kind="stable")])


def read_groups(
    groups: str | Path,
    queries: Rows,
    documents: Rows,
    *,
    group_size: int,
    labels: str | Path | None = None,
    reads_teacher: bool = True,
    cut: Mapping | None = None,
    fold: Mapping | None = None,
) -> Groups:
    """Read the groups artifact (and the teacher's labels of the same groups) against two token stores.

    ``cut``: the name of a ``cut``, the number ``at_least`` of queries to keep, of outliers the ``fence`` and of a
    random cut the ``seed``; the groups of all other queries are left out, by the entropies of the labels. Without
    ``reads_teacher`` nothing else is read of these. ``fold``: of how many parts ``of`` the queries the one ``left_out``
    is not read, see :func:`~workflow_scripts.models.folds.folds_of`. Raises :class:`InputError`, naming the query,
    where a group has not ``group_size`` documents, a label is missing or not a number, or a query or document is in no
    store, and :class:`TooFewQueries` for a cut that keeps too few.
    """
    # The GPU's bench trains on groups of its own, on a machine that may lack pyarrow.
    from workflow_scripts.storage.groups import read_group_table

    table = read_group_table(groups)
    if table.size != group_size:
        raise InputError(
            f"{groups} has groups of {table.size} documents, not 1 + {group_size - 1}: "
            f"sample {group_size - 1} negatives or set group_size to {table.size}"
        )
    query_rows = np.asarray(queries.rows(table.query_ids))
    kept = np.ones(len(table), dtype=bool) if cut is None else _kept(table, labels, cut)
    if fold is not None:
        kept = kept & _outside_fold(cast("TokenStore", queries), query_rows, groups, **fold)
    teacher = table.labels(labels, "score").astype(np.float32)[kept] if labels and reads_teacher else None
    document_rows = np.asarray(documents.rows(table.rows["doc_id"])).reshape(-1, group_size)
    return Groups(query_rows[kept], document_rows[kept], teacher)


class TooFewQueries(InputError):
    """A cut keeps fewer queries than the study asks for: nothing is trained on it."""


def _kept(table: GroupTable, labels: str | Path | None, cut: Mapping) -> np.ndarray:  # (groups,)
    name, at_least = cut["cut"], cut["at_least"]
    if name in RANDOM:
        kept = keep_random(table.query_ids.to_pylist(), name, cut["seed"])
        if kept.sum() < at_least:
            raise TooFewQueries(f"the cut {name} keeps {kept.sum()} of {len(kept)} queries, not at least {at_least}")
        return kept
    if labels is None:
        raise InputError(f"the cut {name} is by the teacher's entropy: give the groups' labels")
    entropy, fence = table.entropies(labels), cut.get("fence", TUKEY)
    kept = keep(entropy, name, fence)
    if kept.sum() < at_least:
        raise TooFewQueries(too_few(entropy, name, fence, at_least, table.manifest))
    return kept


def _outside_fold(
    queries: TokenStore, rows: np.ndarray, groups: str | Path, of: int, left_out: int
) -> np.ndarray:  # (groups,)
    kept = folds_of(queries, rows, of) != left_out
    if kept.all() or not kept.any():
        raise InputError(f"{groups}: {len(kept)} queries are too few for {of} folds; lower the teacher's folds")
    return kept


def group_order(groups: int, needed: int, order_seed: int) -> np.ndarray:
    """Which group is trained on when, (needed,) int64: every epoch a new permutation, the last one cut.

    An epoch's permutation depends on (``order_seed``, epoch) alone.
    """
    epochs = -(-needed // groups)
    order = [
        np.random.default_rng(derive_seed(order_seed, "epoch", epoch)).permutation(groups) for epoch in range(epochs)
    ]
    return np.concatenate(order)[:needed] if order else np.empty(0, np.int64)
