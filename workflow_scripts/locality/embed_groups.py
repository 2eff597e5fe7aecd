"""Embed the documents of sampled groups: ``vectors.npy`` and ``ids.npy`` beside the manifest.

Spec: ``queries`` (how many training queries to embed the groups of, null: all), ``seed`` of their choice,
``precision``, ``max_tokens`` (a document's). The same queries are chosen whatever the sampler, by a hash of their id.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.sampled_groups import read_sampled_groups
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed


def embed_groups(spec: Mapping, groups: Sequence[Path], model: Path, documents: Path, output: Path) -> None:
    """Write the vectors of the distinct documents of the chosen queries' groups, over all ``groups``.

    All arguments are manifest paths; ``model`` is a backbone or a bi-encoder. Files: ``vectors.npy`` float32
    (documents, dims), ``ids.npy`` (their ids as bytes, sorted), ``queries.npy`` (the chosen queries' ids as bytes,
    sorted). Counts ``documents``, ``queries``, ``dimensions``. Bound by the encoder: each document once.
    """
    from workflow_scripts.models import scoring
    from workflow_scripts.models.devices import device_name
    from workflow_scripts.models.embedding import embed_texts

    chosen, wanted = _choose(groups, spec["queries"], spec["seed"])
    store = TokenStore(documents)
    rows = store.rows(wanted.tolist())
    encoder = scoring.scoring_ranker(Artifact(model).folder, "bi-encoder", store, precision=spec["precision"])
    device = device_name(encoder.device)
    print(f"{len(rows):,} documents of {len(chosen):,} queries to embed on {device}", file=sys.stderr, flush=True)
    inputs = {"groups": list(groups), "model": model, "documents": documents}
    with ArtifactWriter(
        output, kind="embeddings", spec=spec, inputs=inputs, seed=spec["seed"], device=device
    ) as writer:
        vectors = embed_texts(encoder, store, rows, max_tokens=spec["max_tokens"])
        np.save(writer.path("vectors.npy"), vectors)
        np.save(writer.path("ids.npy"), store.ids[rows])
        np.save(writer.path("queries.npy"), np.array([query.encode() for query in chosen]))
        writer.counts |= {"documents": len(rows), "queries": len(chosen), "dimensions": vectors.shape[1]}


def _choose(groups: Sequence[str | Path], number: int | None, seed: int) -> tuple[list[str], np.ndarray]:
    """The chosen queries, sorted, and the distinct documents of their groups, sorted bytewise."""
    chosen: list[str] | None = None
    documents: set[str] = set()
    for manifest in groups:
        part = read_sampled_groups(manifest)
        if chosen is None:
            ordered = sorted(part.query_ids, key=lambda query: (derive_seed(seed, "locality", query), query))
            chosen = sorted(ordered[:number])
        kept = pd.Index(part.query_ids).isin(chosen)
        if kept.sum() != len(chosen):
            raise InputError(f"{manifest} has no group for a query that others have: draw the groups again")
        documents.update(part.doc_ids[kept].ravel())
    return chosen or [], np.array(sorted(documents, key=str.encode), dtype=object)


if __name__ == "__main__":
    run(embed_groups)
