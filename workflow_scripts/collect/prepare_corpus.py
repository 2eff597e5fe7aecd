"""Prepare a corpus: its documents as one table, sorted by id, from ir_datasets, the generated language or a file.

Spec, by ``source`` (a key that has no default here is required):

- ``ir_datasets``: ``id``; ``text_fields`` (["text"], joined by a space); ``title_field`` (null) or ``title_separator``
  (null), which splits a title off the text; ``title_repeated`` (false), for a text field that begins with the title;
- ``generated``: ``world`` ("in-domain", "mild-shift" or "hard-shift"); ``seed`` (of the language and the documents);
  ``documents`` (the world's own number);
- ``files``: nothing more; ``--documents`` names a JSONL or TSV file.

Writes documents.parquet (doc_id, title, text: the body without the title). A generated corpus also has truth.parquet
(doc_id, topic, register, focal: its latent concepts) and concepts.parquet (concept, synonym, word, held_out).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from workflow_scripts.collect import files, ir_datasets_source
from workflow_scripts.collect.documents import Document, write_documents
from workflow_scripts.collect.places import Place
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import read_settings, run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table

TRUTH = pa.schema(
    [("doc_id", pa.string()), ("topic", pa.int32()), ("register", pa.int32()), ("focal", pa.list_(pa.int32()))]
)
CONCEPTS = pa.schema(
    [("concept", pa.int32()), ("synonym", pa.int32()), ("word", pa.string()), ("held_out", pa.bool_())]
)


@dataclass(frozen=True)
class IrDatasets:
    """Documents of a public dataset: see :func:`~workflow_scripts.collect.ir_datasets_source.iterate_documents`."""

    source: str
    id: str
    text_fields: Sequence[str] = ("text",)
    title_field: str | None = None
    title_separator: str | None = None
    title_repeated: bool = False


@dataclass(frozen=True)
class Generated:
    """Documents of the generated language; ``documents`` None: as many as its world has."""

    source: str
    world: str
    seed: int
    documents: int | None = None


@dataclass(frozen=True)
class Files:
    """Documents of a file."""

    source: str


SOURCES: Mapping[str, type] = {"ir_datasets": IrDatasets, "generated": Generated, "files": Files}


def prepare_corpus(*, output: Path, spec: Mapping, documents: Path | None = None, archives: Path | None = None) -> None:
    """Write the corpus of ``spec`` beside the manifest ``output``; raises :class:`InputError` for bad input.

    ``archives``: manifest of the fetched archives of ir_datasets; without it ir_datasets fetches what it lacks.
    Memory: see :mod:`workflow_scripts.collect.documents`; of a generated corpus, what it is drawn from too.
    """
    options = asdict(read_settings(SOURCES[spec["source"]], spec))
    source = options.pop("source")
    if (source == "files") != (documents is not None):
        raise InputError("--documents names the file of a corpus from files: give both or neither")
    with ArtifactWriter(output, kind="corpora", spec=spec, seed=options.get("seed")) as writer:
        if source == "generated":
            stream, place = _generate(writer, **options), Place(options["world"], "document")
        elif source == "files":
            stream, place = files.iterate_documents(Path(documents)), Place(str(documents))
        else:
            name = options.pop("id")
            stream, place = ir_datasets_source.iterate_documents(name, **options), Place(name, "document")
        writer.counts.update(write_documents(stream, place, writer.path("documents.parquet"), writer.partial))


def _generate(writer: ArtifactWriter, world: str, seed: int, documents: int | None) -> Iterator[Document]:
    from workflow_scripts.collect.generated import make_documents
    from workflow_scripts.collect.language import WORLDS, make_language

    language = make_language(seed)
    made = make_documents(language, world, documents or WORLDS[world].documents, seed)
    present = made.focal >= 0
    ends = np.concatenate(([0], present.sum(axis=1).cumsum())).astype(np.int32)
    focal = pa.ListArray.from_arrays(ends, made.focal[present].astype(np.int32))
    ids = pa.array(made.ids(), pa.string(), size=len(made.lengths))
    truth = {"doc_id": ids, "topic": made.topics, "register": made.registers, "focal": focal}
    write_table(writer.path("truth.parquet"), truth, TRUTH)
    concepts, synonyms = np.indices(language.words.shape)
    table = {
        "concept": concepts.ravel(),
        "synonym": synonyms.ravel(),
        "word": language.words.ravel(),
        "held_out": language.held_out[concepts.ravel()],
    }
    write_table(writer.path("concepts.parquet"), table, CONCEPTS)
    named = zip(made.ids(), made.texts(), strict=True)
    return (Document(row, doc_id, "", text) for row, (doc_id, text) in enumerate(named, 1))


if __name__ == "__main__":
    run(prepare_corpus)
