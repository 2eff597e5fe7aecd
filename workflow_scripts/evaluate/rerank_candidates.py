"""Re-rank what a first stage found, for every evaluation collection in one process: ``{collection}.run.gz`` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.models import scoring
from workflow_scripts.models.devices import device_name
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import NOTHING, Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.evaluation import read_candidates
from workflow_scripts.storage.runs import write_run

RUN = ["query_id", "doc_id", "score"]


def rerank_candidates(
    spec: Mapping,
    model: Path,
    collections: Sequence[str],
    evaluation: Path,
    tokens: Path,
    output: Path,
) -> None:
    """Score every candidate of each query of each collection and write one run a collection.

    ``collections`` are ids, ``evaluation`` holds their candidates, ``tokens`` (of ``tokenise_evaluation``) their texts.
    ``spec``: ``architecture``, ``precision``, the runs' ``tag``. Counts the pairs of each collection. The model is
    loaded once; bounded by it. A model that was not trained has empty runs.
    """
    if (nothing := Artifact(model).nothing) is not None:
        with ArtifactWriter(output, kind="runs", spec=spec) as writer:
            for collection in collections:
                write_run(writer.path(f"{collection}.run.gz"), pd.DataFrame(columns=RUN), spec["tag"])
            writer.counts[NOTHING] = nothing
        return
    stores = [tuple(TokenStore(tokens, f"{name}.{kind}") for kind in ("queries", "documents")) for name in collections]
    ranker = scoring.scoring_ranker(
        Artifact(model).folder, spec["architecture"], stores[0][0], precision=spec["precision"]
    )
    device = device_name(ranker.device)
    with ArtifactWriter(output, kind="runs", spec=spec, device=device) as writer:
        for collection, (queries, documents) in zip(collections, stores, strict=True):
            frame = read_candidates(evaluation, collection)[["query_id", "doc_id"]]
            pairs = queries.rows(frame["query_id"]), documents.rows(frame["doc_id"])
            progress = scoring.scoring_progress(ranker, queries, documents, *pairs, name=collection)
            frame["score"] = scoring.score_pairs(ranker, queries, documents, *pairs, progress=progress)
            write_run(writer.path(f"{collection}.run.gz"), frame, spec["tag"])
            writer.counts[collection] = len(frame)


if __name__ == "__main__":
    run(rerank_candidates)
