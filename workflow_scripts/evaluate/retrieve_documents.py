"""Retrieve from whole corpora by a bi-encoder, for every evaluation collection in one process: runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.models.dense_retrieval import DenseRetriever, Settings
from workflow_scripts.models.found import listed
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import read_settings, run
from workflow_scripts.storage.documents import read_query_ids
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rankings import OWN_FIRST, finds_itself, say_own_first
from workflow_scripts.storage.runs import write_run


@dataclass(frozen=True)
class RunSettings(Settings):
    """Beside how is retrieved, the runs' ``tag`` and the collections that ``remove_query`` is true of."""

    tag: str = "retrieved"
    remove_query: Mapping[str, bool] = field(default_factory=dict)


def retrieve_documents(
    spec: Mapping,
    model: Path,
    collections: Sequence[str],
    tests: Sequence[Path],
    queries: Sequence[Path],
    documents: Sequence[Path],
    output: Path,
) -> None:
    """Write one ``{collection}.run.gz`` a collection: the first ``depth`` of its whole corpus for each of its queries.

    ``collections`` are ids; ``tests`` (the collections), ``queries`` and ``documents`` (token stores) are manifest
    paths in their order. ``spec``: ``tag``, ``remove_query`` (collection to whether the document whose id is the
    query's is dropped; left out: nowhere) and :class:`~workflow_scripts.models.dense_retrieval.Settings`. Collections
    of one corpus are searched together, so that it is embedded once. Counts each collection's listed documents and,
    where there are some, its queries that find the document of their own id first (``own_document_first``).
    """
    settings = read_settings(RunSettings, spec)
    if not len(collections) == len(tests) == len(queries) == len(documents):
        raise InputError("give one test, one query store and one document store for each collection, in order")
    query_ids = [read_query_ids(test) for test in tests]
    query_stores = [TokenStore(manifest) for manifest in queries]
    stores = {str(manifest): TokenStore(manifest) for manifest in documents}
    distinct = {store.vocabulary: store for store in (*query_stores, *stores.values())}
    retriever = DenseRetriever(model, settings, *distinct.values())
    with ArtifactWriter(output, kind="runs", spec=spec, device=retriever.device) as writer:
        for manifest, store in stores.items():
            members = [place for place, other in enumerate(documents) if str(other) == manifest]
            vectors = [retriever.embed_queries(query_stores[place], query_ids[place]) for place in members]
            removes = [settings.remove_query.get(collections[place], False) for place in members]
            scores, rows = retriever.search(np.concatenate(vectors), store, more=any(removes))
            ends = pairwise(accumulate(map(len, vectors), initial=0))
            for place, (first, last), remove_query in zip(members, ends, removes, strict=True):
                found, name = (scores[first:last], rows[first:last]), collections[place]
                ranked = list(listed(found, query_ids[place], store, settings.depth, remove_query=remove_query))
                frame = _frame(ranked)
                write_run(writer.path(f"{name}.run.gz"), frame, settings.tag)
                writer.counts[name] = len(frame)
                if own_first := sum(finds_itself(*each) for each in ranked):
                    writer.counts.setdefault(OWN_FIRST, {})[name] = own_first
                    say_own_first(name, own_first, len(ranked))


def _frame(rows: Iterable[tuple[str, list[str], np.ndarray]]) -> pd.DataFrame:
    """Columns query_id, doc_id, score of what :func:`listed` yields."""
    ids, documents, scores = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "query_id": np.repeat(np.array(ids, dtype=object), [len(part) for part in documents]),
            "doc_id": [doc_id for part in documents for doc_id in part],
            "score": np.concatenate(scores),
        }
    )


if __name__ == "__main__":
    run(retrieve_documents)
