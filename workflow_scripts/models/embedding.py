"""Embed texts: the vectors of a bi-encoder (or a bare backbone), each text encoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.models.scoring import embed
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from workflow_scripts.models.rankers import AnyRanker
    from workflow_scripts.models.token_store import TokenStore


def embed_texts(model: AnyRanker, store: TokenStore, rows: np.ndarray, *, max_tokens: int | None = None) -> np.ndarray:
    """Vectors float32 (rows, hidden) of a store's rows, in their order; ``model`` from :func:`for_inference`.

    Sorted by length and packed, so bound by the encoder: a GPU computes while the host makes the next batch. Memory
    holds the vectors. ``max_tokens`` cuts texts shorter than their store does. Raises :class:`InputError` that names
    the text for a vector that is not finite.
    """
    if not len(rows):
        raise InputError("there is no text to embed: are there groups?")
    vectors = embed(model, store, rows, max_tokens or store.cut_at)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise InputError(
            f"the embedding of {store.ids[rows[bad[0]]].decode()} is not finite ({len(bad)} of {len(rows)} texts): "
            "try precision fp32"
        )
    return vectors
