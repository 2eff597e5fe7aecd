"""Several systems' negatives, less those that the teacher takes for relevant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw, without

NEEDS_RANKINGS = True
NEEDS_TEACHER = True
NEEDS_POSITIVES = True
OPTIONS = {
    "depth": {"type": "whole", "ge": 1, "unit": "documents", "description": "top of each ranking that is read"},
    "per_system": {
        "type": "whole",
        "ge": 1,
        "within": "depth",
        "unit": "documents",
        "description": "most that a system adds to the union",
    },
    "margin": {
        "type": "number",
        "unit": "teacher's scores",
        "description": "a document is dropped whose score exceeds the lowest positive's less this",
    },
    "systems": {"type": "texts", "description": "whose rankings, in this order; null for all, in the rankings' order"},
}


def sample(
    query: Candidates,
    count: int,
    rng: np.random.Generator,
    *,
    depth: int,
    per_system: int,
    margin: float,
    systems: Sequence[str] | None = None,
) -> list[Negative]:
    """Uniform draws from the union of up to ``per_system`` negatives of each system's top ``depth``.

    Equation: each system in turn adds its best documents that no earlier system added, that are no positives and whose
    teacher score is at most min over positives g(p) - ``margin``; each of the union is drawn with probability
    count / union.
    Source: SentenceTransformers' pipeline of hard negatives for MS MARCO.
    Shapes: ``count`` negatives; a document's source is the system that added it. What the margin drops is counted
    (``filtered``), and the fill of a short group does not bring it back.
    When to use: hard negatives of several kinds, where unjudged positives would do harm and a teacher is there to drop
    them.
    Compare with: crossencoder, one system and no margin; dense, which leaves out by rank.
    Config: ``samplers: {ensemble: {function: ensemble, systems: [bm25, qld], pools: [positives, ensemble],
    options: {per_system: 10, depth: 15, margin: 0.5}}}``
    """
    threshold = min(query.teacher_score(positive) for positive in query.positives) - margin
    union: dict[str, Negative] = {}
    dropped: set[str] = set()
    for system in systems or query.rankings:
        added = 0
        for candidate in without(query.listed(system, depth), query.positives):
            if candidate.doc_id in union or candidate.doc_id in dropped:
                continue
            if query.teacher_score(candidate.doc_id) > threshold:
                dropped.add(candidate.doc_id)
                continue
            union[candidate.doc_id] = candidate
            added += 1
            if added == per_system:
                break
    query.counts["filtered"] += len(dropped)
    return draw(query, list(union.values()), count, rng, excluded=dropped)
