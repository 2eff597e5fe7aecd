"""One negative of each stratum of the teacher's scores: easy, middling and hard ones in every group."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw, reranked, without

NEEDS_RANKINGS = True
NEEDS_TEACHER = True
OPTIONS = {
    "depth": {
        "type": "whole",
        "ge": 1,
        "unit": "documents",
        "description": "top of the ranking that is cut into strata, positives left out",
    },
    "system": {"type": "text", "description": "whose ranking; null where there is one"},
}
SOURCE = "stratified"


def sample(
    query: Candidates, count: int, rng: np.random.Generator, *, depth: int, system: str | None = None
) -> list[Negative]:
    """One uniform draw from each of ``count`` equal strata of the ranking's top ``depth``, re-ranked by the teacher.

    Equation: the P documents in the teacher's order are cut into count runs, as equal as whole numbers allow, the
    longer ones first; each document of a run of n is drawn with probability 1 / n.
    Source: Jang et al. (2026, arXiv 2604.04734), who cover the teacher's whole score spectrum by its quantiles. They
    take one document a quantile, without a draw, and add random documents to the candidates.
    Shapes: ``count`` negatives, hardest stratum first; their source is "stratified", rank and score the re-ranking's. A
    pool smaller than ``count`` is taken whole, and the corpus fills the group.
    When to use: to show the student the spread of the teacher's scores, not their top alone.
    Compare with: crossencoder, uniform over the top of the same order; mixed, whose easy negatives are random.
    Config: ``samplers: {stratified: {function: stratified, systems: [bm25], pools: [positives, bm25],
    options: {depth: 100}}}``
    """
    pool = without(reranked(query, system, depth, SOURCE), query.positives)
    if len(pool) < count:
        return draw(query, pool, count, rng)
    size, longer = divmod(len(pool), count)
    ends = np.cumsum([size + (stratum < longer) for stratum in range(count)]).tolist()
    strata = [pool[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [draw(query, stratum, 1, rng)[0] for stratum in strata]
