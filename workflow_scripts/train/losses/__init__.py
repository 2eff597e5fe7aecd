"""Distillation losses, one a file, found by name.

A loss file holds ``NEEDS_TEACHER`` (does it read teacher scores?), ``OPTIONS`` (its options, described as in
:mod:`workflow_scripts.experiment.options`) and one function::

    loss(student, teacher, *, option=default, ...) -> scalar tensor

with student scores (groups, docs), teacher scores of the same shape or None, and the positive in column 0. It is a mean
over the groups: a batch is computed in parts where it is accumulated or does not fit, and the parts' losses averaged.
With in-batch negatives, a setting of the training for losses that read no teacher, further negatives stand behind the
group's own, some at minus infinity. A loss that a constant added to all scores of a group changes, such as a pointwise
one, says ``FIXES_LEVEL = True``: scores of a teacher that it trains have a level. Options are keyword-only; their
values are checked before the function is called. Adding a loss is adding its file.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.experiment.options import load_file
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage

if TYPE_CHECKING:
    import torch

CONTRACT = "it must return the mean over the groups: a scalar tensor, finite, that the scores' gradient can be taken of"


@dataclass(frozen=True)
class Loss:
    """A loss with its options bound; call it with student and teacher scores, both (groups, docs)."""

    name: str
    options: Mapping[str, object]
    needs_teacher: bool
    function: Callable[..., torch.Tensor]

    def __call__(self, student: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        try:
            return self.function(student, teacher, **self.options)
        except Exception as error:
            raise_shortage(error)
            line = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(line.filename).name}, line {line.lineno}"
            raise self.broken(f"raised {type(error).__name__} in {place}: {one_line(error)}") from error

    def broken(self, what: str) -> InputError:
        """The error of a loss that does ``what``: it names the file and what the function must return."""
        return InputError(f"loss {self.name} (train/losses/{self.name}.py, function loss) {what}; {CONTRACT}")


def load_loss(name: str, options: Mapping[str, object] | None = None) -> Loss:
    """The loss ``name`` with ``options``.

    Raises :class:`InputError` for an unknown name, option or value, and for a loss that breaks its contract on made-up
    groups: now, not after the data has been read.
    """
    import torch

    options = dict(options or {})
    module = load_file(__name__, "loss", name, options)
    loaded = Loss(name, options, module.NEEDS_TEACHER, module.loss)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        _check(loaded)
    return loaded


def _check(loss: Loss) -> None:
    """Raise :class:`InputError` unless the loss is a mean over its groups, finite and with a gradient."""
    import torch

    scores = [[[1.0, 0.2, -0.5], [-0.3, 0.4, 2.0]], [[3.0, -1.0, 0.1], [0.7, 0.8, -2.0]]]
    student, teacher = torch.tensor(scores)
    student.requires_grad_()
    values = []
    for part in (slice(0, 2), slice(0, 1), slice(1, 2)):
        value = loss(student[part], teacher[part] if loss.needs_teacher else None)
        if not isinstance(value, torch.Tensor):
            raise loss.broken(f"returned a {type(value).__name__}")
        if value.dim():
            raise loss.broken(f"returned a tensor of shape {tuple(value.shape)}")
        if not torch.isfinite(value):
            raise loss.broken(f"returned {value.item()} for made-up scores")
        if not value.requires_grad:
            raise loss.broken("returned a tensor without a gradient (was it detached, or made anew?)")
        values.append(value)
    whole, first, second = values
    if not torch.allclose(whole, (first + second) / 2):
        average = (first + second).item() / 2
        raise loss.broken(f"is no mean: {whole.item():.6g} for two groups, {average:.6g} averaged over them")
    (gradient,) = torch.autograd.grad(whole, student, allow_unused=True)
    if gradient is None or not torch.isfinite(gradient).all():
        raise loss.broken(f"has {'no gradient' if gradient is None else 'a gradient of NaN'} in the student's scores")
