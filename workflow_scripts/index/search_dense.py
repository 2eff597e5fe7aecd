"""Search a whole corpus by an encoder's vectors with every query of a collection: ``ranking.parquet``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.index.dense_ranking import write_dense_ranking
from workflow_scripts.models.dense_retrieval import DenseRetriever, Settings
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import read_settings, run
from workflow_scripts.storage.documents import read_query_ids


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
    what search_index writes, with its counts.
    """
    settings = read_settings(SystemSettings, spec)
    query_ids = read_query_ids(collection)
    stores = TokenStore(queries), TokenStore(documents)
    retriever = DenseRetriever(model, settings, *stores)
    with ArtifactWriter(output, kind="rankings", spec=spec, device=retriever.device) as writer:
        found = retriever.search(retriever.embed_queries(stores[0], query_ids), stores[1], more=settings.remove_query)
        write_dense_ranking(writer, vars(settings), query_ids, stores[1], [found])


if __name__ == "__main__":
    run(search_dense)
