"""The top of a ranking, less what the teacher scores too near the positive: likely unjudged positives."""

from __future__ import annotations

import math

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw, without

NEEDS_RANKINGS = True
NEEDS_TEACHER = True
NEEDS_POSITIVES = True
OPTIONS = {
    "depth": {"type": "whole", "ge": 1, "unit": "documents", "description": "top of the ranking that is read"},
    "pool": {
        "type": "whole",
        "ge": 1,
        "within": "depth",
        "unit": "documents",
        "description": "best of them that stay, positives left out, that negatives are drawn from",
    },
    "limit": {
        "type": "choice",
        "choices": ["share", "margin"],
        "needs_level": ["share"],
        "description": "a document stays that scores at most value x the positive's score (share, of scores between 0 "
        "and 1: sigma(g), for a teacher whose loss fixes their level), or at most the positive's score less value "
        "(margin)",
    },
    "value": {"type": "number", "gt": 0, "description": "of the limit: a share, or a margin in the teacher's scores"},
    "system": {"type": "text", "description": "whose ranking; null where there is one"},
}


def sample(
    query: Candidates,
    count: int,
    rng: np.random.Generator,
    *,
    depth: int,
    pool: int,
    limit: str,
    value: float,
    system: str | None = None,
) -> list[Negative]:
    """Uniform draws from the ``pool`` best of the ranking's top ``depth`` that the teacher scores below the limit.

    Equation: with g+ = min over positives g(p), a document d stays where sigma(g(d)) <= value sigma(g+) (share) or
    g(d) <= g+ - value (margin); each of the pool is drawn with probability count / pool.
    Source: TopK-PercPos and TopK-MarginPos of NV-Retriever (Moreira et al. 2024, arXiv 2407.15831). Theirs is one
    embedding model's cosine, between 0 and 1; a share of a cross-encoder's score, which may be negative, would be none,
    hence sigma. A share needs scores with a level, as a cosine's or a trained probability's: lce is the same for g and
    g + c, so that c, and with it what a share drops, is an accident of the training. A teacher that is trained here by
    such a loss is refused; a margin is the same for every c.
    Shapes: ``count`` negatives, rank and score the ranking's. What the limit drops is counted (``filtered``), and the
    fill of a short group does not bring it back.
    When to use: hard negatives of one system where judgements are sparse. A pool of ``count`` takes the very best.
    Compare with: bm25 or dense, the same draw without a teacher; ensemble, its margin over several systems.
    Config: ``samplers: {positive-aware: {function: positive_aware, systems: [bm25], pools: [positives, bm25],
    options: {pool: 50, depth: 100, limit: margin, value: 0.5}}}``
    """
    highest = _limit(min(query.teacher_score(positive) for positive in query.positives), limit, value)
    candidates = without(query.listed(system, depth), query.positives)
    dropped = {each.doc_id for each in candidates if query.teacher_score(each.doc_id) > highest}
    query.counts["filtered"] += len(dropped)
    return draw(query, without(candidates, dropped)[:pool], count, rng, excluded=dropped)


def _limit(positive: float, limit: str, value: float) -> float:
    """The highest score that a negative may have, from the lowest positive's."""
    if limit == "margin":
        return positive - value
    if value == 1:
        return positive
    # log sigma(positive); a share far below 1 would round to 0, and sigma of a large score to 1.
    log_sigma = min(positive, 0.0) - math.log1p(math.exp(-abs(positive)))
    log_share = math.log(value) + log_sigma
    return log_share - math.log(-math.expm1(log_share)) if log_share < 0 else math.inf
