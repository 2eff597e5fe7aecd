"""Sampled groups and a teacher's labels of them on disk: their columns, and readers that refuse what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_arrow

KEYS = ("query_id", "position", "doc_id")
GROUPS_FILE, LABELS_FILE = "groups.parquet", "labels.parquet"
GROUPS_SCHEMA = pa.schema(
    [
        ("query_id", pa.string()),
        ("position", pa.int16()),
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float64()),
        ("probability", pa.float64()),
    ]
)
LABELS_SCHEMA = pa.schema(
    [*(GROUPS_SCHEMA.field(key) for key in KEYS), ("score", pa.float32()), ("entropy", pa.float64())]
)
"""``entropy``: H of the row's group in bits, the same in all rows of a query."""


@dataclass(frozen=True)
class GroupTable:
    """Rows of equal groups, one a query, the positive first. ``size``: documents a group."""

    manifest: str | Path
    rows: pa.Table
    size: int

    def __len__(self) -> int:
        return len(self.rows) // self.size

    @property
    def query_ids(self) -> pa.ChunkedArray:
        """Query of each group  # (groups,)."""
        return self.rows["query_id"].take(np.arange(0, len(self.rows), self.size))

    def labels(self, manifest: str | Path, column: str) -> np.ndarray:
        """A column of a teacher's labels of these very groups  # (groups, size).

        Raises :class:`InputError` for labels of other groups and for a value that is no finite number.
        """
        table = read_arrow(Artifact(manifest).file(LABELS_FILE), [*KEYS, column])
        if not all(table[key].equals(self.rows[key]) for key in KEYS):
            raise InputError(f"{manifest} labels other groups than those of {self.manifest}: label these groups")
        values = table[column].to_numpy()
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            query_id, doc_id = (table[key][int(wrong[0])].as_py() for key in ("query_id", "doc_id"))
            raise InputError(
                f"{manifest} has the {column} {values[wrong[0]]} for query {query_id}, document {doc_id}: "
                "label these groups again"
            )
        return values.reshape(len(self), self.size)

    def entropies(self, manifest: str | Path) -> np.ndarray:
        """H of each group by a teacher's labels of these very groups, in bits  # (groups,)."""
        return self.labels(manifest, "entropy")[:, 0]


def read_group_table(manifest: str | Path, *columns: str) -> GroupTable:
    """The rows of a groups artifact, :data:`KEYS` and ``columns``.

    Raises :class:`InputError`, naming the query, where groups differ in size, or a query has two groups.
    """
    rows = read_arrow(Artifact(manifest).file(GROUPS_FILE), [*KEYS, *columns])
    if not len(rows):
        raise InputError(f"{manifest} holds no group: does the collection have training pairs?")
    positions = rows["position"].to_numpy()
    size = int(positions.max()) + 1
    encoded = rows["query_id"].combine_chunks().dictionary_encode()
    queries = encoded.indices.to_numpy(zero_copy_only=False)  # numbered as they first come
    expected = np.arange(len(rows))
    aligned = (positions == expected % size).all() and (queries == expected // size).all()
    if aligned and len(rows) % size == 0:
        return GroupTable(manifest, rows, size)
    counts = np.bincount(queries)
    small = np.flatnonzero(counts != size)
    if len(small):
        query = encoded.dictionary[int(small[0])].as_py()
        raise InputError(
            f"{manifest}: the group of query {query} has {counts[small[0]]} documents, others have {size}: "
            "draw equally many negatives for each query"
        )
    raise InputError(f"{manifest} is not sorted by query and position: make it again")


def read_entropies(labels: str | Path) -> tuple[list[str], np.ndarray]:
    """Queries of the labelled groups, and H of each in bits  # (groups,)."""
    table = read_arrow(Artifact(labels).file(LABELS_FILE), ["query_id", "position", "entropy"])
    first = table.filter(pc.equal(table["position"], 0))
    return first["query_id"].to_pylist(), first["entropy"].to_numpy()
