"""Uniform over the top of a dense system's ranking, less its very best where those are often unjudged positives."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw, without

NEEDS_RANKINGS = True
NEEDS_TEACHER = False
OPTIONS = {
    "depth": {"type": "whole", "ge": 1, "unit": "documents", "description": "top of the ranking that is read"},
    "skip": {
        "type": "whole",
        "ge": 0,
        "within": "depth",
        "unit": "documents",
        "description": "best of them, positives left out, that are never drawn",
    },
    "pool": {
        "type": "whole",
        "ge": 1,
        "within": "depth",
        "unit": "documents",
        "description": "the next best, that negatives are drawn from",
    },
    "system": {"type": "text", "description": "whose ranking; null where there is one"},
}


def sample(
    query: Candidates,
    count: int,
    rng: np.random.Generator,
    *,
    depth: int,
    pool: int,
    system: str | None = None,
    skip: int = 0,
) -> list[Negative]:
    """Uniform draws from ``pool`` non-positives of the ranking's top ``depth``, the best ``skip`` left out.

    Equation: each document of the pool is drawn with probability count / pool; the fill of a short group does not bring
    back what was skipped.
    Source: the encoder's nearest documents, drawn once before training (ANCE, Xiong et al. 2021, draws them anew as the
    encoder changes). RocketQA (Qu et al. 2021) found most of what an encoder ranks highest relevant, merely
    unjudged: ``skip`` leaves out that many by rank alone, without a teacher.
    Shapes: ``count`` negatives.
    When to use: negatives near in a bi-encoder's space, for cross-encoders or for another bi-encoder.
    Compare with: bm25, the same draw from another ranking; ensemble, which leaves out likely positives by the teacher.
    Config: ``samplers: {dense: {function: dense, systems: [dense], pools: [dense], options: {pool: 50, depth: 100}}}``
    """
    candidates = without(query.listed(system, depth), query.positives)
    skipped = {candidate.doc_id for candidate in candidates[:skip]}
    return draw(query, candidates[skip : skip + pool], count, rng, excluded=skipped)
