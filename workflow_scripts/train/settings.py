"""How a ranker is trained: the spec of a training job, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workflow_scripts.storage.errors import InputError


@dataclass(frozen=True)
class Settings:
    """How a ranker is trained: the spec of ``train_student`` and ``train_teacher``.

    ``name``: the model's, for its card; ``documents``: the budget, documents seen over the whole training, each time
    counted; ``warmup``: share of the steps; ``dropout``: None for the backbone's own; ``seeds``: ``initialisation``
    (the head) and ``order`` (epochs and dropout); ``max_tokens``: of a ``query`` and a ``document``, None for the token
    stores' own; ``pooling``, ``similarity``: a bi-encoder's, None for as the backbone's folder says;
    ``in_batch_negatives``: whether a batch's documents are further negatives of its other queries, but for their
    positives (see :meth:`~workflow_scripts.train.batches.Batch.with_in_batch`); ``cut``: the entropy cut whose queries
    alone are trained on, None for all (see :func:`~workflow_scripts.train.groups.read_groups`); ``fold``: the part of
    the queries that is not trained on, None for none; ``arithmetic``: what the process was started with;
    ``checkpoint_minutes``, ``checkpoint_steps``: how often the state is saved.
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
    pooling: str | None = None
    similarity: str | None = None
    in_batch_negatives: bool = False
    cut: Mapping | None = None
    fold: Mapping | None = None
    warmup: float = 0.1
    weight_decay: float = 0.01
    gradient_accumulation: int = 1
    precision: str = "auto"
    arithmetic: str = "fast"
    dropout: float | None = None
    checkpoint_minutes: float = 10.0
    checkpoint_steps: int | None = None

    @property
    def groups_a_step(self) -> int:
        """Groups seen by one optimiser step."""
        return self.batch_groups * self.gradient_accumulation

    @property
    def documents_a_step(self) -> int:
        """Documents seen by one optimiser step."""
        return self.groups_a_step * self.group_size

    @property
    def steps(self) -> int:
        """Optimiser steps; :class:`InputError` where they do not divide the budget."""
        steps, rest = divmod(self.documents, self.documents_a_step)
        if rest:
            raise InputError(
                f"a budget of {self.documents} documents is no whole number of steps of {self.documents_a_step} "
                f"({self.batch_groups} groups x {self.group_size} x accumulation {self.gradient_accumulation})"
            )
        return steps
