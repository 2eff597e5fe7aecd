"""What is taken of queries' texts a second time: the contamination tables, by every pair of texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from fractions import Fraction

import pandas as pd

from audit.rows import Rows
from audit.sources import Sources


def contamination(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Test queries that training has seen, by every pair of texts."""
    for row in frame.itertuples():
        matches = list(_matches(sources, row.training, row.collection, spec["threshold"]))
        number, trained = (len(_texts(sources, name)) for name in (row.collection, row.training))
        exact = sum(each["exact"] for each in matches)
        near = len(matches) - exact
        yield (
            row.Index,
            {
                **{"n_queries": number, "n_training": trained, "exact": exact, "near": near},
                **{"exact_share": exact / number, "near_share": near / number},
            },
        )


def contamination_pairs(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """The training query that each of them is like."""
    for (training, collection), rows in frame.groupby(["training", "collection"], sort=False):
        matches = {each["query_id"]: each for each in _matches(sources, training, collection, spec["threshold"])}
        for index, query in rows["query_id"].items():
            yield index, matches[query]


def _matches(sources: Sources, training: str, collection: str, threshold: float) -> Iterator[Mapping]:
    train, limit = _texts(sources, training), Fraction(str(threshold))
    plain = {name: _plain(text) for name, text in train.items()}
    sets = {name: set(text.split()) for name, text in plain.items()}
    for query, text in _texts(sources, collection).items():
        own, words = _plain(text), set(_plain(text).split())
        like = []
        for name, other in sets.items():
            both = len(words & other)
            if both and Fraction(both, len(words | other)) >= limit:
                like.append((-both / len(words | other), plain[name] != own, name))
        if like:
            jaccard, differs, name = min(like)
            found = {"query_id": query, "text": text, "train_query_id": name, "train_text": train[name]}
            yield {**found, "jaccard": -jaccard, "exact": not differs}


def _texts(sources: Sources, collection: str) -> dict[str, str]:
    frame = pd.read_parquet(sources.folder / "collections" / collection / "queries.parquet")
    return dict(zip(frame["query_id"], frame["text"], strict=True))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split())
