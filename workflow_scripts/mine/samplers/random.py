"""Uniform over the corpus."""

from __future__ import annotations

import numpy as np

from workflow_scripts.mine.candidates import Candidates, Negative, draw_documents

NEEDS_RANKINGS = False
NEEDS_TEACHER = False


def sample(query: Candidates, count: int, rng: np.random.Generator) -> list[Negative]:
    """Documents of the corpus, each that is no positive with probability count / (documents - positives)."""
    return draw_documents(query, count, rng, query.positives, "corpus")
