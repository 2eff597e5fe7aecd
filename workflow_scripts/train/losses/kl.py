"""KL divergence from the teacher's distribution over a group to the student's."""

from __future__ import annotations

import torch
from torch.nn import functional

NEEDS_TEACHER = True
OPTIONS = {
    "temperature": {"type": "number", "gt": 0, "description": "T, divides the scores of both sides"},
    "teacher_temperature": {
        "type": "number",
        "gt": 0,
        "description": "tau, divides the teacher's scores alone: above 1 makes the teacher less sure",
    },
}


def loss(
    student: torch.Tensor, teacher: torch.Tensor, *, temperature: float = 1.0, teacher_temperature: float = 1.0
) -> torch.Tensor:
    """``KL(softmax(g / (tau T)) || softmax(f / T))`` in nats, summed over a group's documents, mean over the groups.

    Source: the study, with tau = 1. Hinton et al. (2015) multiply by T^2; without, gradients scale with about 1 / T^2.
    Shapes: ``student`` f and ``teacher`` g are (groups, docs); the result is a scalar.
    When to use: to learn how sure the teacher is, not only its order; ``teacher_temperature`` is the dial of entropy.
    Compare with: ranknet, which reads the order alone; marginmse, which reads margins without a softmax.
    Config: ``losses: {kl: {function: kl, options: {temperature: 1.0}}}``
    """
    labels = teacher / teacher_temperature
    return functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(labels / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
