"""Score a candidate pool with a teacher: what rankings list for each query, and the positives, each pair once.

Pairs that ``--known`` pools hold are left out: a pair is scored by a teacher once, whatever draws it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.ranking.pools import SCORES_FILE, PairCodes, PoolWriter, check_teacher, look_up
from workflow_scripts.ranking.tokens import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter, InputError, parse_spec, run

PART = 2**22


def score_pool(
    spec: Mapping,
    model: str | Path,
    queries: str | Path,
    documents: str | Path,
    rankings: Sequence[str | Path],
    output: str | Path,
    collection: str | Path | None = None,
    known: Sequence[str | Path] = (),
) -> None:
    """Write ``scores.parquet`` (query_id, doc_id, score) for the pairs of ``rankings`` that no ``known`` pool holds.

    All arguments are manifest paths. ``spec``: ``depth`` of the rankings; ``positives`` (with ``collection``);
    ``precision``, ``token_budget`` and ``max_tokens`` (a document's) as in scoring. Counts ``pairs`` and ``known``.
    Memory: about 30 bytes a pair. Bounded by the model.
    """
    depth, positives = spec.get("depth"), bool(spec.get("positives"))
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 0:
        raise InputError(f"depth is {depth!r}, not a whole number from 0 up")
    if positives and collection is None:
        raise InputError("the spec asks for the positives' scores: name the collection with --collection")
    check_teacher(model, known)
    codes = PairCodes(TokenStore(queries), TokenStore(documents))
    wanted = _wanted(codes, rankings, depth, Artifact(collection).file("positives.parquet") if positives else None)
    missing = wanted[np.isnan(look_up(wanted, known, codes))]
    print(f"{len(wanted):,} pairs in the pool, {len(wanted) - len(missing):,} of them known", file=sys.stderr)

    from workflow_scripts.ranking import scoring

    device = scoring.best_device()
    inputs = {"model": model, "queries": queries, "documents": documents, "rankings": list(rankings)}
    inputs |= {"known": list(known)} | ({"collection": collection} if positives else {})
    with (
        ArtifactWriter(output, spec=spec, inputs=inputs, device=scoring.device_name(device)) as writer,
        PoolWriter(writer.path(SCORES_FILE), codes) as pool,
    ):
        ranker = scoring.scoring_ranker(
            Artifact(model).folder,
            "cross-encoder",
            codes.queries,
            codes.documents,
            precision=spec.get("precision", "auto"),
        )
        limits = {"max_document": spec.get("max_tokens")}
        progress = scoring.Progress(
            ranker, codes.queries, codes.documents, *codes.rows(missing), name="score_pool", **limits
        )
        for first in range(0, len(missing), PART):
            part = missing[first : first + PART]
            scores = scoring.score_pairs(
                ranker,
                codes.queries,
                codes.documents,
                *codes.rows(part),
                token_budget=spec.get("token_budget"),
                progress=progress,
                **limits,
            )
            pool.add(part, scores)
        writer.counts |= {"pairs": len(missing), "known": len(wanted) - len(missing)}


def _wanted(
    codes: PairCodes, rankings: Sequence[str | Path], depth: int, positives: Path | None
) -> np.ndarray:  # (pairs,) sorted, distinct
    wanted = np.empty(0, np.int64)
    for ranking in rankings:
        wanted = np.union1d(wanted, codes.of_ranking(ranking, depth))
    return wanted if positives is None else np.union1d(wanted, codes.of_table(positives))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=parse_spec, required=True)
    parser.add_argument("--model", type=Path, required=True, help="the teacher")
    parser.add_argument("--queries", type=Path, required=True, help="token store")
    parser.add_argument("--documents", type=Path, required=True, help="token store")
    parser.add_argument("--rankings", type=Path, nargs="*", default=[], help="manifests; none for a pool of positives")
    parser.add_argument("--collection", type=Path, help="training collection, for its positives")
    parser.add_argument("--known", type=Path, nargs="*", default=[], help="pools that this teacher has scored")
    parser.add_argument("--output", type=Path, required=True)
    score_pool(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run(main)
