"""What training looked like, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table
from workflow_scripts.train.losses import Loss

# Scores beyond this are a training that went astray; a loss that is NaN below it is so by itself.
ASTRAY = 1e6
COLUMNS = {
    "step": torch.int32,
    "loss": torch.float32,
    "gradient_norm": torch.float32,
    "learning_rate": torch.float64,
    "documents": torch.int64,
}


class History:
    """The values of ``loss``, gradient norm, learning rate and documents seen, by step.

    What the device computed stays there until :meth:`flush`, so that no step waits for it.
    """

    def __init__(self, loss: Loss, restored: Mapping[str, Tensor] | None = None) -> None:
        self.loss = loss
        self.columns: dict[str, list] = {name: restored[name].tolist() if restored else [] for name in COLUMNS}
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def documents(self) -> int:
        return self.columns["documents"][-1] if self.columns["documents"] else 0

    def add(
        self, loss: Tensor, gradient_norm: Tensor, largest_score: Tensor, documents: int, learning_rate: float
    ) -> None:
        """Note one step; ``documents`` are those of this step."""
        self.columns["documents"].append(self.documents + documents)
        self.columns["learning_rate"].append(learning_rate)
        self.columns["step"].append(len(self.columns["step"]) + 1)
        self._pending.append((loss, gradient_norm, largest_score))

    def flush(self) -> None:
        """Fetch what is on the device; :class:`InputError` that names the first step whose loss is no number."""
        if not self._pending:
            return
        fetched = torch.stack([torch.stack(step) for step in self._pending]).cpu()
        self._pending.clear()
        wrong = torch.nonzero(~torch.isfinite(fetched[:, 0]))
        if len(wrong):
            step = len(self.columns["loss"]) + int(wrong[0]) + 1
            value, _, largest = fetched[wrong[0, 0]].tolist()
            if math.isnan(value) and largest < ASTRAY:
                raise self.loss.broken(f"returned nan at step {step}, for scores of at most {largest:.3g}")
            raise InputError(f"the loss is not a finite number at step {step}: lower the learning rate or use fp32")
        self.columns["loss"] += fetched[:, 0].tolist()
        self.columns["gradient_norm"] += fetched[:, 1].tolist()

    def skipped(self, epoch: int) -> int:
        """Steps that moved no weight because their gradient was not finite, where the last ``epoch`` holds others.

        Raises :class:`InputError` where it does not, or these are more than half of all; nothing may be pending.
        """
        skipped = [not math.isfinite(norm) for norm in self.columns["gradient_norm"]]
        if 2 * sum(skipped) > len(skipped) or all(skipped[-epoch:]):
            raise InputError(
                f"{sum(skipped)} of {len(skipped)} steps had gradients that are not finite, and moved no weight: lower "
                "the learning rate or use fp32"
            )
        return sum(skipped)

    def tensors(self) -> dict[str, Tensor]:
        """The columns as tensors, for a checkpoint; nothing may be pending."""
        return {name: torch.tensor(self.columns[name], dtype=kind) for name, kind in COLUMNS.items()}

    def write(self, path: str | Path) -> None:
        """Write history.parquet: step from 1, loss, gradient_norm (unclipped), learning_rate, documents seen so far."""
        import pyarrow as pa

        table = pa.table({name: values.numpy() for name, values in self.tensors().items()})
        write_table(path, table, table.schema)
