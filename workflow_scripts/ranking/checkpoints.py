"""Training checkpoints: one safetensors file, replaced in one rename, tied to what is being trained.

The file holds the weights, AdamW's moments and the history so far; its header (JSON) holds the step, the gradient
scaler's state and a fingerprint of the spec and the inputs. No generator state is needed: the order of the groups and
the dropout masks are drawn from (seed, epoch) and (seed, step). Nothing is pickled.
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
from torch import nn

from workflow_scripts.storage.artifacts import atomic_path, sha256

FOLDER = ".checkpoint"
FILE = "training.safetensors"


def fingerprint(spec: Mapping, inputs: Mapping[str, str | Path | None], device: str) -> str:
    """SHA-256 of what decides the weights: the spec, the input manifests' bytes, the kind of device, torch's version."""
    parts = {
        "spec": dict(spec),
        "inputs": {name: sha256(Path(path)) for name, path in inputs.items() if path is not None},
        "device": device,
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass
class Checkpoint:
    """What a checkpoint gives back beside the weights and moments it restored."""

    step: int
    history: dict[str, torch.Tensor]
    scaler: dict


class Checkpoints:
    """The checkpoint of one training job, in ``.checkpoint`` beside the artifact's manifest."""

    def __init__(self, folder: str | Path, mark: str) -> None:
        self.folder = Path(folder) / FOLDER
        self.path = self.folder / FILE
        self.mark = mark

    def save(
        self, model: nn.Module, optimiser: torch.optim.Optimizer, step: int, history: Mapping, scaler: Mapping
    ) -> None:
        """Write the state after ``step`` steps; the previous checkpoint stays until the new one is whole on disk."""
        tensors = {f"model.{name}": value for name, value in _unique_state(model).items()}
        for number, parameter in enumerate(_parameters(optimiser)):
            for name, value in optimiser.state[parameter].items():
                tensors[f"optimiser.{number}.{name}"] = value
        tensors |= {f"history.{name}": value for name, value in history.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        header = {"fingerprint": self.mark, "step": str(step), "scaler": json.dumps(dict(scaler))}
        with atomic_path(self.path) as path:
            save_file(tensors, path, metadata=header)
            with open(path, "rb") as file:
                os.fsync(file.fileno())

    def load(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> Checkpoint | None:
        """Restore weights and moments in place; None, with a line, where there is no checkpoint of this very job."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("fingerprint") != self.mark:
                    print("checkpoint ignored: it is of another spec or other inputs", file=sys.stderr, flush=True)
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError) as error:
            print(f"checkpoint ignored: it cannot be read ({error})", file=sys.stderr, flush=True)
            return None
        _restore(model, optimiser, tensors)
        history = {name.removeprefix("history."): value for name, value in tensors.items() if name.startswith("history.")}
        return Checkpoint(int(header["step"]), history, json.loads(header["scaler"]))

    def remove(self) -> None:
        """Delete the checkpoint: the model is final."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)


def _unique_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers, a shared one once (safetensors refuses two names for one storage)."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _parameters(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


@torch.no_grad()
def _restore(model: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    for name, value in _unique_state(model).items():
        value.copy_(tensors[f"model.{name}"])
    for number, parameter in enumerate(_parameters(optimiser)):
        prefix = f"optimiser.{number}."
        # A fused kernel counts steps on the parameter's device.
        optimiser.state[parameter] = {
            name.removeprefix(prefix): value.to(parameter.device)
            for name, value in tensors.items()
            if name.startswith(prefix)
        }
