"""KL divergence from the teacher's distribution over a group to the student's."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from workflow_scripts.storage.artifacts import InputError

NEEDS_TEACHER = True


def loss(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
    """``KL(softmax(g / T) || softmax(f / T))`` in nats, summed over a group's documents, averaged over the groups.

    ``student``: f (groups, docs); ``teacher``: g (groups, docs); ``temperature``: T > 0. The study's formula has no
    factor T^2 (Hinton et al., 2015, multiply by it): at another T the gradients scale with about 1 / T^2.
    """
    number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not number or not 0 < temperature < math.inf:
        raise InputError(f"loss kl has no temperature {temperature!r}: use a number above 0")
    return functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
