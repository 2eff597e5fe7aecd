"""Documents of a prepared corpus, queries of a collection and their judged pairs, as rankers read them."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_arrow

VIEWS = ("full", "body")
BATCH = 8192
LARGE = pa.large_string()
POSITIVES, SPARED = "positives.parquet", "spared.parquet"
"""Pairs (query_id, doc_id) of a training collection: those to learn and, where there are any, those that are judged
relevant but below ``min_relevance``. A negative is in neither."""


def read_view(corpus: str | Path, view: str, size: int = BATCH) -> Iterator[pa.RecordBatch]:
    """Batches of ``size`` doc_id and text of a corpus (manifest), sorted by id; one batch is in memory at a time.

    The full view is the title, a space and the body (the body alone without a title), as large strings: with titles a
    batch may pass two gigabytes; the body view is the body.
    """
    if view not in VIEWS:
        raise InputError(f"the corpus view is {view!r}: choose {' or '.join(VIEWS)}")
    file = pq.ParquetFile(Artifact(corpus).file("documents.parquet"))
    for batch in file.iter_batches(size, columns=["doc_id", "text"] + ["title"] * (view == "full")):
        text = batch["text"]
        if view == "full":
            title, text = (batch[name].cast(LARGE) for name in ("title", "text"))
            title = pc.fill_null(title, pa.scalar("", LARGE))
            joined = pc.binary_join_element_wise(title, text, pa.scalar(" ", LARGE))
            text = pc.if_else(pc.equal(title, ""), text, joined)
        yield pa.RecordBatch.from_arrays([batch["doc_id"], text], ["doc_id", "text"])


def read_some(corpus: str | Path, view: str, doc_ids: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """The batches of :func:`read_view`, of each the documents that are among ``doc_ids``; may be empty.

    The corpus is sorted: a batch is looked up among the ids of its own range, not among all of them.
    """
    wanted = sorted(doc_ids)
    for batch in read_view(corpus, view):
        first, last = (batch["doc_id"][place].as_py() for place in (0, -1))
        near = wanted[bisect.bisect_left(wanted, first) : bisect.bisect_right(wanted, last)]
        yield batch.filter(pc.is_in(batch["doc_id"], pa.array(near, pa.string())))


def count_documents(corpus: str | Path) -> int:
    """Documents of a corpus (manifest)."""
    return pq.read_metadata(Artifact(corpus).file("documents.parquet")).num_rows


def read_query_ids(collection: str | Path) -> list[str]:
    """Ids of a collection's queries (manifest), sorted."""
    return pq.read_table(Artifact(collection).file("queries.parquet"), columns=["query_id"])["query_id"].to_pylist()


def read_queries(collection: str | Path) -> Iterator[tuple[str, str]]:
    """(id, text) of a collection's queries (manifest), sorted by id."""
    table = pq.read_table(Artifact(collection).file("queries.parquet"), columns=["query_id", "text"])
    return zip(table["query_id"].to_pylist(), table["text"].to_pylist(), strict=True)


def read_shut_out(collection: str | Path) -> pa.Table:
    """The pairs (query_id, doc_id) of both files of a training collection (manifest): no negative is among them."""
    judged = Artifact(collection)
    names = [POSITIVES, SPARED] if SPARED in judged else [POSITIVES]
    return pa.concat_tables(read_arrow(judged.file(name), ["query_id", "doc_id"]) for name in names)
