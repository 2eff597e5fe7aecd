"""Sets of (query, document) pairs as integers, and scored pools on disk.

A pair's code is ``query_row * documents + document_row`` (int64) in the rows of two token stores, whose ids are sorted:
codes in ascending order are pairs sorted by (query_id, doc_id). A pair takes eight bytes, so MS MARCO's 80 million fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError, one_line
from workflow_scripts.storage.rankings import RANKING_FILE

SCORES_FILE = "scores.parquet"
SCORES_SCHEMA = pa.schema([("query_id", pa.string()), ("doc_id", pa.string()), ("score", pa.float32())])
ROW_GROUP = 2**20


class PairCodes:
    """Translates ids to codes and back for one store of queries and one of documents."""

    def __init__(self, queries: TokenStore, documents: TokenStore) -> None:
        if queries.vocabulary != documents.vocabulary:
            raise InputError(f"{queries} and {documents} have different vocabularies: tokenise both with one backbone")
        self.queries, self.documents = queries, documents

    def encode(self, query_ids: object, doc_ids: object) -> np.ndarray:
        """Codes of pairs; :class:`InputError` for an id that a store lacks."""
        return self.queries.rows(query_ids) * len(self.documents) + self.documents.rows(doc_ids)

    def find(self, query_ids: object, doc_ids: object) -> np.ndarray:
        """As :meth:`encode`, with -1 for a pair of other queries or documents."""
        query_rows, document_rows = self.queries.find(query_ids), self.documents.find(doc_ids)
        codes = query_rows * len(self.documents) + document_rows
        return np.where((query_rows < 0) | (document_rows < 0), -1, codes)

    def rows(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Query rows and document rows of codes."""
        return np.divmod(codes, len(self.documents))

    def of_ranking(self, manifest: str | Path, depth: int) -> np.ndarray:
        """Distinct codes, sorted, of the first ``depth`` documents of each query and system of a ranking."""
        parts = [np.empty(0, np.int64)]
        for batch in _batches(Artifact(manifest).file(RANKING_FILE), ["query_id", "doc_id", "rank"]):
            top = batch.filter(pc.less_equal(batch["rank"], depth))
            parts.append(self.encode(top["query_id"], top["doc_id"]))
        return np.unique(np.concatenate(parts))

    def of_table(self, path: str | Path) -> np.ndarray:
        """Codes of the rows of a table with columns query_id and doc_id, in the table's order."""
        parts = [self.encode(batch["query_id"], batch["doc_id"]) for batch in _batches(path, ["query_id", "doc_id"])]
        return np.concatenate([np.empty(0, np.int64), *parts])


def read_pool(manifest: str | Path, codes: PairCodes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Codes and scores of a scored pool, part by part; a pair of other queries or documents has code -1."""
    for batch in _batches(Artifact(manifest).file(SCORES_FILE), SCORES_SCHEMA.names):
        yield codes.find(batch["query_id"], batch["doc_id"]), batch["score"].to_numpy()


def look_up(wanted: np.ndarray, pools: Sequence[str | Path], codes: PairCodes) -> np.ndarray:
    """Scores float32 of sorted distinct codes, NaN where no pool holds the pair; earlier pools go first.

    Bounded by reading the pools; memory holds ``wanted`` and one part of a pool.
    """
    scores = np.full(len(wanted), np.nan, np.float32)
    for pool in pools if len(wanted) else ():
        for found, values in read_pool(pool, codes):
            places = np.searchsorted(wanted, found).clip(max=len(wanted) - 1)
            fresh = (wanted[places] == found) & np.isnan(scores[places])
            scores[places[fresh]] = values[fresh]
    return scores


def check_teacher(models: Sequence[Path], pools: Sequence[Path]) -> None:
    """Raise :class:`InputError` unless every pool was scored by the models of these manifests."""
    identities = [Artifact(model).identity for model in models]
    for pool in pools:
        if [model["identity"] for model in Artifact(pool).manifest["inputs"].get("models", [])] != identities:
            named = ", ".join(map(str, models))
            raise InputError(f"{pool} was scored by another model than {named}: score the pool again")


class PoolWriter:
    """Writes ``scores.parquet`` of a pool part by part, sorted by (query_id, doc_id) as the codes come."""

    def __init__(self, path: str | Path, codes: PairCodes) -> None:
        self._codes = codes
        self._file = pq.ParquetWriter(path, SCORES_SCHEMA, compression="zstd")

    def __enter__(self) -> PoolWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, codes: np.ndarray, scores: np.ndarray) -> None:
        """Append sorted codes and their scores."""
        query_rows, document_rows = self._codes.rows(codes)
        columns = [
            self._codes.queries.names(query_rows),
            self._codes.documents.names(document_rows),
            pa.array(scores, pa.float32()),
        ]
        self._file.write_table(pa.table(columns, schema=SCORES_SCHEMA))


def _batches(path: str | Path, columns: list[str]) -> Iterator[pa.Table]:
    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(batch_size=ROW_GROUP, columns=columns):
            yield pa.Table.from_batches([batch]).select(columns)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{path} cannot be read as a table of pairs ({one_line(error)}): make it again") from None
