"""Documents of a prepared corpus and queries of a collection, as rankers read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

VIEWS = ("full", "body")
BATCH = 8192
LARGE = pa.large_string()


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
