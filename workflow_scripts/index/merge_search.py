"""Merge the shards of a dense search into what search_dense writes, byte for byte, however many there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.index.dense_ranking import write_dense_ranking
from workflow_scripts.models.found import PLACES_FILE, SCORES_FILE
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_query_ids
from workflow_scripts.storage.shards import check_whole


def merge_search(
    spec: Mapping,
    model: Path,
    collection: Path,
    queries: Path,
    documents: Path,
    shards: Sequence[Path],
    output: Path,
) -> None:
    """Rank the documents that the ``shards`` of a search found, in the shards' order, for each query of ``collection``.

    All arguments are manifest paths, ``model`` and ``queries`` for the manifest alone; ``spec`` and the counts are
    search_dense's, so that what reads the ranking finds the same artifact. Raises :class:`InputError` where a shard is
    missing. Memory: a row group's queries; bounded by reading the shards.
    """
    check_whole([Artifact(shard).spec["shard"] for shard in shards])
    found = [
        (np.load(shard.file(SCORES_FILE), mmap_mode="r"), np.load(shard.file(PLACES_FILE), mmap_mode="r"))
        for shard in map(Artifact, shards)
    ]
    with ArtifactWriter(output, kind="rankings", spec=spec) as writer:
        write_dense_ranking(writer, spec, read_query_ids(collection), TokenStore(documents), found)


if __name__ == "__main__":
    run(merge_search)
