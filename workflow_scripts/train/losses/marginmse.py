"""Margin-MSE: the teacher's margin between the positive and each negative."""

from __future__ import annotations

import torch
from torch.nn import functional

NEEDS_TEACHER = True
OPTIONS: dict = {}


def loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """``((f_0 - f_j) - (g_0 - g_j))^2`` averaged over the negatives j of all groups.

    Source: Hofstätter et al. (2020).
    Shapes: ``student`` f and ``teacher`` g are (groups, docs), the positive in column 0; the result is a scalar.
    When to use: where the student's scores may take the teacher's scale, a bi-encoder's dot product for one.
    Compare with: ranknet and kl, which do not ask for the teacher's scale.
    Config: ``losses: {marginmse: {function: marginmse}}``
    """
    student_margin = student[:, :1] - student[:, 1:]  # (groups, docs - 1)
    teacher_margin = teacher[:, :1] - teacher[:, 1:]
    return functional.mse_loss(student_margin, teacher_margin)
