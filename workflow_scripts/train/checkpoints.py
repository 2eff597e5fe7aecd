"""Training checkpoints: one safetensors file, replaced in one rename, tied to what is being trained.

The file holds the weights, AdamW's moments and the history so far; its header (JSON) holds the step, the gradient
scaler's state, what the job has cost so far, a fingerprint of the spec and the inputs, and a checksum of all this. No
generator state is needed: the order of the groups and the dropout masks are drawn from (seed, epoch) and (seed, step).
Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from workflow_scripts.models.optimiser import AdamW
from workflow_scripts.storage.artifacts import CHECKPOINT, atomic_path
from workflow_scripts.storage.provenance import cost_so_far

FILE = "training.safetensors"


@dataclass
class Restored:
    """What a checkpoint gives back beside the weights and moments it restored in place."""

    step: int
    history: dict[str, Tensor]
    scaler: dict


class Checkpoints:
    """The checkpoint of one training job, in ``.checkpoint`` beside the artifact's manifest.

    ``cost_before_resume``: cost of the interrupted runs behind a loaded checkpoint; empty without one.
    """

    def __init__(self, folder: str | Path, fingerprint: str) -> None:
        self.folder = Path(folder) / CHECKPOINT
        self.path = self.folder / FILE
        self.fingerprint = fingerprint
        self.cost_before_resume: dict[str, float] = {}

    def save(self, model: nn.Module, optimiser: AdamW, step: int, history: Mapping, scaler: Mapping) -> None:
        """Write the state after ``step`` steps; the previous checkpoint stays until the new one is whole on disk."""
        tensors = _live(model, optimiser) | {f"history.{name}": value for name, value in history.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        header = {
            "fingerprint": self.fingerprint,
            "step": str(step),
            "scaler": json.dumps(dict(scaler)),
            "cost": json.dumps(cost_so_far(self.cost_before_resume)),
        }
        header["checksum"] = _checksum(header, tensors)
        with atomic_path(self.path) as path:
            save_file(tensors, path, metadata=header)
            with open(path, "rb") as file:
                os.fsync(file.fileno())

    def load(self, model: nn.Module, optimiser: AdamW) -> Restored | None:
        """Restore weights and moments in place; None, with a line, where there is no checkpoint of this very job."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("fingerprint") != self.fingerprint:
                    print("checkpoint ignored: it is of another spec or other inputs", file=sys.stderr, flush=True)
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError) as error:
            print(f"checkpoint ignored: it cannot be read ({error})", file=sys.stderr, flush=True)
            return None
        if header.pop("checksum", None) != _checksum(header, tensors):
            print("checkpoint ignored: its bytes are not those that were written", file=sys.stderr, flush=True)
            return None
        with torch.no_grad():
            for name, value in _live(model, optimiser).items():
                value.copy_(tensors[name])
        self.cost_before_resume = json.loads(header["cost"])
        prefix = "history."
        history = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        return Restored(int(header["step"]), history, json.loads(header["scaler"]))

    def remove(self) -> None:
        """Delete the checkpoint: the model is final."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)


def _checksum(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the header and each tensor's name, type, shape and bytes, in the order of the names."""
    found = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def _live(model: nn.Module, optimiser: AdamW) -> dict[str, Tensor]:
    """The tensors that training moves; a shared parameter once (safetensors refuses two names for one storage)."""
    weights = dict(model.named_parameters()) | dict(model.named_buffers())
    return {f"model.{name}": value for name, value in weights.items()} | {
        f"optimiser.{name}": value for name, value in optimiser.state().items()
    }
