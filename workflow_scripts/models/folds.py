"""Folds of the training queries: each is labelled by a teacher that was trained on the others."""

from __future__ import annotations

import numpy as np

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.seeds import derive_seed


def folds_of(queries: TokenStore, rows: np.ndarray, folds: int) -> np.ndarray:
    """Which of ``folds`` parts each row's query is in, from 0  # (rows,) int64.

    By its tokens alone: no other query moves it, and no teacher labels a text that it learned under another id.
    """
    distinct, places = np.unique(rows, return_inverse=True)
    tokens, lengths = queries.gather(distinct, queries.cut_at)
    texts = np.split(tokens, np.cumsum(lengths)[:-1])
    return np.array([derive_seed(0, "fold", text.tolist()) % folds for text in texts], dtype=np.int64)[places]
