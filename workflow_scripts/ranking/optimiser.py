"""AdamW, its schedule and its parameter groups, as students, teachers and scratch backbones use them."""

from __future__ import annotations

import torch
from torch import nn


def build_optimiser(model: nn.Module, *, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019) without decay on biases and layer norms.

    The fused kernel also looks for overflow on the device, so mixed precision needs no host synchronisation.
    """
    decayed = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def learning_rate_at(step: int, *, steps: int, peak: float, warmup: float) -> float:
    """Learning rate of step ``step`` (from 0): up linearly over the first ``warmup`` share, down linearly to 0 after.

    No step runs at 0: the warm-up reaches the peak at its last step, the decay reaches 0 just after the last step.
    """
    warm = round(warmup * steps)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (steps - step) / (steps - warm)


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
