"""Uniform over the top of a ranking that the teacher has re-ranked."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw, reranked, without

NEEDS_RANKINGS = True
NEEDS_TEACHER = True
OPTIONS = {
    "depth": {"type": "whole", "ge": 1, "unit": "documents", "description": "top of the ranking that is re-ranked"},
    "pool": {
        "type": "whole",
        "ge": 1,
        "within": "depth",
        "unit": "documents",
        "description": "best of the re-ranked, positives left out, that negatives are drawn from",
    },
    "system": {"type": "text", "description": "whose ranking; null where there is one"},
}
SOURCE = "crossencoder"


def sample(
    query: Candidates, count: int, rng: np.random.Generator, *, depth: int, pool: int, system: str | None = None
) -> list[Negative]:
    """Uniform draws from the ``pool`` best non-positives of the ranking's top ``depth``, re-ranked by the teacher.

    Equation: each document of the pool is drawn with probability count / pool; equal scores are ordered by document id.
    Source: the study's cross-encoder negatives.
    Shapes: ``count`` negatives; their source is "crossencoder", rank and score are the re-ranking's.
    When to use: negatives that the teacher finds hard, where its scores of the ranking are paid for.
    Compare with: bm25, the same pool before the teacher; ensemble, which drops what the teacher takes for relevant.
    Config: ``samplers: {hard: {function: crossencoder, systems: [bm25], pools: [bm25],
    options: {pool: 50, depth: 100}}}``
    """
    return draw(query, without(reranked(query, system, depth, SOURCE), query.positives)[:pool], count, rng)
