"""Tables sorted by query, read in step with a sorted list of queries, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.storage.errors import InputError

BATCH_ROWS = 65_536


class QueryRows:
    """The rows of one query after the other, of a Parquet table sorted by ``query_id``.

    Memory holds one batch of rows and one query's. ``row_groups`` restricts the reading to some row groups, ``depth``
    to rows of at most that ``rank``.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str],
        *,
        row_groups: Sequence[int] | None = None,
        depth: int | None = None,
    ) -> None:
        self._path, self._columns, self._depth = path, list(columns), depth
        self._groups = self._read(row_groups)
        self._query, self._values = next(self._groups, (None, None))

    def take(self, query_id: str) -> list[list]:
        """The columns' values for ``query_id``, empty where it has no row; queries are asked for in sorted order.

        Queries that are not asked for are passed over. Raises :class:`InputError` where the table is not sorted.
        """
        while self._query is not None and self._query < query_id:
            last = self._query
            self._query, self._values = next(self._groups, (None, None))
            if self._query is not None and self._query < last:
                raise InputError(
                    f"{self._path} is not sorted by query_id ({self._query} follows {last}): make it again"
                )
        return self._values if self._query == query_id else [[] for _ in self._columns]

    def _read(self, row_groups: Sequence[int] | None) -> Iterator[tuple[str, list[list]]]:
        columns = ["query_id", *self._columns, *(["rank"] if self._depth is not None else [])]
        file = pq.ParquetFile(self._path)
        waiting: tuple[str, list[list]] | None = None
        for batch in file.iter_batches(BATCH_ROWS, row_groups=row_groups, columns=list(dict.fromkeys(columns))):
            rows = pa.Table.from_batches([batch])
            if self._depth is not None:
                rows = rows.filter(pc.less_equal(rows["rank"], self._depth))
            for query_id, values in _runs(rows, self._columns):
                if waiting and waiting[0] == query_id:  # a query may span batches
                    for column, more in zip(waiting[1], values, strict=True):
                        column.extend(more)
                    continue
                if waiting:
                    yield waiting
                waiting = query_id, values
        if waiting:
            yield waiting


def _runs(rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str, list[list]]]:
    """Each run of one query's rows: its id and the columns' values."""
    if not len(rows):
        return
    encoded = pc.run_end_encode(rows["query_id"].combine_chunks())
    values = [rows[name].to_pylist() for name in columns]
    start = 0
    for query_id, end in zip(encoded.values.to_pylist(), encoded.run_ends.to_pylist(), strict=True):
        yield query_id, [column[start:end] for column in values]
        start = end
