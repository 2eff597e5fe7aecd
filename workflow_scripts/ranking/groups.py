"""Training groups as arrays: a query, its positive and its negatives, by row of the token stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from workflow_scripts.storage.artifacts import Artifact, InputError, derive_seed
from workflow_scripts.storage.tables import read_table

if TYPE_CHECKING:
    import pandas as pd


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
    frame = read_table(Artifact(groups).file("groups.parquet"), ["query_id", "position", "doc_id"])
    if not len(frame):
        raise InputError(f"{groups} holds no group: does the collection have training pairs?")
    _check_sizes(frame, group_size, groups)
    teacher = None if labels is None else _teacher_scores(frame, labels).reshape(-1, group_size)
    query_rows = np.asarray(queries.rows(frame["query_id"].iloc[::group_size].reset_index(drop=True)))
    document_rows = np.asarray(documents.rows(frame["doc_id"])).reshape(-1, group_size)
    return Groups(query_rows, document_rows, teacher)


def _check_sizes(frame: pd.DataFrame, group_size: int, groups: str | Path) -> None:
    positions = frame["position"].to_numpy()
    starts = np.flatnonzero(positions == 0)
    whole = (
        len(positions) == len(starts) * group_size and (positions.reshape(-1, group_size) == range(group_size)).all()
    )
    if whole and frame["query_id"].iloc[starts].is_unique:
        query_ids = frame["query_id"].to_numpy().reshape(-1, group_size)
        if (query_ids == query_ids[:, :1]).all():
            return
    for query_id, part in frame.groupby("query_id", sort=True)["position"]:
        if sorted(part) != list(range(group_size)):
            raise InputError(
                f"the group of query {query_id} in {groups} has {len(part)} documents, not 1 + {group_size - 1}: "
                f"sample {group_size - 1} negatives or set group_size to {len(part)}"
            )
    raise InputError(f"{groups} is not sorted by query and position: make it again")


def _teacher_scores(frame: pd.DataFrame, labels: str | Path) -> np.ndarray:
    """Scores in the order of the groups' rows, (rows,) float32."""
    import pandas as pd

    keys = ["query_id", "position", "doc_id"]
    scored = read_table(Artifact(labels).file("labels.parquet"), [*keys, "score"])
    if len(scored) != len(frame) or not all((scored[key].array == frame[key].array).all() for key in keys):
        scored = frame.merge(scored, how="left", on=keys)
        if len(scored) != len(frame):
            raise InputError(f"{labels} scores a pair twice: make it again")
    scores = pd.to_numeric(scored["score"]).to_numpy(np.float32)
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        row = frame.iloc[wrong[0]]
        raise InputError(
            f"{labels} has no teacher score for query {row.query_id}, document {row.doc_id}: label these groups again"
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
