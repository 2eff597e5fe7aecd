"""Search one shard of a corpus by an encoder's vectors: a stretch of the chunks that search_dense goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.index.search_dense import SystemSettings
from workflow_scripts.models.dense_retrieval import DenseRetriever
from workflow_scripts.models.found import PLACES_FILE, SCORES_FILE
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import read_settings, run
from workflow_scripts.storage.documents import read_query_ids


@dataclass(frozen=True)
class ShardSettings(SystemSettings):
    """Beside how a dense system searches, the ``shard`` of the corpus ("2-of-3")."""

    shard: str = "1-of-1"


def search_shard(spec: Mapping, model: Path, collection: Path, queries: Path, documents: Path, output: Path) -> None:
    """Write the best of a stretch of ``documents`` for each query: ``scores.npy`` float32 and ``places.npy`` int64.

    Both are (queries, found), best first; places are rows of the store. All arguments are manifest paths, as in
    search_dense, whose spec this has with :class:`ShardSettings`; the index is Flat. Counts ``queries``.
    """
    settings = read_settings(ShardSettings, spec)
    query_ids = read_query_ids(collection)
    stores = TokenStore(queries), TokenStore(documents)
    retriever = DenseRetriever(model, settings, *stores)
    with ArtifactWriter(output, kind="searched shards", spec=spec, device=retriever.device) as writer:
        vectors = retriever.embed_queries(stores[0], query_ids)
        found = retriever.search(vectors, stores[1], more=settings.remove_query, shard=settings.shard)
        for name, side in zip((SCORES_FILE, PLACES_FILE), found, strict=True):
            np.save(writer.path(name), side)
        writer.counts["queries"] = len(query_ids)


if __name__ == "__main__":
    run(search_shard)
