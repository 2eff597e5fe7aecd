"""Tokenise a corpus once: a token store of one view of its documents, in the vocabulary of one backbone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from workflow_scripts.backbone.write_tokens import write_store
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import count_documents, read_view
from workflow_scripts.storage.progress import Progress


def tokenise_corpus(spec: Mapping, backbone: Path, corpus: Path, output: Path, *, threads: int = 1) -> None:
    """Write the token store of ``corpus`` (manifest paths). ``spec``: ``view`` (full, body), ``max_tokens``.

    Documents stream through in chunks; bounded by the tokenizer in ``threads`` threads.
    """
    folder = Artifact(backbone).file("tokenizer.json").parent
    with ArtifactWriter(output, kind="tokens", spec=spec) as writer:
        write_store(writer, _read(corpus, spec["view"]), folder, spec["max_tokens"], threads=threads)


def _read(corpus: str | Path, view: str) -> Iterator[tuple[str, str]]:
    progress = Progress(count_documents(corpus), "documents tokenised")
    for batch in read_view(corpus, view):
        yield from zip(batch["doc_id"].to_pylist(), batch["text"].to_pylist(), strict=True)
        progress.add(len(batch))


if __name__ == "__main__":
    run(tokenise_corpus)
