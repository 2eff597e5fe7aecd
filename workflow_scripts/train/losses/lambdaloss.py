"""LambdaLoss: RankNet on the teacher's order, each pair weighed by what it means for nDCG."""

from __future__ import annotations

import functools
import math

import torch
from torch.nn import functional

NEEDS_TEACHER = True
OPTIONS = {
    "weights": {
        "type": "choice",
        "choices": ["lambdarank", "ndcg2", "ndcg2++"],
        "description": "of a pair: lambdarank, what its swap changes in nDCG; ndcg2, a tighter bound; ndcg2++, both",
    },
    "mu": {"type": "number", "ge": 0, "description": "ndcg2++: weight of ndcg2 beside lambdarank"},
}


def loss(student: torch.Tensor, teacher: torch.Tensor, *, weights: str = "ndcg2++", mu: float = 10.0) -> torch.Tensor:
    """``sum w_ij |G_i - G_j| log2(1 + exp(f_j - f_i))`` over the pairs g_i > g_j of a group, averaged over the groups.

    G_i = 1 / (r_i maxDCG): a teacher's scores have no grades, so the gain is 1 over the teacher's rank r_i, which ties
    share. With the student's ranks pi (no gradient; ties by column), D(r) = log2(1 + r) and d = |pi_i - pi_j|, w is
    |1 / D(pi_i) - 1 / D(pi_j)| (lambdarank), 1 / D(d) - 1 / D(d + 1) (ndcg2), or the first + mu times the second.
    Source: Wang et al. (2018): LambdaRank, NDCG-Loss2, NDCG-Loss2++; gains as RankGPT's labels (Sun et al. 2023).
    Shapes: ``student`` f and ``teacher`` g are (groups, docs); the result is a scalar.
    When to use: where the top of the teacher's order matters most.
    Compare with: ranknet, the same pairs unweighed; adrmse, which discounts documents, not pairs.
    Config: ``losses: {lambdaloss: {function: lambdaloss, options: {weights: ndcg2++}}}``
    """
    docs = student.shape[1]
    difference, margin = (scores[:, :, None] - scores[:, None, :] for scores in (student, teacher))
    gain = 1 / (1 + (margin < 0).sum(2)).to(student)
    discount = _discounts(docs, student.dtype, student.device)
    gain = gain / (gain.sort(descending=True).values * discount).sum(1, keepdim=True)
    tied_before = (difference == 0).tril(-1)
    place = ((difference < 0) | tied_before).sum(2)  # (groups, docs): ranks less 1
    weight = torch.zeros_like(difference)
    if weights != "ndcg2":
        own = discount[place]
        weight = (own[:, :, None] - own[:, None, :]).abs()
    if weights != "lambdarank":
        apart = (place[:, :, None] - place[:, None, :]).abs().clamp(1, docs - 1)
        weight = weight + (mu if weights == "ndcg2++" else 1) * (discount[apart - 1] - discount[apart])
    cost = functional.softplus(-difference) / math.log(2)
    pairs = (margin > 0) * weight * (gain[:, :, None] - gain[:, None, :]).abs()
    return (pairs * cost).sum((1, 2)).mean()


@functools.cache
def _discounts(docs: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """1 / D(r) of every rank; made once, since a copy to a GPU waits for its work."""
    return torch.tensor([1 / math.log2(1 + rank) for rank in range(1, docs + 1)], dtype=dtype, device=device)
