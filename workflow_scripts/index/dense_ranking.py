"""The ranking of a dense system, from what its search found, whole or in shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.models.found import Found, listed, merge
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.rankings import RANKING_FILE, RankingWriter
from workflow_scripts.storage.tables import read_table

ROW_GROUP_QUERIES = 2_000


def query_ids_of(collection: Path) -> list[str]:
    """Ids of a collection's queries, sorted."""
    return read_table(Artifact(collection).file("queries.parquet"), ["query_id"])["query_id"].tolist()


def write_dense_ranking(
    writer: ArtifactWriter, spec: Mapping, query_ids: Sequence[str], documents: TokenStore, shards: Sequence[Found]
) -> None:
    """Write ``ranking.parquet`` of what was found in each stretch of ``documents``, in their order, and the counts.

    ``spec``: search_dense's ``system``, ``depth`` and ``remove_query``. Memory: a row group's queries, where the shards
    are mapped files.
    """
    depth, remove_query = spec["depth"], spec["remove_query"]
    count = {"queries": 0, "hits": 0, "queries_without_results": 0}
    with RankingWriter(writer.path(RANKING_FILE)) as ranking:
        for first in range(0, len(query_ids), ROW_GROUP_QUERIES):
            rows = slice(first, first + ROW_GROUP_QUERIES)
            found = merge([(scores[rows], places[rows]) for scores, places in shards], depth + remove_query)
            for query_id, doc_ids, scores in listed(
                found, query_ids[rows], documents, depth, remove_query=remove_query
            ):
                ranking.add(spec["system"], query_id, doc_ids, scores)
                count["queries"] += 1
                count["hits"] += len(doc_ids)
                count["queries_without_results"] += not doc_ids
            ranking.flush()
    writer.counts |= count
