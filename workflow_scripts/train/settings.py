"""How a ranker is trained: the spec of a training job, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from workflow_scripts.storage.errors import InputError

PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Settings:
    """How a ranker is trained: the spec of ``train_student`` and ``train_teacher``.

    ``name``: the model's, for its card; ``documents``: the budget, documents seen over the whole training, each time
    counted; ``warmup``: share of the steps; ``dropout``: None for the backbone's own; ``seeds``: ``initialisation``
    (the head) and ``order`` (epochs and dropout); ``max_tokens``: of a ``query`` and a ``document``, None for the token
    stores' own; ``cut``: the entropy cut whose queries alone are trained on, None for all (see
    :func:`~workflow_scripts.train.groups.read_groups`); ``checkpoint_minutes``, ``checkpoint_steps``: how often the
    state is saved; ``card``: more lines for the model card.
    """

    name: str
    architecture: str
    loss: Mapping
    documents: int
    batch_groups: int
    group_size: int
    learning_rate: float
    seeds: Mapping[str, int]
    max_tokens: Mapping[str, int] | None = None
    cut: Mapping | None = None
    warmup: float = 0.1
    weight_decay: float = 0.01
    gradient_accumulation: int = 1
    precision: str = "auto"
    dropout: float | None = None
    checkpoint_minutes: float = 10.0
    checkpoint_steps: int | None = None
    card: Mapping = field(default_factory=dict)

    @classmethod
    def from_spec(cls, spec: Mapping) -> Settings:
        """Read the spec; :class:`InputError` for an unknown or missing key or a number out of range."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(spec) - known)
        if unknown:
            raise InputError(f"training has no setting {unknown[0]!r}: it has {', '.join(sorted(known))}")
        try:
            settings = cls(**spec)
        except TypeError as error:
            raise InputError(f"training lacks a setting: {str(error).removeprefix('Settings.__init__() ')}") from None
        settings._check()
        return settings

    def _check(self) -> None:
        for name in ("documents", "batch_groups", "gradient_accumulation", "learning_rate", "checkpoint_minutes"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.group_size < 2:
            raise InputError(f"group_size is {self.group_size}: a group has a positive and at least one negative")
        if not 0 <= self.warmup <= 1:
            raise InputError(f"warmup is {self.warmup}: it is a share of the steps, from 0 to 1")
        if self.precision not in (*PRECISIONS, "auto"):
            raise InputError(f"there is no precision {self.precision!r}: use auto, {', '.join(PRECISIONS)}")
        for name, wanted in (("seeds", ["initialisation", "order"]), ("max_tokens", ["document", "query"])):
            value = getattr(self, name)
            if value is not None and sorted(value) != wanted:
                raise InputError(f"{name} has {', '.join(sorted(value))}: give {' and '.join(wanted)}")
        if set(self.loss) - {"options"} != {"function"}:
            raise InputError(f"loss has {', '.join(sorted(self.loss))}: give function and, where wanted, options")

    @property
    def documents_a_step(self) -> int:
        """Documents seen by one optimiser step."""
        return self.batch_groups * self.group_size * self.gradient_accumulation

    @property
    def steps(self) -> int:
        """Optimiser steps; :class:`InputError` with the nearest budgets where they do not divide the budget."""
        steps, rest = divmod(self.documents, self.documents_a_step)
        if rest:
            near = [n * self.documents_a_step for n in (steps, steps + 1) if n]
            raise InputError(
                f"a budget of {self.documents} documents is no whole number of steps of {self.documents_a_step} "
                f"({self.batch_groups} groups x {self.group_size} x accumulation {self.gradient_accumulation}): "
                f"use {' or '.join(map(str, near))}"
            )
        return steps
