"""Tokenise a corpus once: a token store of one view of its documents, in the vocabulary of one backbone.

The full view is the title, a space and the body (the body alone where there is no title); the body view is the body.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.ranking.tokens import write_store
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter, InputError, parse_spec, run

VIEWS = ("full", "body")
PROGRESS_S = 10


def tokenise_corpus(spec: Mapping, backbone: str | Path, corpus: str | Path, output: str | Path) -> None:
    """Write the token store of ``corpus`` (manifest paths). ``spec``: ``view`` (full, body), ``max_tokens``.

    Documents stream through in chunks; bounded by the tokenizer.
    """
    view = spec.get("view")
    if view not in VIEWS:
        raise InputError(f"the corpus view is {view!r}: choose {' or '.join(VIEWS)}")
    documents = Artifact(corpus).file("documents.parquet")
    folder = Artifact(backbone).file("tokenizer.json").parent
    with ArtifactWriter(output, spec=spec, inputs={"backbone": backbone, "corpus": corpus}) as writer:
        write_store(writer, _read(documents, view), folder, spec.get("max_tokens"))


def _read(path: Path, view: str) -> Iterator[tuple[str, str]]:
    file = pq.ParquetFile(path)
    total, done, told = file.metadata.num_rows, 0, time.monotonic()
    columns = ["doc_id", "text"] if view == "body" else ["doc_id", "text", "title"]
    for batch in file.iter_batches(batch_size=8192, columns=columns):
        ids, texts = (batch.column(name).to_pylist() for name in ("doc_id", "text"))
        if view == "full":
            titles = batch.column("title").to_pylist()
            texts = [f"{title} {text}" if title else text for title, text in zip(titles, texts, strict=True)]
        yield from zip(ids, texts, strict=True)
        done += len(ids)
        if time.monotonic() - told > PROGRESS_S:
            told = time.monotonic()
            print(f"{done:,} of {total:,} documents tokenised", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=parse_spec, required=True)
    parser.add_argument("--backbone", type=Path, required=True, help="manifest of the model folder with the tokenizer")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    tokenise_corpus(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run(main)
