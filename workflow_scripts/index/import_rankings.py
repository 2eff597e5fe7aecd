"""Read a published file of mined hard negatives as rankings: ``ranking.parquet`` of all its systems.

The file is SentenceTransformers' for MS MARCO, gzipped JSON lines, a query a line:
``{"qid": 1, "pos": [2], "neg": {"bm25": [3, 4], "another-system": [5]}}``, each system's passages best first. The
entry of a passage is its number, or an object with the number as ``pid`` (another published edition of the file).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.rankings import RANKING_FILE, RankingWriter
from workflow_scripts.storage.text_files import read_objects, shown

CHUNK_QUERIES = 2_000
NONE = -1
MOST = 2**31 - 1  # of 4 bytes


def import_rankings(spec: Mapping, file: Path, collection: Path, output: Path) -> None:
    """Write the top ``depth`` of each of ``spec["systems"]`` for the queries of ``collection``; no scores are known.

    ``file`` is the manifest of a downloaded file. Queries of the file that the collection lacks are passed over.
    Counts ``queries``, ``queries_without_results`` (of the collection, in no line of the file), ``hits`` and
    ``duplicates`` (passages that a system lists again for a query, left out). Lists lie in a scratch file of
    systems x queries x depth numbers of 4 bytes; reading JSON bounds the time.
    """
    systems, depth = spec["systems"], spec["depth"]
    source = Artifact(file)
    if len(source.manifest["files"]) != 1:
        raise InputError(f"{file} has {len(source.manifest['files'])} files: name the manifest of one download")
    path = source.file(next(iter(source.manifest["files"])))
    queries = pq.read_table(Artifact(collection).file("queries.parquet"), columns=["query_id"])["query_id"].to_pylist()
    with ArtifactWriter(output, kind="rankings", spec=spec, inputs={"file": file, "collection": collection}) as writer:
        scratch = writer.path("lists.scratch")
        lists = np.memmap(scratch, np.int32, "w+", shape=(len(systems), len(queries), depth))
        lists[:] = NONE
        counts = _read_lists(path, systems, queries, lists)
        with RankingWriter(writer.path(RANKING_FILE)) as ranking:
            for system in sorted(systems):
                _write_lists(ranking, system, queries, lists[systems.index(system)])
        counts["hits"] = int(sum((ranked != NONE).sum() for ranked in lists))
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
