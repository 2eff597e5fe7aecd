"""Embed texts: the vectors of a bi-encoder (or a bare backbone), each text encoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.models.scoring import default_budget, encode_batches
from workflow_scripts.models.token_store import Sequences, TokenStore, require_room, single_sequences
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from workflow_scripts.models.padded import PaddedRanker
    from workflow_scripts.models.rankers import RankerModel

FETCHED_BYTES = {"cpu": 0, "cuda": 2**28}
"""Bytes of vectors that a device holds before they are fetched at once, so that a GPU does not wait for the host."""


@torch.inference_mode()
def embed_texts(
    model: RankerModel | PaddedRanker,
    store: TokenStore,
    rows: np.ndarray,
    *,
    max_tokens: int | None = None,
    token_budget: int | None = None,
) -> np.ndarray:
    """Vectors float32 (rows, hidden) of a store's rows, in their order; ``model`` from :func:`for_inference`.

    Sorted by length and packed, so bound by the encoder: a GPU computes while the host makes the next batch. Memory
    holds the vectors. ``max_tokens`` cuts texts shorter than their store does. Raises :class:`InputError` that names
    the text for a vector that is not finite.
    """
    limit = max_tokens or store.cut_at
    lengths = np.minimum(store.lengths[rows], limit) + 2
    require_room(int(lengths.max(initial=0)), model.longest)
    order = np.argsort(lengths, kind="stable")

    def build(batch: np.ndarray) -> Sequences:
        return single_sequences(store, rows[batch], limit)

    vectors: np.ndarray | None = None
    waiting: list[tuple[np.ndarray, Tensor]] = []
    for batch, output in encode_batches(model, lengths, order, build, token_budget or default_budget(model)):
        if vectors is None:
            vectors = np.empty((len(rows), output.shape[1]), np.float32)
        waiting.append((batch, output))
        if 4 * sum(part.numel() for _, part in waiting) >= FETCHED_BYTES[model.device.type]:
            _fetch(waiting, vectors)
    if vectors is None:
        raise InputError("there is no text to embed: are there groups?")
    _fetch(waiting, vectors)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise InputError(
            f"the embedding of {store.ids[rows[bad[0]]].decode()} is not finite ({len(bad)} of {len(rows)} texts): "
            "try precision fp32"
        )
    return vectors


def _fetch(waiting: list[tuple[np.ndarray, Tensor]], vectors: np.ndarray) -> None:
    """Put the outputs that wait on the device into the rows of ``vectors`` that they are of; none wait any more."""
    if waiting:
        batches, outputs = zip(*waiting, strict=True)
        vectors[np.concatenate(batches)] = torch.cat(outputs).cpu().numpy()
        waiting.clear()
