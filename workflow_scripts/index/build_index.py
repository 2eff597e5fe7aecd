"""Index a corpus with Lucene (Anserini's default English analyser): ``lucene/`` beside the manifest.

The indexed text is the full view: title, a space, text. The index stores ids and postings, no text.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.index.java import heap_of
from workflow_scripts.index.lucene import Searcher, index_folder
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_view
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress

SHARD_DOCUMENTS = 20_000
LONGEST = 20_000_000
"""UTF-16 units of a JSON text that Anserini's reader (Jackson) takes: a longer one would lose its whole file."""
# Java's trim(), by which Anserini finds a document empty, takes off these and no others.
JAVA_BLANKS = "".join(map(chr, range(0x21)))


def build_index(spec: Mapping, corpus: Path, output: Path, *, threads: int, memory_mb: int) -> None:
    """Build the index of ``corpus`` (manifest paths). ``spec``: {"docvectors": true} keeps what RM3 needs.

    Counts: ``documents``, ``indexed`` and ``empty`` (without text: Lucene lists none of them). Raises
    :class:`InputError` where these do not add up, and for a document that is too long for Lucene's reader.
    """
    with ArtifactWriter(output, kind="indexes", spec=spec) as writer:
        shards, index = writer.path("shards"), writer.path("lucene")
        shards.mkdir()
        total, empty = _write_shards(corpus, shards)
        if total == empty:
            documents = Artifact(corpus).file("documents.parquet")
            raise InputError(f"{documents} holds no text to index: look at the corpus's fields")
        index_folder(shards, index, threads=threads, heap_mb=heap_of(memory_mb), docvectors=spec["docvectors"])
        shutil.rmtree(shards)
        model = {"model": "bm25", "k1": 0.9, "b": 0.4}
        indexed = Searcher(index, model, threads=threads, heap_mb=heap_of(memory_mb)).documents
        if indexed != total - empty:
            raise InputError(
                f"Lucene indexed {indexed} of the {total - empty} documents of {corpus} with text: see the lines above"
            )
        writer.counts |= {"documents": total, "indexed": indexed, "empty": empty}


def _write_shards(corpus: Path, folder: Path) -> tuple[int, int]:
    """Write JSONL files (id, contents) for Anserini, which takes a file a thread; returns documents and empty ones."""
    total = empty = 0
    progress = Progress(None, "documents written for Lucene")
    for number, batch in enumerate(read_view(corpus, "full", SHARD_DOCUMENTS)):
        with open(folder / f"{number:06d}.jsonl", "w", encoding="utf-8") as file:
            for doc_id, contents in zip(batch["doc_id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                if len(contents) > LONGEST // 2 and (length := len(contents.encode("utf-16-le")) // 2) > LONGEST:
                    raise InputError(
                        f"document {doc_id} has {length:,} characters, and Lucene reads at most {LONGEST:,}: "
                        "split it or leave it out"
                    )
                empty += not contents.strip(JAVA_BLANKS)
                file.write(json.dumps({"id": doc_id, "contents": contents}, ensure_ascii=False) + "\n")
        total += len(batch)
        progress.add(len(batch))
    return total, empty


if __name__ == "__main__":
    run(build_index)
