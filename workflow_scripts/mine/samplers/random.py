"""Uniform over the corpus."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw_documents

NEEDS_RANKINGS = False
NEEDS_TEACHER = False
OPTIONS: dict = {}


def sample(query: Candidates, count: int, rng: np.random.Generator) -> list[Negative]:
    """Uniform draws without replacement from the corpus, positives left out.

    Equation: each document is drawn with probability count / (documents - positives - spared).
    Source: the study's random negatives.
    Shapes: ``count`` negatives.
    When to use: the baseline of every other sampler; needs no ranking and no teacher.
    Compare with: mixed at share 0, which draws the same; bm25, whose negatives are near the query.
    Config: ``samplers: {random: {function: random, pools: [positives]}}``
    """
    return draw_documents(query, count, rng, query.positives, "corpus")
