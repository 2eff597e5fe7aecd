"""Tokenise a collection's queries once: a token store in the vocabulary of one backbone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.models.token_store import write_store
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter, parse_spec, run
from workflow_scripts.storage.documents import read_queries


def tokenise_queries(
    spec: Mapping, backbone: str | Path, collection: str | Path, output: str | Path, *, threads: int = 1
) -> None:
    """Write the token store of the queries of ``collection`` (manifest paths). ``spec``: ``max_tokens``.

    Raises :class:`InputError` for a query of which no token is left: a ranker cannot tell it from another.
    """
    folder = Artifact(backbone).file("tokenizer.json").parent
    with ArtifactWriter(output, spec=spec, inputs={"backbone": backbone, "collection": collection}) as writer:
        queries = read_queries(collection)
        write_store(writer, queries, folder, spec.get("max_tokens"), allow_empty=False, threads=threads)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=parse_spec, required=True)
    parser.add_argument("--backbone", type=Path, required=True, help="manifest of the model folder with the tokenizer")
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    tokenise_queries(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run(main)
