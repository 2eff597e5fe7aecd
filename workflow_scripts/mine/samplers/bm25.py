"""Uniform over the top of one ranking: BM25's, or any other system's."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw, without

NEEDS_RANKINGS = True
NEEDS_TEACHER = False
OPTIONS = {
    "depth": {"type": "whole", "ge": 1, "unit": "documents", "description": "top of the ranking that is read"},
    "pool": {
        "type": "whole",
        "ge": 1,
        "within": "depth",
        "unit": "documents",
        "description": "best of them, positives left out, that negatives are drawn from",
    },
    "system": {"type": "text", "description": "whose ranking; null where there is one"},
}


def sample(
    query: Candidates, count: int, rng: np.random.Generator, *, depth: int, pool: int, system: str | None = None
) -> list[Negative]:
    """Uniform draws without replacement from the ``pool`` best of the ranking's top ``depth`` that are no positives.

    Equation: each document of the pool is drawn with probability count / pool.
    Source: the study's BM25 negatives.
    Shapes: ``count`` negatives; what a short pool lacks comes from the corpus, as "fill".
    When to use: the cheapest hard negatives; the study's first step up from random ones.
    Compare with: mixed, which draws a share of them; crossencoder, which re-ranks the same candidates first.
    Config: ``samplers: {bm25: {function: bm25, systems: [bm25], pools: [bm25], options: {pool: 50, depth: 100}}}``
    """
    return draw(query, without(query.listed(system, depth), query.positives)[:pool], count, rng)
