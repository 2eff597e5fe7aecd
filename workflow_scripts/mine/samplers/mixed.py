"""The dial of locality: a fixed share of a group's negatives from the top of a ranking, the others from anywhere."""

from __future__ import annotations

import math

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, check_sizes, draw, draw_documents, without
from workflow_scripts.storage.errors import InputError

NEEDS_RANKINGS = True
NEEDS_TEACHER = False
ROUNDING = 0.0005
"""A share may be written with three decimals: 0.143 for one of seven."""


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
    """Draw ``share`` of the ``count`` negatives from the ``pool`` best of a ranking, the rest from outside that pool.

    The pool is that of the sampler bm25: the best non-positives of the top ``depth``. The two parts cannot meet, so
    that every group has exactly share x count near negatives, and their sources (the system; "corpus") tell them
    apart. Probabilities, for n near negatives of k, a pool of P and N eligible documents: n / P for a document of the
    pool, (k - n) / (N - P) for any other. What a pool smaller than n lacks comes from outside it, as "fill".

    Share 1 draws as the sampler bm25 or dense does. Share 0 is the sampler random, draw for draw: it then shuts out
    no pool, which a group holds P / N of by chance. Raises :class:`InputError`, naming the nearest shares, where share
    x count is no whole number: a share that is rounded unseen would not be the group's.
    """
    check_sizes(depth=depth, pool=pool)
    if pool > depth:
        raise InputError(f"a pool of {pool} is more than the {depth} candidates of the option depth")
    wanted = near_negatives(share, count)
    near = without(query.listed(system, depth), query.positives)[:pool] if wanted else []
    chosen = draw(query, near, min(wanted, len(near)), rng)
    if len(chosen) == count:
        return chosen
    excluded = {*query.positives, *(candidate.doc_id for candidate in near)}
    others = draw_documents(query, count - len(chosen), rng, excluded, "corpus")
    short = wanted - len(chosen)
    return chosen + [other._replace(source="fill") for other in others[:short]] + others[short:]


def near_negatives(share: float, count: int) -> int:
    """How many of ``count`` negatives are near; :class:`InputError` for a share that is no whole number of them."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InputError(f"the sampler's option share is {share!r}, not a number from 0 to 1")
    wanted = round(share * count)
    if abs(wanted / count - share) > ROUNDING:
        below = math.floor(share * count)
        nearest = " or ".join(f"{n / count:.3g} ({n} of {count})" for n in (below, below + 1))
        raise InputError(f"a share of {share} is no whole number of {count} negatives: set share to {nearest}")
    return wanted
