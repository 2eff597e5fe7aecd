"""Localised contrastive estimation: the positive against its group, without a teacher."""

from __future__ import annotations

import torch
from torch.nn import functional

NEEDS_TEACHER = False


def loss(student: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
    """``-log softmax(f)_0`` of each group, averaged over the groups (Gao et al., 2021).

    ``student``: f (groups, docs), the positive in column 0; ``teacher`` is not read.
    """
    positive = torch.zeros(len(student), dtype=torch.long, device=student.device)
    return functional.cross_entropy(student, positive)
