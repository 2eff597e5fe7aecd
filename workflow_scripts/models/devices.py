"""The device that models run on, and what they compute in there."""

from __future__ import annotations

import functools
import os
import sys

import torch

from workflow_scripts.storage import gpus, processor
from workflow_scripts.storage.errors import InputError

BF16_PAYS = 1024
"""Features of the widest layer from which a CPU's bf16 pays: at 128 scoring takes as long as in fp32, at 1024 0.6."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# On a GPU float32 is float32. An environment may ask for TF32's 10 bits instead, as NVIDIA's containers do
# (TORCH_ALLOW_TF32_CUBLAS_OVERRIDE), and no manifest would say so; cuDNN's convolutions take it by torch's default.
torch.set_float32_matmul_precision("highest")
torch.backends.cudnn.allow_tf32 = False


@functools.cache
def best_device() -> torch.device:
    """The GPU where there is a free one, else the CPU, or what the job's ``--device`` (auto, cuda, cpu) asks for.

    Raises :class:`InputError` where a GPU is asked for and none is seen, and where none of several could be chosen.
    """
    wanted = os.environ.get(gpus.DEVICE, "auto")
    if wanted == "cpu":
        return torch.device("cpu")
    gpus.take_gpu(int(os.environ.get(gpus.GPU_SHARE, "1")))
    if torch.cuda.is_available():
        if torch.cuda.device_count() > 1:
            if gpus.chosen():
                raise RuntimeError(
                    "CUDA was initialised before this process chose its GPU: it would compute on another's"
                )
            raise InputError(
                "several GPUs are seen and none could be chosen, so that all jobs would take the first: put nvidia-smi "
                f"on PATH or name the GPUs in {gpus.VISIBLE}"
            )
        return torch.device("cuda")
    if wanted == "cuda":
        raise InputError(
            "the config asks for a GPU (device: cuda) and torch sees none: run where there is one, or set device: auto"
        )
    print("no GPU is seen: this job computes on the CPU", file=sys.stderr, flush=True)
    return torch.device("cpu")


def device_name(device: torch.device) -> str:
    """What a manifest says of the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def settle_precision(wanted: str, device: str, widest: int) -> str:
    """One of :data:`DTYPES`: ``auto`` is bf16 where the device multiplies it, else fp16 on a GPU, fp32 on a CPU.

    ``widest``: features of the model's widest layer. A CPU's ``auto`` is fp32 too for a model under :data:`BF16_PAYS`
    and with portable arithmetic. It multiplies fp16 many times slower: asked for there, it is fp32, and a line says so.
    bf16 stays, whatever it takes. The manifest says that a CPU computed in it.
    """
    if device != "cpu":
        if wanted != "auto":
            return wanted
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if wanted == "fp16":
        print("precision fp16 is asked for, and a CPU computes in fp32", file=sys.stderr, flush=True)
    pays = widest >= BF16_PAYS and processor.setting() == processor.FAST and processor.multiplies_bf16()
    found = {"auto": "bf16" if pays else "fp32", "fp16": "fp32"}.get(wanted, wanted)
    if found == "bf16":
        processor.note_products(processor.BF16_PRODUCTS)
    return found
