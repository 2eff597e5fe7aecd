"""Score one shard of a candidate pool with a teacher: a stretch of the parts that score_pool goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.shards import units_of
from workflow_scripts.teach.pools import PAIRS_FILE, PART, SHARD_FILE, PairCodes


def score_shard(
    spec: Mapping, models: Sequence[Path], queries: Path, documents: Path, pairs: Path, output: Path
) -> None:
    """Write ``scores.npy``: scores float32 of a stretch of ``pairs``, in their order.

    All arguments are manifest paths; ``pairs`` is of list_pairs, ``models`` as in score_pool. ``spec``: ``shard``
    ("2-of-3": whole parts, so that a score does not depend on the number of shards), ``precision``. Counts ``scored``.
    Memory: the model, the stores' offsets, a part. A killed job goes on after the parts it had finished.
    """
    from workflow_scripts.models.devices import best_device, device_name
    from workflow_scripts.teach.scored_parts import score_in_parts

    stores = {"queries": queries, "documents": documents}
    codes = PairCodes(TokenStore(queries), TokenStore(documents))
    listed = np.load(Artifact(pairs).file(PAIRS_FILE), mmap_mode="r")
    units = units_of(spec["shard"], -(-len(listed) // PART))
    own = np.array(listed[units.start * PART : units.stop * PART])
    device = device_name(best_device())
    with ArtifactWriter(output, kind="scored shards", spec=spec, device=device) as writer:
        parts, scored = score_in_parts(writer, spec, models, stores, codes, own)
        scores = [np.empty(0, np.float32), *(part for _, part in scored)]
        np.save(writer.path(SHARD_FILE), np.concatenate(scores))
        writer.counts["scored"] = len(own)
    parts.remove()


if __name__ == "__main__":
    run(score_shard)
