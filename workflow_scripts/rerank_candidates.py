"""Re-rank what a first stage found, for every evaluation collection in one process: ``{collection}.run.gz`` files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.ranking import scoring
from workflow_scripts.ranking.pools import PairCodes
from workflow_scripts.ranking.tokens import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter, InputError, parse_spec, run
from workflow_scripts.storage.rankings import read_ranking
from workflow_scripts.storage.runs import write_run


def rerank_candidates(
    spec: Mapping,
    model: str | Path,
    collections: Sequence[str],
    rankings: Sequence[str | Path],
    queries: Sequence[str | Path],
    documents: Sequence[str | Path],
    output: str | Path,
) -> None:
    """Score the first ``depth`` documents of each query of each ranking and write one run a collection.

    ``collections`` are ids; the other arguments are manifest paths, lists in the collections' order. ``spec``:
    ``architecture``, ``depth``, ``tag``; ``precision``, ``token_budget`` and ``max_tokens`` (a document's) as in
    scoring. Counts the pairs of each collection. The model is loaded once; bounded by it.
    """
    for key in ("architecture", "depth", "tag"):
        if key not in spec:
            raise InputError(f"the spec has no {key!r}")
    if not len(collections) == len(rankings) == len(queries) == len(documents):
        raise InputError("give one ranking, one query store and one document store for each collection, in order")
    stores = [PairCodes(*map(TokenStore, pair)) for pair in zip(queries, documents, strict=True)]
    distinct = {store.vocabulary: store for codes in stores for store in (codes.queries, codes.documents)}
    ranker = scoring.scoring_ranker(
        Artifact(model).folder, spec["architecture"], *distinct.values(), precision=spec.get("precision", "auto")
    )
    inputs = {"model": model, "rankings": list(rankings), "queries": list(queries), "documents": list(documents)}
    device = scoring.device_name(ranker.device)
    with ArtifactWriter(output, spec=spec, inputs=inputs, device=device) as writer:
        for collection, ranking, codes in zip(collections, rankings, stores, strict=True):
            frame = _candidates(ranking, spec["depth"])
            pairs = codes.queries.rows(frame["query_id"]), codes.documents.rows(frame["doc_id"])
            limits = {"max_document": spec.get("max_tokens")}
            progress = scoring.Progress(ranker, codes.queries, codes.documents, *pairs, name=collection, **limits)
            frame["score"] = scoring.score_pairs(
                ranker,
                codes.queries,
                codes.documents,
                *pairs,
                token_budget=spec.get("token_budget"),
                progress=progress,
                **limits,
            )
            write_run(writer.path(f"{collection}.run.gz"), frame, spec["tag"])
            writer.counts[collection] = len(frame)


def _candidates(ranking: str | Path, depth: int) -> pd.DataFrame:
    """Columns query_id, doc_id of a ranking's first ``depth`` ranks; one system, else :class:`InputError`."""
    frame = read_ranking(ranking, depth)
    systems = frame["system"].astype(str).unique()
    if len(systems) > 1:
        raise InputError(f"{ranking} holds {len(systems)} systems ({', '.join(sorted(systems))}): re-rank one of them")
    if frame.empty:
        raise InputError(f"{ranking} lists no document: look at the first stage's log")
    return frame[["query_id", "doc_id"]].copy()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=parse_spec, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--collections", nargs="+", required=True, help="ids, which name the runs")
    parser.add_argument("--rankings", type=Path, nargs="+", required=True, help="first stage, one for each collection")
    parser.add_argument("--queries", type=Path, nargs="+", required=True, help="token store, one for each collection")
    parser.add_argument("--documents", type=Path, nargs="+", required=True, help="token store, one for each collection")
    parser.add_argument("--output", type=Path, required=True)
    rerank_candidates(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run(main)
