"""List the pairs of a candidate pool, so that shards score them side by side and none waits for another pool's scores.

What :mod:`~workflow_scripts.teach.score_pool` does before it needs a GPU; the pairs are the same for every teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.teach.pools import PAIRS_FILE, PairCodes, pool_pairs


def list_pairs(
    spec: Mapping,
    queries: Path,
    documents: Path,
    rankings: Sequence[Path],
    output: Path,
    collection: Path | None = None,
    known: Sequence[Path] = (),
) -> None:
    """Write ``pairs.npy``: sorted codes int64 of the pairs that no ``known`` pool holds, in the rows of the stores.

    All arguments are manifest paths; ``known`` are such lists, made with the same stores. ``spec``: ``depth`` of the
    rankings. Counts ``pairs`` and ``known``. Memory: about 30 bytes a pair.
    """
    codes = PairCodes(TokenStore(queries), TokenStore(documents))
    wanted = pool_pairs(codes, rankings, spec["depth"], collection)
    new = np.ones(len(wanted), bool)
    for manifest in known:
        held = np.load(Artifact(manifest).file(PAIRS_FILE), mmap_mode="r")
        if len(held):
            new &= held[np.searchsorted(held, wanted).clip(max=len(held) - 1)] != wanted
    with ArtifactWriter(output, kind="pairs", spec=spec) as writer:
        np.save(writer.path(PAIRS_FILE), wanted[new])
        writer.counts |= {"pairs": int(new.sum()), "known": int((~new).sum())}


if __name__ == "__main__":
    run(list_pairs)
