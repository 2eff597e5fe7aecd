"""RankNet: the order of every pair of a group, as the teacher has it."""

from __future__ import annotations

import torch
from torch.nn import functional

NEEDS_TEACHER = True
OPTIONS = {
    "targets": {
        "type": "choice",
        "choices": ["hard", "soft"],
        "description": "hard: 1[g_i > g_j], a tie is 0; soft: sigma(g_i - g_j), a tie is 1/2",
    }
}


def loss(student: torch.Tensor, teacher: torch.Tensor, *, targets: str = "hard") -> torch.Tensor:
    """Binary cross-entropy of ``sigma(f_i - f_j)`` against a pair's target, mean over the pairs i < j of all groups.

    Source: Burges et al. (2005). Hard targets are the study's experiments, soft ones the form that its theory has.
    Shapes: ``student`` f and ``teacher`` g are (groups, docs); the result is a scalar.
    When to use: to learn the teacher's order of all documents, whatever its scores.
    Compare with: marginmse, which reads margins to the positive alone; kl, which weighs the top of a group.
    Config: ``losses: {ranknet: {function: ranknet, options: {targets: hard}}}``
    """
    docs = student.shape[1]
    # All ordered pairs and a mask, not an index list: the gradient of an index is a scatter, whose sum on CUDA has no
    # fixed order. Half of the work is thrown away and groups are small.
    difference = student[:, :, None] - student[:, None, :]  # (groups, docs, docs)
    margin = teacher[:, :, None] - teacher[:, None, :]
    target = (margin > 0).to(difference) if targets == "hard" else torch.sigmoid(margin)
    each = functional.binary_cross_entropy_with_logits(difference, target, reduction="none")
    pairs = len(student) * docs * (docs - 1) // 2
    return each.triu(diagonal=1).sum() / pairs
