"""What the query explorer reads: each system's best documents for each query, judgements, scores and texts.

Numbers travel as typed columns, compressed: rows of objects would be ten times the size.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.storage.documents import read_queries, read_view
from workflow_scripts.storage.evaluation import read_evaluation
from workflow_scripts.storage.runs import run_on

SHOWN = 10
"""Documents of a ranking that the page shows."""
MOST_CHARACTERS = 400
"""Of a document's text; what is longer is cut, and the page says so."""
MOST_ENTRIES = 2_000_000
"""Ranked documents that the page holds, all systems and queries together: above, each collection has fewer queries."""
NOT_JUDGED = -1


@dataclass(frozen=True)
class System:
    """A ranker of the explorer: what the page calls it, its keys in the metrics, its runs, a manifest a set."""

    label: str
    keys: tuple
    runs: Sequence[Path]


def explorer(
    systems: Sequence[System],
    collections: Mapping[str, tuple[Path, Path] | None],
    evaluation: Mapping[str, Path],
    values: QueryValues,
    measure: str,
) -> tuple[dict, str]:
    """What it is about (systems, collections, queries, texts), and its columns (base64 of gzipped arrays).

    ``collections``: name to the manifests of a collection and its corpus, None where no text is shown;
    ``evaluation``: name to the manifest with its judgements; ``values``: ``measure`` of all systems. Queries are spread
    evenly over their order where not all fit (:data:`MOST_ENTRIES`). The arrays of a collection, one after another and
    little-endian: for each system documents (int32, queries x :data:`SHOWN`, -1 for none), scores (float32, the same),
    judgements (int32, the same, :data:`NOT_JUDGED` for none) and values of the measure (float32, queries).
    """
    most = max(20, MOST_ENTRIES // (SHOWN * max(1, len(systems)) * max(1, len(collections))))
    about: dict = {"systems": [system.label for system in systems], "measure": measure, "shown": SHOWN}
    about["collections"], arrays = [], []
    for name, shown in collections.items():
        queries = dict(read_queries(shown[0])) if shown else {}
        judged = read_evaluation(evaluation[name], name, "queries")["query_id"].tolist()
        chosen = [
            judged[place] for place in np.unique(np.linspace(0, len(judged) - 1, min(most, len(judged))).astype(int))
        ]
        found = [_ranking(system.runs, name, chosen) for system in systems]
        documents = pd.unique(np.concatenate([rows["doc_id"].to_numpy() for rows in found]))
        index = pd.Series(np.arange(len(documents), dtype=np.int32), documents)
        relevance = read_evaluation(evaluation[name], name, "qrels").set_index(["query_id", "doc_id"])["relevance"]
        place = pd.Series(np.arange(len(chosen)), chosen)
        for system, rows in zip(systems, found, strict=True):
            arrays += _columns(rows, place, index, relevance)
            arrays.append(_values(values, system.keys, name, measure, chosen))
        texts = _texts(shown[1], documents) if shown else [("", False)] * len(documents)
        about["collections"].append(
            {
                "name": name,
                "all": len(judged),
                "queries": [[query, queries[query] if shown else ""] for query in chosen],
                "documents": [[doc_id, *cut] for doc_id, cut in zip(documents, texts, strict=True)],
            }
        )
    packed = gzip.compress(
        b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays), 6, mtime=0
    )
    return about, base64.b64encode(packed).decode()


def _ranking(runs: Sequence[Path], collection: str, queries: Sequence[str]) -> pd.DataFrame:
    """The first documents of some queries of a run."""
    rows = run_on(collection, runs)
    return rows[(rows["rank"] <= SHOWN) & rows["query_id"].isin(set(queries))]


def _columns(rows: pd.DataFrame, place: pd.Series, index: pd.Series, relevance: pd.Series) -> list[np.ndarray]:
    """Documents, scores and judgements  # (queries, SHOWN) each."""
    shape = (len(place), SHOWN)
    documents, scores = np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32)
    judgements = np.full(shape, NOT_JUDGED, np.int32)
    where = place[rows["query_id"]].to_numpy(), rows["rank"].to_numpy() - 1
    documents[where], scores[where] = index[rows["doc_id"]].to_numpy(), rows["score"].to_numpy(np.float32)
    pairs = pd.MultiIndex.from_arrays([rows["query_id"], rows["doc_id"]])
    # A grade below 0 is a judgement too: not relevant.
    judgements[where] = relevance.reindex(pairs).clip(lower=0).fillna(NOT_JUDGED).to_numpy(np.int32)
    return [documents, scores, judgements]


def _values(values: QueryValues, keys: tuple, collection: str, measure: str, queries: Sequence[str]) -> np.ndarray:
    """The measure of each query."""
    found = pd.Series(values.of(keys[:4], [keys[4]], collection, measure), values.queries(collection, measure))
    return found.reindex(queries).to_numpy(np.float32)


def _texts(corpus: Path, documents: Sequence[str]) -> list[tuple[str, bool]]:
    """Each document's text, cut to :data:`MOST_CHARACTERS`, and whether it was."""
    wanted, found = pa.array(list(documents), pa.string()), {}
    for batch in read_view(corpus, "full"):
        kept = batch.filter(pc.is_in(batch["doc_id"].cast(pa.string()), value_set=wanted))
        found.update(zip(kept["doc_id"].to_pylist(), kept["text"].to_pylist(), strict=True))
    return [(found[doc_id][:MOST_CHARACTERS], len(found[doc_id]) > MOST_CHARACTERS) for doc_id in documents]
