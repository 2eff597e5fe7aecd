"""Uniform over the top of a ranking that the teacher has re-ranked."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, check_sizes, draw, without
from workflow_scripts.storage.errors import InputError

NEEDS_RANKINGS = True
NEEDS_TEACHER = True
SOURCE = "crossencoder"


def sample(
    query: Candidates, count: int, rng: np.random.Generator, *, depth: int, pool: int, system: str | None = None
) -> list[Negative]:
    """Re-rank the ranking's top ``depth`` by teacher score, then draw from the ``pool`` best that are no positives.

    Equal scores are ordered by document id. The source is "crossencoder", rank and score are the re-ranking's.
    ``system`` names the ranking; it may be left out where there is one.
    """
    check_sizes(depth=depth, pool=pool)
    if pool > depth:
        raise InputError(f"a pool of {pool} is more than the {depth} candidates of the option depth")
    documents = [candidate.doc_id for candidate in query.listed(system, depth)]
    ordered = sorted((-query.teacher_score(document), document) for document in documents)
    reranked = [Negative(document, SOURCE, rank, -score) for rank, (score, document) in enumerate(ordered, 1)]
    return draw(query, without(reranked, query.positives)[:pool], count, rng)
