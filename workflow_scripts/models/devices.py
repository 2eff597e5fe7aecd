"""The device that models run on, and what they compute in there."""

from __future__ import annotations

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """What a manifest says of the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def inference_precision(wanted: str, device: str) -> str:
    """One of :data:`DTYPES`: ``auto`` is fp32 on a CPU, on a GPU (``cuda``) bf16 where it has it, else fp16."""
    if wanted != "auto":
        return wanted
    if device == "cpu":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def training_precision(wanted: str, device: str) -> str:
    """As :func:`inference_precision`, but a CPU trains in fp32 always."""
    return "fp32" if device == "cpu" else inference_precision(wanted, device)
