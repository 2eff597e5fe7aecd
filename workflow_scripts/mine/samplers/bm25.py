"""Uniform over the top of one ranking: BM25's, or any other system's."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, check_sizes, draw, without
from workflow_scripts.storage.errors import InputError

NEEDS_RANKINGS = True
NEEDS_TEACHER = False


def sample(
    query: Candidates, count: int, rng: np.random.Generator, *, depth: int, pool: int, system: str | None = None
) -> list[Negative]:
    """Draw from the ``pool`` best of the ranking's top ``depth`` that are no positives.

    ``system`` names the ranking; it may be left out where there is one.
    """
    check_sizes(depth=depth, pool=pool)
    if pool > depth:
        raise InputError(f"a pool of {pool} is more than the {depth} candidates of the option depth")
    return draw(query, without(query.listed(system, depth), query.positives)[:pool], count, rng)
