"""Several systems' negatives, less those that the teacher takes for relevant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, check_sizes, draw, without
from workflow_scripts.storage.errors import InputError

NEEDS_RANKINGS = True
NEEDS_TEACHER = True


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
    """Draw from the union of up to ``per_system`` negatives of each system's top ``depth``.

    The pipeline of SentenceTransformers' hard negatives for MS MARCO: each system in turn adds its best documents that
    no earlier system added, that are no positives and whose teacher score does not exceed the lowest positive's less
    ``margin``. ``systems`` picks and orders the systems; without it, all of them in the order of the rankings. A
    document's source is the system that added it. Documents the margin drops are counted (``filtered``), and the
    fill of a short group does not bring them back.
    """
    check_sizes(depth=depth, per_system=per_system)
    if isinstance(margin, bool) or not isinstance(margin, int | float):
        raise InputError(f"the sampler's option margin is {margin!r}, not a number")
    if systems is not None and not isinstance(systems, list | tuple):
        raise InputError(f"the sampler's option systems is {systems!r}, not a list of ranking systems")
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
