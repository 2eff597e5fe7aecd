"""The ranking of a dense system, from what its search found, whole or in shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workflow_scripts.models.found import Found, listed, merge
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.rankings import OWN_FIRST, RANKING_FILE, RankingWriter, say_own_first

ROW_GROUP_QUERIES = 2_000


def write_dense_ranking(
    writer: ArtifactWriter, spec: Mapping, query_ids: Sequence[str], documents: TokenStore, shards: Sequence[Found]
) -> None:
    """Write ``ranking.parquet`` of what was found in each stretch of ``documents``, in their order, and the counts.

    ``spec``: search_dense's ``system``, ``depth`` and ``remove_query``. Memory: a row group's queries, where the shards
    are mapped files.
    """
    depth, remove_query = spec["depth"], spec["remove_query"]
    with RankingWriter(writer.path(RANKING_FILE)) as ranking:
        for first in range(0, len(query_ids), ROW_GROUP_QUERIES):
            rows = slice(first, first + ROW_GROUP_QUERIES)
            found = merge([(scores[rows], places[rows]) for scores, places in shards], depth + remove_query)
            for each in listed(found, query_ids[rows], documents, depth, remove_query=remove_query):
                ranking.add(spec["system"], *each)
            ranking.flush()
    writer.counts |= ranking.counts
    say_own_first(spec["system"], ranking.counts.get(OWN_FIRST, 0), ranking.counts["queries"])
