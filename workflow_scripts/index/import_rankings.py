"""Read a published file of mined hard negatives as rankings: ``ranking.parquet`` of all its systems.

The file is SentenceTransformers' for MS MARCO, gzipped JSON lines, a query a line:
``{"qid": 1, "pos": [2], "neg": {"bm25": [3, 4], "another-system": [5]}}``, each system's passages best first. The
entry of a passage is its number, or an object with the number as ``pid`` (another published edition of the file).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_query_ids
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.rankings import RANKING_FILE, RankingWriter
from workflow_scripts.storage.text_files import read_objects, shown

CHUNK_QUERIES = 2_000
NONE = -1
MOST = 2**31 - 1  # of 4 bytes
NUMBER = f"^(0|[1-9][0-9]{{0,{len(str(MOST)) - 1}}})$"


def import_rankings(spec: Mapping, file: Path, corpus: Path, collection: Path, output: Path) -> None:
    """Write the top ``depth`` of each of ``spec["systems"]`` for the queries of ``collection``; no scores are known.

    ``file`` is the manifest of a downloaded file. Queries of the file that the collection lacks are passed over; a
    passage that the corpus lacks is an error. Queries without results are counted on stderr, by system.
    Counts ``queries``, ``queries_without_results`` (of the collection, in no line of the file), ``hits`` and
    ``duplicates`` (passages that a system lists again for a query, left out). Lists lie in a scratch file of
    systems x queries x depth numbers of 4 bytes; reading JSON bounds the time, memory holds the corpus' ids.
    """
    systems, depth = spec["systems"], spec["depth"]
    source = Artifact(file)
    if len(source.manifest["files"]) != 1:
        raise InputError(f"{file} has {len(source.manifest['files'])} files: name the manifest of one download")
    path = source.file(next(iter(source.manifest["files"])))
    queries = read_query_ids(collection)
    with ArtifactWriter(output, kind="rankings", spec=spec) as writer:
        scratch = writer.path("lists.scratch")
        lists = np.memmap(scratch, np.int32, "w+", shape=(len(systems), len(queries), depth))
        lists[:] = NONE
        counts = _read_lists(path, systems, queries, lists)
        _check_passages(path, corpus, lists)
        _say_without_results(systems, lists)
        with RankingWriter(writer.path(RANKING_FILE)) as ranking:
            for system in sorted(systems):
                _write_lists(ranking, system, queries, lists[systems.index(system)])
        counts["hits"] = ranking.counts["hits"]
        del lists
        scratch.unlink()
        writer.counts |= {"queries": len(queries), **counts}


def _read_lists(path: Path, systems: list[str], queries: list[str], lists: np.ndarray) -> dict[str, int]:
    """Fill ``lists``  # (systems, queries, depth) passage numbers, best first."""
    rows = {query_id: row for row, query_id in enumerate(queries)}
    met: set[str] = set()
    counts: Counter = Counter(duplicates=0)
    done = np.zeros(len(queries), bool)
    progress = Progress(None, "lines read")
    for number, record in read_objects(path):
        try:
            row, negatives = rows.get(_query(record["qid"])), record["neg"]
            met.update(negatives.keys())
            if row is None:
                continue
            if done[row]:
                raise ValueError(f"query {record['qid']} is there again")
            done[row] = True
            for place, system in enumerate(systems):
                passages = [_passage(entry) for entry in negatives.get(system, ())]
                ranked = list(dict.fromkeys(passages))
                counts["duplicates"] += len(passages) - len(ranked)
                ranked = ranked[: lists.shape[2]]
                lists[place, row, : len(ranked)] = ranked
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}:{number} is not a query with its negatives ({reason}): check the file") from None
        progress.add(1)
    if not done.any():
        raise InputError(f"{path} has no query of the collection: name the collection that it is for")
    for system in systems:
        if system not in met:
            raise InputError(f"{path} has no system {system!r}: it has {', '.join(sorted(met)) or 'none'}")
    counts["queries_without_results"] = int((~done).sum())
    return dict(counts)


def _check_passages(path: Path, corpus: Path, lists: np.ndarray) -> None:
    """Raise :class:`InputError` for passages of ``lists`` that the corpus lacks: any reader would fail at them."""
    numbers = _numbers(corpus)
    lacking = np.empty(0, np.int32)
    for ranked in lists:
        for start in range(0, len(ranked), CHUNK_QUERIES):
            passages = np.unique(ranked[start : start + CHUNK_QUERIES])
            places = np.searchsorted(numbers, passages).clip(max=len(numbers) - 1)
            lacking = np.union1d(lacking, passages[numbers[places] != passages])
    if len(lacking):
        raise InputError(
            f"{path} lists {len(lacking):,} passages that {corpus} has no document of, the first is "
            f"{lacking[0]}: import the file over the corpus that it was made from"
        )


def _numbers(corpus: Path) -> np.ndarray:  # (numbers,) int32, sorted
    """NONE, and the passage numbers among the ids of the corpus."""
    parts = [np.array([NONE], np.int32)]
    for batch in pq.ParquetFile(Artifact(corpus).file("documents.parquet")).iter_batches(columns=["doc_id"]):
        ids = batch.column(0)
        numbers = ids.filter(pc.match_substring_regex(ids, NUMBER)).cast(pa.int64()).to_numpy()
        parts.append(numbers[numbers <= MOST].astype(np.int32))
    return np.sort(np.concatenate(parts))


def _say_without_results(systems: list[str], lists: np.ndarray) -> None:
    total = lists.shape[1]
    for system, ranked in zip(systems, lists, strict=True):
        if without := int((ranked[:, :1] == NONE).sum()):
            most = ", which is most: is the file for this collection?" if 2 * without > total else ""
            print(f"{system} lists nothing for {without:,} of {total:,} queries{most}", file=sys.stderr, flush=True)


def _query(qid: object) -> str:
    if not isinstance(qid, int | str) or isinstance(qid, bool):
        raise ValueError(f"the query id is {shown(qid)}")
    return str(qid)


def _passage(entry: object) -> int:
    passage = entry["pid"] if isinstance(entry, dict) else entry
    if not isinstance(passage, int) or isinstance(passage, bool) or not 0 <= passage <= MOST:
        raise ValueError(f"{shown(passage)} is no passage number")
    return passage


def _write_lists(ranking: RankingWriter, system: str, queries: list[str], lists: np.ndarray) -> None:
    """Write one system's lists  # (queries, depth), a row group every CHUNK_QUERIES queries."""
    for start in range(0, len(queries), CHUNK_QUERIES):
        chunk = lists[start : start + CHUNK_QUERIES]
        for query_id, row in zip(queries[start : start + CHUNK_QUERIES], chunk, strict=True):
            ranking.add(system, query_id, [str(passage) for passage in row[row != NONE].tolist()], None)
        ranking.flush()


if __name__ == "__main__":
    run(import_rankings)
