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
from workflow_scripts.storage.documents import POSITIVES
from workflow_scripts.storage.errors import InputError, one_line
from workflow_scripts.storage.rankings import RANKING_FILE

SCORES_FILE, LOOKED_UP_FILE = "scores.parquet", "scores.npy"
PAIRS_FILE, SHARD_FILE = "pairs.npy", "scores.npy"
SCORES_SCHEMA = pa.schema([("query_id", pa.string()), ("doc_id", pa.string()), ("score", pa.float32())])
ROW_GROUP = 2**20
PART = 2**20
"""Pairs scored and kept at a time: under a minute of a current GPU. A score's last bits may hang on its whole part."""


class PairCodes:
    """Translates ids to codes and back for one store of queries and one of documents."""

    def __init__(self, queries: TokenStore, documents: TokenStore) -> None:
        if queries.vocabulary != documents.vocabulary:
            raise InputError(f"{queries} and {documents} have different vocabularies: tokenise both with one backbone")
        self.queries, self.documents = queries, documents

    def encode(self, query_ids: object, doc_ids: object) -> np.ndarray:
        """Codes of pairs; :class:`InputError` for an id that a store lacks."""
        return self.queries.rows(query_ids) * len(self.documents) + self.documents.rows(doc_ids)

    def rows(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Query rows and document rows of codes."""
        return np.divmod(codes, len(self.documents))

    def of_ranking(self, manifest: str | Path, depth: int) -> np.ndarray:
        """Distinct codes, sorted, of the first ``depth`` documents of each query and system of a ranking."""
        parts = [np.empty(0, np.int64)]
        for batch in _batches(Artifact(manifest).file(RANKING_FILE), ["query_id", "doc_id", "rank"]):
            top = batch.filter(pc.less_equal(batch["rank"], depth))
            parts.append(self.encode(top["query_id"], top["doc_id"]))
        return distinct(np.concatenate(parts))

    def of_table(self, path: str | Path) -> np.ndarray:
        """Codes of the rows of a table with columns query_id and doc_id, in the table's order."""
        parts = [self.encode(batch["query_id"], batch["doc_id"]) for batch in _batches(path, ["query_id", "doc_id"])]
        return np.concatenate([np.empty(0, np.int64), *parts])


def pool_pairs(
    codes: PairCodes, rankings: Sequence[str | Path], depth: int, collection: Path | None
) -> np.ndarray:  # (pairs,) sorted, distinct
    """Codes of all pairs of a pool: the first ``depth`` of the rankings, and the positives of ``collection``."""
    parts = [np.empty(0, np.int64), *(codes.of_ranking(ranking, depth) for ranking in rankings)]
    if collection is not None:
        parts.append(codes.of_table(Artifact(collection).file(POSITIVES)))
    return distinct(np.concatenate(parts))


def distinct(codes: np.ndarray) -> np.ndarray:
    """Distinct values, sorted: ``np.unique`` hashes integers, at a hundred times the cost of sorting them."""
    ordered = np.sort(codes)
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


def look_up(wanted: np.ndarray, pools: Sequence[str | Path], codes: PairCodes) -> np.ndarray:
    """Scores float32 of sorted distinct codes, NaN where no pool holds the pair; earlier pools go first.

    No pool is opened once every pair has its score. Bounded by reading the pools; memory holds ``wanted`` and one part
    of a pool.
    """
    scores = np.full(len(wanted), np.nan, np.float32)
    for pool in pools:
        missing = np.flatnonzero(np.isnan(scores))
        if not len(missing):
            break
        left = wanted[missing]
        for batch in _batches(Artifact(pool).file(SCORES_FILE), SCORES_SCHEMA.names):
            places, values = _matches(batch, left, codes)
            scores[missing[places]] = values
    return scores


def _matches(batch: pa.Table, wanted: np.ndarray, codes: PairCodes) -> tuple[np.ndarray, np.ndarray]:
    """Places in ``wanted`` (sorted) of those pairs that a part of a pool holds, and their scores.

    The part is of a stretch of queries. Only its documents that are wanted for one of them are looked up in the store:
    a binary search among millions of ids for each pair of the pool took most of the time.
    """
    queries = batch["query_id"].combine_chunks().dictionary_encode()
    query_rows = codes.queries.find(queries.dictionary)
    known = query_rows[query_rows >= 0]
    if not len(known):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    number = len(codes.documents)
    start, end = np.searchsorted(wanted, [known.min() * number, (known.max() + 1) * number])
    documents = distinct(wanted[start:end] % number)
    found = pc.index_in(batch["doc_id"].combine_chunks(), value_set=codes.documents.names(documents))
    rows = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
    pair_queries = query_rows[queries.indices.to_numpy(zero_copy_only=False)[rows]]
    pairs = pair_queries * number + documents[found.take(pa.array(rows)).to_numpy()]
    places = start + np.searchsorted(wanted[start:end], pairs)
    places[places == end] = start
    held = (wanted[places] == pairs) & (pair_queries >= 0) if start < end else np.zeros(0, bool)
    return places[held], batch["score"].to_numpy()[rows[held]]


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
