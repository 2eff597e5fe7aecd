"""RankNet: the order of every pair of a group, as the teacher has it."""

from __future__ import annotations

import torch
from torch.nn import functional

from workflow_scripts.storage.errors import InputError

NEEDS_TEACHER = True
TARGETS = ("hard", "soft")


def loss(student: torch.Tensor, teacher: torch.Tensor, *, targets: str = "hard") -> torch.Tensor:
    """Binary cross-entropy of ``sigma(f_i - f_j)`` averaged over the pairs i < j of all groups (Burges et al., 2005).

    ``student``: f (groups, docs); ``teacher``: g (groups, docs). The target of a pair is, for ``targets``

    - ``hard``: ``1[g_i > g_j]``, the study's experiments. A tie counts as 0, as the formula says.
    - ``soft``: ``sigma(g_i - g_j)``, the form the study's theory speaks of; a tie is 1/2.
    """
    if targets not in TARGETS:
        raise InputError(f"loss ranknet has no targets {targets!r}: use {' or '.join(TARGETS)}")
    docs = student.shape[1]
    # All ordered pairs and a mask, not an index list: the gradient of an index is a scatter, whose sum on CUDA has no
    # fixed order. Half of the work is thrown away and groups are small.
    difference = student[:, :, None] - student[:, None, :]  # (groups, docs, docs)
    margin = teacher[:, :, None] - teacher[:, None, :]
    target = (margin > 0).to(difference) if targets == "hard" else torch.sigmoid(margin)
    each = functional.binary_cross_entropy_with_logits(difference, target, reduction="none")
    pairs = len(student) * docs * (docs - 1) // 2
    return each.triu(diagonal=1).sum() / pairs
