"""ListMLE: the likelihood of the teacher's order of a group."""

from __future__ import annotations

import torch

NEEDS_TEACHER = True
OPTIONS: dict = {}


def loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """``-log P(pi_g | f) = sum_i (log sum_{k: g_k <= g_i} exp f_k - f_i)`` of each group, averaged over the groups.

    P is the Plackett-Luce model: documents are drawn one after the other, each by the softmax of those that are left.
    Source: Xia et al. (2008). Documents that the teacher ties stay in each other's sum (Breslow 1974), so that the
    order of the columns decides nothing.
    Shapes: ``student`` f and ``teacher`` g are (groups, docs); the result is a scalar.
    When to use: to learn the teacher's whole order by one likelihood; of large groups its lower end weighs most.
    Compare with: ranknet, which takes the same order pair by pair; kl, which reads the teacher's scores.
    Config: ``losses: {listmle: {function: listmle}}``
    """
    drawn = teacher[:, None, :] > teacher[:, :, None]  # (groups, docs, docs): k is drawn before i
    left = student[:, None, :].masked_fill(drawn, -torch.inf)
    return -left.log_softmax(2).diagonal(dim1=1, dim2=2).sum(1).mean()
