"""Score a candidate pool with a teacher: what rankings list for each query, and the positives, each pair once.

Pairs that ``--known`` pools hold are left out: a pair is scored by a teacher once, whatever draws it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.teach.pools import SCORES_FILE, PairCodes, PoolWriter, check_teacher, look_up, pool_pairs


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
    wanted = pool_pairs(codes, rankings, spec["depth"], collection)
    missing = wanted[np.isnan(look_up(wanted, known, codes))]
    print(f"{len(wanted):,} pairs in the pool, {len(wanted) - len(missing):,} of them scored before", file=sys.stderr)

    from workflow_scripts.models.devices import best_device, device_name
    from workflow_scripts.teach.scored_parts import score_in_parts

    stores = {"queries": queries, "documents": documents}
    device = device_name(best_device())
    with (
        ArtifactWriter(output, kind="teacher scores", spec=spec, device=device) as writer,
        PoolWriter(writer.path(SCORES_FILE), codes) as pool,
    ):
        parts, scored = score_in_parts(writer, spec, models, stores, codes, missing)
        for part, scores in scored:
            pool.add(part, scores)
        writer.counts |= {"pairs": len(missing), "known": len(wanted) - len(missing)}
    parts.remove()


if __name__ == "__main__":
    run(score_pool)
