"""Rankings: what a retrieval system lists for each query, one or more systems in an artifact."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

RANKING_FILE = "ranking.parquet"
RANKING_SCHEMA = pa.schema(
    [
        ("system", pa.dictionary(pa.int32(), pa.string())),
        ("query_id", pa.string()),
        ("doc_id", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float64()),
    ]
)
"""Rows sorted by (system, query_id, rank), ranks from 1; ``score`` is null where the source publishes none."""


def read_ranking(manifest: str | Path, depth: int | None = None) -> pd.DataFrame:
    """Read a ranking artifact: system, query_id, doc_id, rank, score (NaN where unknown), sorted.

    ``depth`` keeps the first so many ranks. Raises :class:`InputError` where the artifact holds no ranking.
    """
    path = Artifact(manifest).file(RANKING_FILE)
    filters = None if depth is None else [("rank", "<=", depth)]
    try:
        table = pq.read_table(path, columns=RANKING_SCHEMA.names, filters=filters)
    except (pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"{path} is not a ranking ({error}): delete {manifest} to make it again") from None
    return table.to_pandas()


def systems(manifest: str | Path) -> list[str]:
    """Names of the systems in a ranking artifact, sorted."""
    return list(row_groups(manifest))


def row_groups(manifest: str | Path) -> dict[str, list[int]]:
    """The Parquet row groups that hold each system's rows: :class:`RankingWriter` never mixes systems in one."""
    metadata = pq.read_metadata(Artifact(manifest).file(RANKING_FILE))
    groups: dict[str, list[int]] = {}
    for number in range(metadata.num_row_groups):
        statistics = metadata.row_group(number).column(RANKING_SCHEMA.get_field_index("system")).statistics
        if statistics is None or not statistics.has_min_max or statistics.min != statistics.max:
            raise InputError(f"{manifest}: row group {number} is not of one system: make the ranking again")
        groups.setdefault(statistics.min, []).append(number)
    return dict(sorted(groups.items()))


OWN_FIRST = "own_document_first"
"""Count of the queries of :func:`finds_itself`; there where there are some."""


def finds_itself(query_id: str, documents: Sequence[str], scores: np.ndarray | None) -> bool:
    """Whether no document scores above the one that has the query's own id; ``documents`` are best first."""
    if query_id not in documents:
        return False
    place = documents.index(query_id)
    return place == 0 or (scores is not None and bool(scores[place] == scores[0]))


def say_own_first(name: str, number: int, of: int) -> None:
    """Print, where there are any, how many queries of a system's or a collection's find their own id first."""
    if number:
        print(
            f"{name}: {number:,} of {of:,} queries find the document of their own id first: where that is the query "
            "itself, set remove_query: true for the collection",
            file=sys.stderr,
            flush=True,
        )


class RankingWriter:
    """Write ``ranking.parquet`` query by query; the caller adds systems, and queries of a system, in sorted order.

    ``flush`` ends a row group, so memory holds what was added since; ``counts`` are of all that was added. Raises
    :class:`InputError` for a document listed twice for a query, and for systems or queries out of order.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = pq.ParquetWriter(path, RANKING_SCHEMA, compression="zstd")
        self.counts = {"queries": 0, "hits": 0, "queries_without_results": 0}
        self._last = ("", "")
        self._queries: list[tuple[str, int]] = []
        self._documents: list[str] = []
        self._scores: list[np.ndarray] = []

    def __enter__(self) -> RankingWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self.flush()
        self._file.close()

    def add(self, system: str, query_id: str, documents: Sequence[str], scores: np.ndarray | None) -> None:
        """Add one query's documents, best first; ``scores`` None where the source publishes none."""
        if (system, query_id) <= self._last:
            raise InputError(f"query {query_id} of {system} follows {self._last}: sort systems and queries, each once")
        if len(set(documents)) != len(documents):
            raise InputError(f"system {system} lists a document twice for query {query_id}")
        if system != self._last[0]:
            self.flush()
        self._last = (system, query_id)
        self._queries.append((query_id, len(documents)))
        self._documents.extend(documents)
        self._scores.append(np.full(len(documents), np.nan) if scores is None else scores)
        self.counts["queries"] += 1
        self.counts["hits"] += len(documents)
        self.counts["queries_without_results"] += not documents
        if finds_itself(query_id, documents, scores):
            self.counts[OWN_FIRST] = self.counts.get(OWN_FIRST, 0) + 1

    def flush(self) -> None:
        """Write what was added as one row group."""
        if self._documents:
            lengths = np.array([length for _, length in self._queries])
            starts = np.repeat(lengths.cumsum() - lengths, lengths)
            table = pa.table(
                {
                    "system": pa.DictionaryArray.from_arrays(np.zeros(len(starts), np.int32), [self._last[0]]),
                    "query_id": np.repeat(np.array([query for query, _ in self._queries], dtype=object), lengths),
                    "doc_id": self._documents,
                    "rank": (np.arange(len(starts)) - starts + 1).astype(np.int32),
                    "score": pa.array(np.concatenate(self._scores), from_pandas=True),
                },
                schema=RANKING_SCHEMA,
            )
            self._file.write_table(table, row_group_size=len(starts))
        self._queries, self._documents, self._scores = [], [], []
