"""Titles as pseudo-queries: a document's title asks for that document's own body."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.collect.documents import is_empty, iterate_columns
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError


def title_pairs(corpus: Artifact) -> tuple[dict[str, str], pd.DataFrame, dict[str, int]]:
    """Queries (id -> text), positives (query_id, doc_id) and counts from the titles of ``corpus``.

    A document whose title or body is empty, or looks so, takes no part. Documents whose titles are the same but for
    case make one query, "title-" and the first of their ids, and are all its positives: none of them is a negative for
    the others' title. Memory: the titles. Raises :class:`InputError` where no document has both.
    """
    left_out = 0
    by_title: dict[str, str] = {}
    queries: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for batch in iterate_columns(corpus, ["doc_id", "title", "text"]):
        for document, title, text in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if is_empty(title) or is_empty(text):
                left_out += 1
                continue
            query = by_title.setdefault(title.casefold(), f"title-{document}")
            queries.setdefault(query, title)
            pairs.append((query, document))
    if not pairs:
        raise InputError(f"{corpus.manifest_path}: no document has a title and a body: take other training pairs")
    counts = {"documents_left_out": left_out, "titles_merged": len(pairs) - len(queries)}
    return queries, pd.DataFrame(pairs, columns=["query_id", "doc_id"]), counts
