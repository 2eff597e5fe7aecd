"""Tokenise what rankers are evaluated on: each test collection's queries and the documents that are re-ranked.

One artifact of two token stores a collection, ``{collection}.queries`` and ``{collection}.documents`` (the full view).
Of a corpus only candidates are tokenised: the rest is never re-ranked.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.backbone.write_tokens import write_store
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_queries, read_some
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import read_candidates


def tokenise_evaluation(
    *,
    spec: Mapping,
    backbone: Path,
    evaluation: Path,
    collections: Sequence[str],
    tests: Sequence[Path],
    corpora: Sequence[Path],
    output: Path,
    threads: int = 1,
) -> None:
    """Write both stores of each of ``collections``; all paths are manifests, lists in the collections' order.

    ``spec``: ``query_tokens`` and ``document_tokens``, where texts are cut. Raises :class:`InputError` for a candidate
    that its corpus lacks and for a query without a token. Bounded by reading the corpora and by the tokenizer in
    ``threads`` threads; memory holds the candidates' ids of one collection and a batch of its texts.
    """
    if not len(collections) == len(tests) == len(corpora):
        raise InputError("give one collection's manifest and one corpus for each id, in order")
    folder = Artifact(backbone).file("tokenizer.json").parent
    with ArtifactWriter(output, kind="tokens", spec=spec) as writer:
        write = functools.partial(write_store, writer, backbone=folder, threads=threads)
        for name, test, corpus in zip(collections, tests, corpora, strict=True):
            queries, documents = f"{name}.queries", f"{name}.documents"
            write(read_queries(test), max_tokens=spec["query_tokens"], part=queries, allow_empty=False)
            write(_candidates(name, evaluation, corpus), max_tokens=spec["document_tokens"], part=documents)
            print(f"{name}: {writer.counts[documents]['texts']:,} documents", file=sys.stderr, flush=True)


def _candidates(name: str, evaluation: str | Path, corpus: str | Path) -> Iterator[tuple[str, str]]:
    """(id, text) of a collection's candidates in the corpus' order; an error at its end for those it lacks."""
    wanted = read_candidates(evaluation, name)["doc_id"].unique()
    found = 0
    for kept in read_some(corpus, "full", wanted):
        found += len(kept)
        yield from zip(kept["doc_id"].to_pylist(), kept["text"].to_pylist(), strict=True)
    if found != len(wanted):
        raise InputError(f"{len(wanted) - found} candidates of {name} are not in {corpus}: search its index again")


if __name__ == "__main__":
    run(tokenise_evaluation)
