"""Distillation losses, one a file, found by name.

A loss file holds ``NEEDS_TEACHER`` (does it read teacher scores?), ``OPTIONS`` (its options, described as in
:mod:`workflow_scripts.experiment.options`) and one function::

    loss(student, teacher, *, option=default, ...) -> scalar tensor

with student scores (groups, docs), teacher scores of the same shape or None, and the positive in column 0. It is a mean
over the groups: a batch is computed in parts where it is accumulated or does not fit, and the parts' losses averaged.
Options are keyword-only; their values are checked before the function is called. Adding a loss is adding its file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_scripts.experiment.options import load_file
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Loss:
    """A loss with its options bound; call it with student and teacher scores, both (groups, docs)."""

    name: str
    options: Mapping[str, object]
    needs_teacher: bool
    function: Callable[..., torch.Tensor]

    def __call__(self, student: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
        return self.function(student, teacher, **self.options)


def load_loss(name: str, options: Mapping[str, object] | None = None) -> Loss:
    """The loss ``name`` with ``options``; :class:`InputError` for an unknown name, option or value, or no mean."""
    import torch

    options = dict(options or {})
    module = load_file(__name__, "loss", name, options)
    loaded = Loss(name, options, module.NEEDS_TEACHER, module.loss)
    # Made-up groups show now, not after the data has been read, whether it is a mean.
    student, teacher = torch.tensor([[[1.0, 0.2, -0.5], [-0.3, 0.4, 2.0]], [[3.0, -1.0, 0.1], [0.7, 0.8, -2.0]]])
    parts = [slice(0, 2), slice(0, 1), slice(1, 2)]
    whole, first, second = (loaded(student[part], teacher[part] if loaded.needs_teacher else None) for part in parts)
    if not torch.allclose(whole, (first + second) / 2, equal_nan=True):
        raise InputError(f"loss {name} is no mean over its groups: parts of a batch are averaged")
    return loaded
