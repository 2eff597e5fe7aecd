"""Localised contrastive estimation: the positive against its group, without a teacher."""

from __future__ import annotations

import torch
from torch.nn import functional

NEEDS_TEACHER = False
OPTIONS: dict = {}


def loss(student: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
    """``-log softmax(f)_0`` of each group, averaged over the groups.

    Source: Gao et al. (2021).
    Shapes: ``student`` f is (groups, docs), the positive in column 0; ``teacher`` is not read; the result is a scalar.
    When to use: where no teacher is to be had, and to train a teacher.
    Compare with: kl, the same softmax with a teacher's distribution in place of the one positive.
    Config: ``losses: {lce: {function: lce}}``
    """
    positive = torch.zeros(len(student), dtype=torch.long, device=student.device)
    return functional.cross_entropy(student, positive)
