"""Write the groups that a student is trained on, with the teacher's scores, as other libraries read them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.export.cards import licence, write_card
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_some
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.groups import read_group_table
from workflow_scripts.storage.provenance import CARD
from workflow_scripts.train.groups import read_groups

BATCH = 4096
"""Groups that are written at once."""
DETAILS = ("source", "rank", "probability")


def export_training(
    *,
    spec: Mapping,
    groups: Path,
    labels: Path | None = None,
    collection: Path,
    corpus: Path,
    card: Path,
    output: Path,
) -> None:
    """Write a folder that ``datasets.load_dataset`` reads, or Tevatron's ``train.jsonl``, with a card.

    ``spec``: ``format`` (a key of :data:`FORMATS`); ``view``, how documents are read; ``group_size``; ``cut`` (None for
    all queries); ``reads_teacher``, whether the student's loss does: else ``labels`` are read for the cut, and no score
    is written; ``card``, facts of the card (see its template). Texts are whole: a student cuts them to its
    ``max_tokens``. Memory: the groups, and each text in them once.
    """
    if spec["format"] not in FORMATS:
        raise InputError(f"no format {spec['format']!r}: choose {', '.join(FORMATS)}, trec, model or onnx")
    read = _read(spec, groups, labels, collection, corpus)
    made_from = {"groups": groups, "labels": labels, "collection": collection, "corpus": corpus}
    with ArtifactWriter(output, kind="export", spec=spec) as writer:
        configs = FORMATS[spec["format"]](writer, read)
        writer.counts |= {"groups": len(read.rows) // read.size, "documents": len(read.rows)}
        facts = {
            **spec["card"],
            **{key: spec[key] for key in ("format", "view", "cut")},
            "groups": writer.counts["groups"],
            "size": read.size,
            "temperature": Artifact(labels).counts["temperature"] if labels and spec["reads_teacher"] else None,
            "manifests": [(name, str(path), Artifact(path).identity) for name, path in made_from.items() if path],
        }
        write_card(writer.path(CARD), card, _front_matter(configs, spec["card"]), facts)


@dataclass(frozen=True)
class _Training:
    """``rows``: a row a document, groups of ``size`` in their order, with ``score`` where there are labels.

    ``texts``: of the columns query and text the distinct texts, and which of them each row has.
    """

    rows: pa.Table
    size: int
    texts: Mapping[str, tuple[pa.Array, pa.ChunkedArray]]

    def batches(self) -> Iterator[pa.Table]:
        """The rows with their texts, whole groups at a time."""
        step = BATCH * self.size
        for start in range(0, len(self.rows), step):
            batch = self.rows.slice(start, step).combine_chunks()
            for name, (texts, places) in self.texts.items():
                batch = batch.append_column(name, texts.take(places.slice(start, step).combine_chunks()))
            yield batch


class _Places:
    """In the place of a token store: an id's row is its place in the file of groups."""

    def rows(self, ids: object) -> np.ndarray:
        return np.arange(len(ids))  # type: ignore[arg-type]


def _read(spec: Mapping, groups: Path, labels: Path | None, collection: Path, corpus: Path) -> _Training:
    """The groups that training reads, with their texts."""
    as_trained = {key: spec[key] for key in ("group_size", "cut", "reads_teacher")}
    read = read_groups(groups, _Places(), _Places(), labels=labels, **as_trained)
    rows = read_group_table(groups, *DETAILS).rows.take(read.document_rows.ravel())
    wanted = pc.unique(rows["doc_id"]).to_pylist()
    documents = pa.Table.from_batches(read_some(corpus, spec["view"], wanted))
    queries = pq.read_table(Artifact(collection).file("queries.parquet"), columns=["query_id", "text"])
    texts = {
        "query": _texts(rows["query_id"], queries, collection),
        "text": _texts(rows["doc_id"], documents, corpus),
    }
    if read.teacher is not None:
        rows = rows.append_column("score", pa.array(read.teacher.ravel()))
    return _Training(rows, spec["group_size"], texts)


def _texts(ids: pa.ChunkedArray, texts: pa.Table, manifest: Path) -> tuple[pa.Array, pa.ChunkedArray]:
    """Texts, of ``texts`` (id, text), and the place of each id's; large strings: they may pass two gigabytes."""
    places = pc.index_in(ids, value_set=texts.column(0))
    if places.null_count:
        missing = ids.filter(pc.is_null(places))[0].as_py()
        raise InputError(f"{manifest} has no {missing!r}, which the groups name: were they drawn from it?")
    return texts.column(1).cast(pa.large_string()).combine_chunks(), places


def _column(batch: pa.Table, name: str, place: int, size: int) -> pa.ChunkedArray:
    """What stands in a place of each group."""
    return batch[name].take(pa.array(np.arange(place, len(batch), size)))


def _lists(batch: pa.Table, size: int, **columns: str) -> dict[str, pa.Array]:
    """New name to a column's values as one list a group."""
    offsets = pa.array(np.arange(0, len(batch) + 1, size), pa.int32())
    return {
        new: pa.ListArray.from_arrays(offsets, batch[name].combine_chunks())
        for new, name in columns.items()
        if name in batch.column_names
    }


def _whole(batch: pa.Table, size: int) -> pa.Table:
    """A row a group, all that is known of it."""
    keys = {name: _column(batch, name, 0, size) for name in ("query_id", "query")}
    named = {"doc_ids": "doc_id", "documents": "text", "scores": "score", "sources": "source", "ranks": "rank"}
    return pa.table(keys | _lists(batch, size, **named, probabilities="probability"))


def _tuples(batch: pa.Table, size: int) -> pa.Table:
    """sentence-transformers' n-tuples: (query, positive, negative_1, ...), label: the teacher's score of each text."""
    names = ["positive", *(f"negative_{place}" for place in range(1, size))]
    texts = {name: _column(batch, "text", place, size) for place, name in enumerate(names)}
    return pa.table({"query": _column(batch, "query", 0, size), **texts, **_lists(batch, size, label="score")})


def _labelled_lists(batch: pa.Table, size: int) -> pa.Table:
    """sentence-transformers' labelled lists: (query, [documents]), labels: scores, or 1 for the positive."""
    if "score" not in batch.column_names:
        positive = np.arange(len(batch)) % size == 0
        batch = batch.append_column("score", pa.array(positive.astype(np.float32)))
    lists = _lists(batch, size, documents="text", labels="score")
    return pa.table({"query": _column(batch, "query", 0, size), **lists})


def _parquet(shapes: Mapping[str, Callable]) -> Callable[[ArtifactWriter, _Training], list[str]]:
    """A writer of a folder with a configuration for each of some shapes; its names are given back."""

    def write(writer: ArtifactWriter, training: _Training) -> list[str]:
        with contextlib.ExitStack() as files:
            written: dict[str, pq.ParquetWriter] = {}
            for batch in training.batches():
                for name, shape in shapes.items():
                    table = shape(batch, training.size)
                    if name not in written:
                        file = pq.ParquetWriter(writer.path(f"{name}/train.parquet"), table.schema, compression="zstd")
                        written[name] = files.enter_context(file)
                    written[name].write_table(table)
        return list(shapes)

    return write


def _write_tevatron(writer: ArtifactWriter, training: _Training) -> list[str]:
    """A line a query; a passage has its ``score`` where there are labels, as Tevatron's distillation reads it."""
    named, size = {"docid": "doc_id", "text": "text", "score": "score"}, training.size
    with open(writer.path("train.jsonl"), "w", encoding="utf-8") as file:
        for batch in training.batches():
            columns = {new: batch[name].to_pylist() for new, name in named.items() if name in batch.column_names}
            passages = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            keys = zip(batch["query_id"].to_pylist()[::size], batch["query"].to_pylist()[::size], strict=True)
            for place, (query_id, query) in enumerate(keys):
                group = passages[place * size : (place + 1) * size]
                line = {"query_id": query_id, "query": query}
                line |= {"positive_passages": group[:1], "negative_passages": group[1:]}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return []


FORMATS: dict[str, Callable[[ArtifactWriter, _Training], list[str]]] = {
    "datasets": _parquet({"groups": _whole}),
    "sentence-transformers": _parquet({"n-tuple": _tuples, "labeled-list": _labelled_lists}),
    "tevatron": _write_tevatron,
}


def _front_matter(configs: list[str], facts: Mapping):
    from huggingface_hub import DatasetCardData

    files = [(name, f"{name}/train.parquet") for name in configs] or [("default", "train.jsonl")]
    # The first is the one that is read where none is named.
    listed = [
        {"config_name": name, "data_files": [{"split": "train", "path": path}], "default": name == files[0][0]}
        for name, path in files
    ]
    return DatasetCardData(
        license=licence(facts["made_from"]),
        pretty_name=facts["name"],
        task_categories=["text-ranking"],
        tags=["distillation", "hard-negatives"],
        configs=listed,
    )


if __name__ == "__main__":
    run(export_training)
