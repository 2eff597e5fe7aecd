"""ADR-MSE: the squared error of the student's approximate ranks, discounted by the teacher's."""

from __future__ import annotations

import functools
import math

import torch

NEEDS_TEACHER = True
OPTIONS = {
    "temperature": {
        "type": "number",
        "gt": 0,
        "description": "divides differences of the student's scores: towards 0 the approximate ranks become ranks",
    },
}


def loss(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
    """``(r_i - (1 + sum_{j != i} sigma((f_j - f_i) / T)))^2 / log2(r_i + 1)``, mean over the documents of all groups.

    r_i is the teacher's rank of document i, 1 the best; tied documents have the mean of their ranks.
    Source: Schlatt et al. (2025, Rank-DistiLLM, arXiv 2405.07920), with their discount and T = 1; the approximate ranks
    are Qin et al.'s (2010).
    Shapes: ``student`` f and ``teacher`` g are (groups, docs); the result is a scalar.
    When to use: a teacher that gives an order alone, such as a language model that sorts a list.
    Compare with: ranknet and listmle, which read the same order; lambdaloss, which weighs the top by nDCG.
    Config: ``losses: {adrmse: {function: adrmse, options: {temperature: 1.0}}}``
    """
    ranks = _ranks((teacher[:, None, :] - teacher[:, :, None]).sign() / 2 + 0.5)
    approximate = _ranks(((student[:, None, :] - student[:, :, None]) / temperature).sigmoid())
    discounts = _discounts(student.shape[1], student.dtype, student.device)
    return ((ranks - approximate).square() / discounts[(2 * ranks).long()]).mean()


@functools.cache
def _discounts(docs: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Of every rank that there may be, halves of ties among them; made once, since a copy to a GPU waits for its work.

    torch's logarithm is not every processor's.
    """
    discounts = [math.log2(twice / 2 + 1) for twice in range(2 * docs + 1)]
    return torch.tensor(discounts, dtype=dtype, device=device)


def _ranks(beaten: torch.Tensor) -> torch.Tensor:
    """Ranks (groups, docs) from how far each document i is beaten by each j  # (groups, docs, docs), 1/2 by itself."""
    return beaten.sum(2) + 0.5
