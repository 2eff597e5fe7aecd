"""Search a whole corpus by an encoder's vectors with every query of a collection: ``ranking.parquet``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.models.dense_retrieval import DenseRetriever, Settings, listed
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import read_settings, run
from workflow_scripts.storage.rankings import RANKING_FILE, RankingWriter
from workflow_scripts.storage.tables import read_table

ROW_GROUP_QUERIES = 2_000


@dataclass(frozen=True)
class SystemSettings(Settings):
    """Beside how is retrieved, the ``system`` that its rows name, and whether a query's own document is dropped."""

    system: str = "dense"
    remove_query: bool = False


def search_dense(
    spec: Mapping,
    model: Path,
    collection: Path,
    queries: Path,
    documents: Path,
    output: Path,
) -> None:
    """Rank all texts of the store ``documents`` for each query of ``collection``; arguments are manifest paths.

    ``model`` is a bi-encoder or a backbone; ``spec``: ``system`` (the name its rows bear), ``remove_query`` (drop the
    document whose id is the query's) and :class:`~workflow_scripts.models.dense_retrieval.Settings`. The artifact is
    what search_index writes, with its counts ``queries``, ``hits`` and ``queries_without_results``.
    """
    settings = read_settings(SystemSettings, spec)
    query_ids = read_table(Artifact(collection).file("queries.parquet"), ["query_id"])["query_id"].tolist()
    stores = TokenStore(queries), TokenStore(documents)
    retriever = DenseRetriever(model, settings, *stores)
    inputs = {"model": model, "collection": collection, "queries": queries, "documents": documents}
    count = {"queries": 0, "hits": 0, "queries_without_results": 0}
    with ArtifactWriter(output, kind="rankings", spec=spec, inputs=inputs, device=retriever.device) as writer:
        found = retriever.search(retriever.embed_queries(stores[0], query_ids), stores[1], more=settings.remove_query)
        with RankingWriter(writer.path(RANKING_FILE)) as ranking:
            for query_id, doc_ids, scores in listed(
                found, query_ids, stores[1], settings.depth, remove_query=settings.remove_query
            ):
                ranking.add(settings.system, query_id, doc_ids, scores)
                count["queries"] += 1
                count["hits"] += len(doc_ids)
                count["queries_without_results"] += not doc_ids
                if count["queries"] % ROW_GROUP_QUERIES == 0:
                    ranking.flush()
        writer.counts |= count


if __name__ == "__main__":
    run(search_dense)
