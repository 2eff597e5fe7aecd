"""Score a candidate pool with a teacher: what rankings list for each query, and the positives, each pair once.

Pairs that ``--known`` pools hold are left out: a pair is scored by a teacher once, whatever draws it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.provenance import fingerprint
from workflow_scripts.teach.pools import SCORES_FILE, PairCodes, PoolWriter, check_teacher, distinct, look_up

if TYPE_CHECKING:
    from workflow_scripts.teach.fold_teachers import FoldTeachers
    from workflow_scripts.teach.scored_parts import ScoredParts

PART = 2**20  # pairs scored and kept at a time: under a minute of a current GPU


def score_pool(
    spec: Mapping,
    models: Sequence[Path],
    queries: Path,
    documents: Path,
    rankings: Sequence[Path],
    output: Path,
    collection: Path | None = None,
    known: Sequence[Path] = (),
) -> None:
    """Write ``scores.parquet`` (query_id, doc_id, score) for the pairs of ``rankings`` that no ``known`` pool holds.

    All arguments are manifest paths; ``collection`` is given where its positives are scored too. Of several ``models``
    each scores the queries of its fold, see :class:`~workflow_scripts.teach.fold_teachers.FoldTeachers`. ``spec``:
    ``depth`` of the rankings, ``precision``. Counts ``pairs`` and ``known``.
    Memory: about 30 bytes a pair. Bounded by the model. A killed job goes on after the parts it had finished.
    """
    check_teacher(models, known)
    codes = PairCodes(TokenStore(queries), TokenStore(documents))
    wanted = _wanted(codes, rankings, spec["depth"], collection)
    missing = wanted[np.isnan(look_up(wanted, known, codes))]
    print(f"{len(wanted):,} pairs in the pool, {len(wanted) - len(missing):,} of them scored before", file=sys.stderr)

    from workflow_scripts.models.devices import best_device, device_name
    from workflow_scripts.teach.fold_teachers import FoldTeachers
    from workflow_scripts.teach.scored_parts import ScoredParts

    device = best_device()
    inputs = {"models": list(models), "queries": queries, "documents": documents, "rankings": list(rankings)}
    inputs |= {"known": list(known)} | ({"collection": collection} if collection else {})
    with (
        ArtifactWriter(output, kind="teacher scores", spec=spec, inputs=inputs, device=device_name(device)) as writer,
        PoolWriter(writer.path(SCORES_FILE), codes) as pool,
    ):
        teachers = FoldTeachers(models, codes, spec["precision"])
        # The pairs stand for what they were taken from.
        decisive = {
            **spec,
            "precision": str(next(teachers.rankers[0].parameters()).dtype),
            "pairs": hashlib.sha256(missing).hexdigest(),
        }
        read = {"queries": queries, "documents": documents}
        read |= {f"model {fold}": model for fold, model in enumerate(models)}
        parts = ScoredParts(writer.folder, fingerprint(decisive, read, device.type))
        writer.cost_before_resume = parts.cost_before_resume
        _score(teachers, missing, parts, pool)
        writer.counts |= {"pairs": len(missing), "known": len(wanted) - len(missing)}
    parts.remove()


def _score(teachers: FoldTeachers, pairs: np.ndarray, parts: ScoredParts, pool: PoolWriter) -> None:
    """Score ``pairs`` part by part into ``pool``; a part that an earlier process finished is taken from ``parts``."""
    cut = [pairs[first : first + PART] for first in range(0, len(pairs), PART)]
    progress = None
    for number, part in enumerate(cut):
        scores = parts.load(number, len(part))
        if scores is None:
            # Finished parts come first, so what is left to score is certain here.
            progress = progress or teachers.progress(pairs[number * PART :], "score_pool")
            scores = teachers.score(part, progress)
            if number + 1 < len(cut):
                parts.save(number, scores)
        pool.add(part, scores)


def _wanted(
    codes: PairCodes, rankings: Sequence[str | Path], depth: int, collection: Path | None
) -> np.ndarray:  # (pairs,) sorted, distinct
    parts = [np.empty(0, np.int64), *(codes.of_ranking(ranking, depth) for ranking in rankings)]
    if collection is not None:
        parts.append(codes.of_table(Artifact(collection).file("positives.parquet")))
    return distinct(np.concatenate(parts))


if __name__ == "__main__":
    run(score_pool)
