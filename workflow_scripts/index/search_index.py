"""Search a Lucene index with every query of a collection: ``ranking.parquet`` beside the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from workflow_scripts.index.java import heap_of
from workflow_scripts.index.lucene import Searcher
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.rankings import OWN_FIRST, RANKING_FILE, RankingWriter, say_own_first

CHUNK_HITS = 200_000  # of a chunk, two of which are held: some 50 MB each of JSON text and Python objects
OWN_KEYS = ("system", "depth", "remove_query")
"""Of the spec; the others are the ranking model's."""


def search_index(spec: Mapping, index: Path, collection: Path, output: Path, *, threads: int, memory_mb: int) -> None:
    """Rank the documents of ``index`` for each query of ``collection`` (manifest paths).

    ``spec``: ``system`` (the name its rows bear), ``depth``, ``remove_query`` (drop the document whose id is the
    query's), ``model`` with its parameters and ``rm3``: see :class:`~workflow_scripts.index.lucene.Searcher`. Counts
    ``queries``, ``hits``, ``queries_without_results`` and, where there are some, ``own_document_first``: queries that
    find the document of their own id first.
    """
    model = {key: value for key, value in spec.items() if key not in OWN_KEYS}
    lucene = _index_folder(index, model)
    queries = Artifact(collection).file("queries.parquet")
    searcher = Searcher(lucene, model, threads=threads, heap_mb=heap_of(memory_mb))
    depth, remove_query = spec["depth"], spec.get("remove_query", False)
    progress = Progress(pq.read_metadata(queries).num_rows, "queries searched")
    with ArtifactWriter(output, kind="rankings", spec=spec) as writer:
        with RankingWriter(writer.path(RANKING_FILE)) as ranking:
            chunks = _query_chunks(queries, max(1, CHUNK_HITS // depth))
            for found in searcher.search(chunks, depth + remove_query):
                for query_id, (documents, scores) in found.items():
                    if remove_query:
                        keep = [place for place, document in enumerate(documents) if document != query_id][:depth]
                        documents, scores = [documents[place] for place in keep], scores[keep]
                    ranking.add(spec["system"], query_id, documents, scores)
                ranking.flush()
                progress.add(len(found))
        writer.counts |= ranking.counts
    say_own_first(spec["system"], ranking.counts.get(OWN_FIRST, 0), ranking.counts["queries"])


def _index_folder(index: str | Path, model: Mapping) -> Path:
    artifact = Artifact(index)
    files = [artifact.file(name) for name in artifact.manifest["files"] if name.startswith("lucene/")]
    if not files:
        raise InputError(f"{index} lists no Lucene index: build it with build_index")
    if model.get("rm3") and not artifact.spec.get("docvectors"):
        raise InputError(f'{index} has no term vectors, which rm3 reads: build it with {{"docvectors": true}}')
    return artifact.manifest_path.parent / "lucene"


def _query_chunks(path: Path, size: int) -> Iterator[list[tuple[str, str]]]:
    for batch in pq.ParquetFile(path).iter_batches(size, columns=["query_id", "text"]):
        yield list(zip(*(np.asarray(batch.column(name)) for name in ("query_id", "text")), strict=True))


if __name__ == "__main__":
    run(search_index)
