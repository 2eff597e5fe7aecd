"""Tokenise a collection's queries once: a token store in the vocabulary of one backbone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.backbone.write_tokens import write_store
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_queries


def tokenise_queries(spec: Mapping, backbone: Path, collection: Path, output: Path, *, threads: int = 1) -> None:
    """Write the token store of the queries of ``collection`` (manifest paths). ``spec``: ``max_tokens``.

    Raises :class:`InputError` for a query of which no token is left: a ranker cannot tell it from another.
    """
    folder = Artifact(backbone).file("tokenizer.json").parent
    with ArtifactWriter(output, kind="tokens", spec=spec) as writer:
        queries = read_queries(collection)
        write_store(writer, queries, folder, spec["max_tokens"], allow_empty=False, threads=threads)


if __name__ == "__main__":
    run(tokenise_queries)
