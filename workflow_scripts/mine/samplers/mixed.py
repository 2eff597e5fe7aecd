"""The dial of locality: a fixed share of a group's negatives from the top of a ranking, the others from anywhere."""

from __future__ import annotations

import numpy as np

from workflow_scripts.experiment.shares import near_negatives
from workflow_scripts.mine.candidates import Candidates, Negative, draw, draw_documents, without

NEEDS_RANKINGS = True
NEEDS_TEACHER = False
OPTIONS = {
    "depth": {"type": "whole", "ge": 1, "unit": "documents", "description": "top of the ranking that is read"},
    "pool": {
        "type": "whole",
        "ge": 1,
        "within": "depth",
        "unit": "documents",
        "description": "best of them, positives left out, that near negatives are drawn from",
    },
    "share": {
        "type": "number",
        "ge": 0,
        "le": 1,
        "description": "of a group's negatives that are near: a whole number of them, to three decimals",
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
    share: float,
    system: str | None = None,
) -> list[Negative]:
    """Draws of ``share`` of the negatives from the ``pool`` best of a ranking, of the rest from outside that pool.

    Equation: for n = share x count near negatives of k = count, a pool of P and N eligible documents, a document of the
    pool is drawn with probability n / P, any other with (k - n) / (N - P). The two parts cannot meet.
    Source: this project; the pool is the sampler bm25's.
    Shapes: ``count`` negatives; their sources (the system; "corpus") show the part. What a pool smaller than n
    lacks comes from outside it, as "fill".
    When to use: the dial of locality in the factorial study.
    Compare with: bm25 or dense, which share 1 draws as; random, which share 0 is draw for draw: it then shuts out no
    pool, which a group holds P / N of by chance.
    Config: ``samplers: {near-43: {function: mixed, systems: [bm25], pools: [bm25],
    options: {share: 0.429, pool: 50, depth: 100}}}``

    Raises :class:`InputError`, naming the nearest shares, where share x count is no whole number.
    """
    wanted = near_negatives(share, count)
    near = without(query.listed(system, depth), query.positives)[:pool] if wanted else []
    chosen = draw(query, near, min(wanted, len(near)), rng)
    if len(chosen) == count:
        return chosen
    excluded = {*query.positives, *(candidate.doc_id for candidate in near)}
    others = draw_documents(query, count - len(chosen), rng, excluded, "corpus")
    short = wanted - len(chosen)
    return chosen + [other._replace(source="fill") for other in others[:short]] + others[short:]
