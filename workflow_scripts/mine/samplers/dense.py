"""Uniform over the top of a dense system's ranking, less its very best where those are often unjudged positives."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, check_sizes, draw, without
from workflow_scripts.storage.errors import InputError

NEEDS_RANKINGS = True
NEEDS_TEACHER = False


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
    """Draw from ``pool`` documents of the ranking's top ``depth`` that are no positives, the best ``skip`` left out.

    The encoder's nearest documents, drawn once before training (ANCE, Xiong et al. 2021, draws them anew as the encoder
    changes). What an encoder ranks highest is often relevant and merely unjudged (RocketQA, Qu et al. 2021, found most
    of them to be): ``skip`` leaves out that many by rank alone, without a teacher, and the fill of a short group does
    not bring them back. ``system`` names the ranking; it may be left out where there is one.
    """
    check_sizes(depth=depth, pool=pool)
    if not isinstance(skip, int) or isinstance(skip, bool) or skip < 0:
        raise InputError(f"the sampler's option skip is {skip!r}, not a whole number from 0 up")
    if skip + pool > depth:
        raise InputError(f"skip {skip} and a pool of {pool} are more than the {depth} candidates of the option depth")
    candidates = without(query.listed(system, depth), query.positives)
    skipped = {candidate.doc_id for candidate in candidates[:skip]}
    return draw(query, candidates[skip : skip + pool], count, rng, excluded=skipped)
