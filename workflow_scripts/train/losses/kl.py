"""KL divergence from the teacher's distribution over a group to the student's."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from workflow_scripts.storage.errors import InputError

NEEDS_TEACHER = True


def loss(
    student: torch.Tensor, teacher: torch.Tensor, *, temperature: float = 1.0, teacher_temperature: float = 1.0
) -> torch.Tensor:
    """``KL(softmax(g / (tau T)) || softmax(f / T))`` in nats, summed over a group's documents, mean over the groups.

    ``student``: f (groups, docs); ``teacher``: g (groups, docs); ``temperature``: T > 0 of both sides;
    ``teacher_temperature``: tau > 0, of the labels alone: the entropy dial, tau > 1 makes the teacher less sure and
    leaves the student's side as it is. The study's formula has tau = 1 and no factor T^2 (Hinton et al., 2015, multiply
    by it): at another T the gradients scale with about 1 / T^2.
    """
    for option, value in (("temperature", temperature), ("teacher_temperature", teacher_temperature)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            raise InputError(f"loss kl has no {option} {value!r}: use a number above 0")
    labels = teacher / teacher_temperature
    return functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(labels / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
