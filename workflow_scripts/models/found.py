"""What a search by inner products found: best documents of each query, merged and listed, without the encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workflow_scripts.models.token_store import TokenStore

SCORES_FILE, PLACES_FILE = "scores.npy", "places.npy"
Found = tuple[np.ndarray, np.ndarray]
"""Scores float32 and places int64 in the documents, both (queries, found), best first; place -1 where there is none."""


def merge(parts: Sequence[Found], width: int) -> Found:
    """The ``width`` best of each query over parts of the documents, in the documents' order: equal scores by place."""
    scores, places = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
    # Stable: what an earlier part holds has lower places and stays before its equals.
    order = np.argsort(-scores, axis=1, kind="stable")[:, :width]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(places, order, axis=1)


def order_ties(scores: np.ndarray, places: np.ndarray) -> Found:
    """Put equal neighbours in rows of falling ``scores`` in the order of their places; only rows that have some."""
    tied = np.flatnonzero((scores[:, 1:] == scores[:, :-1]).any(axis=1))
    order = np.lexsort((places[tied], -scores[tied]), axis=1)
    places[tied] = np.take_along_axis(places[tied], order, axis=1)
    return scores, places


def listed(
    found: Found, query_ids: Sequence[str], documents: TokenStore, depth: int, *, remove_query: bool = False
) -> Iterator[tuple[str, list[str], np.ndarray]]:
    """Each query's id, document ids and scores float64, at most ``depth``; ``remove_query`` drops its own id's."""
    for query_id, scores, places in zip(query_ids, *found, strict=True):
        doc_ids = [doc_id.decode() for doc_id in documents.ids[places].tolist()]
        kept = places >= 0
        if remove_query:
            kept &= np.array([doc_id != query_id for doc_id in doc_ids], dtype=bool)
        chosen = np.flatnonzero(kept)[:depth]
        yield query_id, [doc_ids[place] for place in chosen], scores[chosen].astype(np.float64)
