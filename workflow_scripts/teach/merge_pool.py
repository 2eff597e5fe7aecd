"""Merge the shards of a candidate pool into what score_pool writes, byte for byte, however many there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.shards import check_whole
from workflow_scripts.teach.pools import PAIRS_FILE, PART, SCORES_FILE, SHARD_FILE, PairCodes, PoolWriter, check_teacher


def merge_pool(
    spec: Mapping,
    models: Sequence[Path],
    queries: Path,
    documents: Path,
    pairs: Path,
    shards: Sequence[Path],
    output: Path,
) -> None:
    """Write ``scores.parquet`` (query_id, doc_id, score) of ``pairs`` from their ``shards``, in the shards' order.

    All arguments are manifest paths; ``spec`` and the counts are score_pool's, so that what reads the pool finds the
    same artifact. Raises :class:`InputError` for shards of other models or that do not make up the pairs.
    Memory: about 4 bytes a pair. Bounded by compressing the file.
    """
    check_teacher(models, shards)
    check_whole([Artifact(shard).spec["shard"] for shard in shards])
    codes = PairCodes(TokenStore(queries), TokenStore(documents))
    listed = np.load(Artifact(pairs).file(PAIRS_FILE), mmap_mode="r")
    scores = np.concatenate([np.load(Artifact(shard).file(SHARD_FILE)) for shard in shards])
    if len(scores) != len(listed):
        raise InputError(f"the shards hold {len(scores)} scores of {pairs}'s {len(listed)} pairs: score them again")
    with (
        ArtifactWriter(output, kind="teacher scores", spec=spec) as writer,
        PoolWriter(writer.path(SCORES_FILE), codes) as pool,
    ):
        for first in range(0, len(listed), PART):
            pool.add(np.array(listed[first : first + PART]), scores[first : first + PART])
        writer.counts |= Artifact(pairs).counts


if __name__ == "__main__":
    run(merge_pool)
