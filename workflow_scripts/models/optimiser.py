"""AdamW, its schedule and the clipping of gradients, as students, teachers and scratch backbones use them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8
CLIP = 1.0


class AdamW:
    """AdamW (Loshchilov and Hutter, 2019) without decay on biases and norms, by torch's fused kernel.

    ``torch.optim.AdamW`` runs the same kernel (the tests hold both to each other), but its constructor loads the
    compiler, which costs a student of the demo a sixth of its training. The kernel skips a step on the device where a
    gradient overflowed, so mixed precision needs no host synchronisation; ``torch.amp.GradScaler`` hands it over
    through ``found_inf``.
    """

    # GradScaler asks for this name, and sets and deletes the other two around a step.
    _step_supports_amp_scaling = True
    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None

    def __init__(self, model: nn.Module, *, weight_decay: float) -> None:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.param_groups = [
            {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": weight_decay},
            {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
        ]
        self.parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        self.first = {parameter: torch.zeros_like(parameter) for parameter in self.parameters}
        self.second = {parameter: torch.zeros_like(parameter) for parameter in self.parameters}
        self.steps = {parameter: torch.zeros((), device=parameter.device) for parameter in self.parameters}
        self.dense: dict[nn.Parameter, Tensor] = {}
        self.learning_rate = 0.0

    @torch.no_grad()
    def step(self) -> None:
        """One update at ``learning_rate``; parameters without a gradient stay as they are."""
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            steps = [self.steps[parameter] for parameter in moved]
            if not moved:
                continue
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                moved,
                [parameter.grad for parameter in moved],
                [self.first[parameter] for parameter in moved],
                [self.second[parameter] for parameter in moved],
                [],
                steps,
                lr=self.learning_rate,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=group["weight_decay"],
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
                grad_scale=self.grad_scale,
                found_inf=self.found_inf,
            )
            if self.found_inf is not None:
                torch._foreach_sub_(steps, [self.found_inf] * len(steps))

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def densify(self) -> None:
        """Add up gradients that were collected row by row; the memory for it is taken once."""
        for parameter in self.parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                if parameter not in self.dense:
                    self.dense[parameter] = torch.empty_like(parameter)
                parameter.grad = self.dense[parameter].zero_().add_(parameter.grad)

    def clip(self) -> Tensor:
        """Scale the gradients to a norm of at most 1; returns the norm they had, on the device."""
        return nn.utils.clip_grad_norm_(self.parameters, CLIP)

    def state(self) -> dict[str, Tensor]:
        """The moments and step counts by name, the live tensors: what a checkpoint keeps."""
        tables = {"first": self.first, "second": self.second, "steps": self.steps}
        return {
            f"{name}.{number}": table[parameter]
            for name, table in tables.items()
            for number, parameter in enumerate(self.parameters)
        }


def learning_rate_at(step: int, *, steps: int, peak: float, warmup: float) -> float:
    """Learning rate of step ``step`` (from 0): up linearly over the first ``warmup`` share, down linearly to 0 after.

    No step runs at 0: the warm-up reaches the peak at its last step, the decay reaches 0 just after the last step.
    """
    warm = round(warmup * steps)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (steps - step) / (steps - warm)
