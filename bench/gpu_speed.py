"""Speed on a device: the project's loops beside peers and beside the device's peak, method by method.

Arithmetic of a forward pass over n tokens in sequences of lengths L, per layer (h hidden, f feed-forward): linear
layers 2 n (4 h^2 + 2 h f), attention 4 h sum(L^2). *Computed* leaves out what the project does not compute, the last
layer beyond [CLS]; backward counts twice a forward. Padding counts for nobody.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from bench.gpu_peers import padded_scoring, padded_training, predict
from bench.inputs import Shape
from bench.ours import Ours
from bench.products import computed_flops, forward_flops
from workflow_scripts.storage.errors import one_line

COLUMNS = (
    *("name", "device", "shape", "items_a_second", "tflops", "tflops_computed"),
    *("peak_tflops", "share", "share_computed", "pad_share", "rounds", "torch"),
)
PADDED = "transformers padded, tokenised in the loop"
Methods = dict[str, Callable[[], dict]]
T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """What failed, by its name, and why."""

    name: str
    reason: str


def measure(
    part: str, *, shape: Shape, device: torch.device, rounds: int, groups: Sequence[int], folder: Path, until: float
) -> Iterator[list[dict] | Failure]:
    """After each method's turn the rows of ``gpu.csv`` so far, of one of :data:`PARTS`, or the method that failed.

    Methods take turns, and medians are kept of the rounds after the first; ``rounds`` of a row is their number, 0 where
    the first was the only one. A method that fails is left out from then on. From the second round on a turn that would
    end after ``until`` (of ``time.time``) is left out. Scoring is bounded by the matrix products where the device is
    full, else by the kernels' launches; so is training. The token store is made before the project's clock starts: a
    study makes it once.
    """
    on_gpu = device.type == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32
    peak = matmul_peak(device, dtype, 8192 if on_gpu else 256)
    methods = PARTS[part](Ours(folder, "bf16" if on_gpu else "fp32", device), folder, dtype, groups)
    times: dict[str, list[float]] = {}
    rows: dict[str, dict] = {}
    lasted: dict[str, float] = {}
    for _ in range(rounds + 1):
        for name in list(methods):
            start = time.time()
            if name in times and start + lasted[name] > until:
                continue
            answer, failure = tried(name, methods[name])
            if failure:
                del methods[name]
                _free(device)
                yield failure
                continue
            lasted[name] = time.time() - start
            times.setdefault(name, []).append(answer["loop"])
            rows[name] = _row(name, shape, device, peak, times[name], answer)
            yield list(rows.values())


def tried(name: str, work: Callable[[], T]) -> tuple[T | None, Failure | None]:
    """What ``work`` gives, or that it failed; its traceback, which holds what is on the device, is printed and gone."""
    try:
        return work(), None
    except Exception as error:
        traceback.print_exc()
        return None, Failure(name, f"{type(error).__name__}: {one_line(error)}")


def matmul_peak(device: torch.device, dtype: torch.dtype, size: int, repeats: int = 20) -> float:
    """TFLOP/s of the best of ``repeats`` products of two (size, size) matrices."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = min(_seconds(lambda: left @ right, device) for _ in range(repeats))
    return 2 * size**3 / best / 1e12


def device_name(device: torch.device) -> str:
    """What the tables call the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _row(
    name: str, shape: Shape, device: torch.device, peak: float, times: Sequence[float], answer: dict
) -> dict[str, object]:
    """A method's line: its speed, and the shares of the peak that the model's and the computed arithmetic are."""
    seconds, lengths = float(np.median(times[1:] or times)), np.array(answer["lengths"])
    passes = 3 if "training" in name else 1
    own = "pad_share" in answer
    model = passes * forward_flops(shape, lengths) / seconds / 1e12
    # A bi-encoder's and a cross-encoder's last layer alike: [CLS] alone is computed.
    computed = passes * computed_flops(shape, lengths) / seconds / 1e12 if own else model
    padding = answer["pad_share"] if own else 1 - lengths.sum() / answer["positions"]
    values = (answer["items"] / seconds, model, computed, peak, model / peak, computed / peak, padding)
    about = (name, device_name(device), shape.name, *values, len(times) - 1, torch.__version__)
    return dict(zip(COLUMNS, about, strict=True))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of ``work`` with all that it put on the device's queue."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _free(device: torch.device) -> None:
    """Give the device's memory back that nothing holds any more; after some errors a device does nothing again."""
    gc.collect()
    if device.type == "cuda":
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()


def _own(ours: Ours, method: Callable[..., dict], *options: object) -> Callable[[], dict]:
    """A method of the project, its loop's time without the tokenizer's."""

    def work() -> dict:
        answer = method(*options)
        return answer | {"loop": answer["seconds"] - answer["tokenising_seconds"], "lengths": ours.lengths}

    return work


def _other(device: torch.device, make: Callable[..., Callable[[], dict]], *options: object) -> Callable[[], dict]:
    """A peer's method, timed whole. ``make`` loads its model, when its first turn comes."""
    made: list[Callable[[], dict]] = []

    def work() -> dict:
        if not made:
            made.append(make(*options))
        answers: list[dict] = []
        loop = _seconds(lambda: answers.append(made[0]()), device)
        return answers[0] | {"loop": loop}

    return work


def _scoring(ours: Ours, folder: Path, dtype: torch.dtype, groups: Sequence[int]) -> Methods:
    device = ours.device
    methods = {
        "scoring pairs/s": _own(ours, ours.score),
        f"scoring pairs/s, {PADDED}, batch 64": _other(device, padded_scoring, folder, device, dtype),
    }
    if importlib.util.find_spec("sentence_transformers") is not None:
        name = "scoring pairs/s, sentence-transformers' predict, batch 32"
        methods[name] = _other(device, predict, folder, device, dtype)
    return methods


def _encoding(ours: Ours, folder: Path, dtype: torch.dtype, groups: Sequence[int]) -> Methods:
    return {"BE encoding passages/s": _own(ours, ours.encode)}


def _training(ours: Ours, folder: Path, dtype: torch.dtype, groups: Sequence[int]) -> Methods:
    methods = {}
    for count in groups:
        for dropout in (0.1, 0.0):
            name = f"CE training groups/s, {count} groups x 16, dropout {dropout:g}"
            methods[name] = _own(ours, ours.train, "cross", count, dropout)
    name = f"BE training groups/s, {groups[-1]} groups x 16, dropout 0"
    methods[name] = _own(ours, ours.train, "bi", groups[-1], 0.0)
    for count in groups:
        name = f"CE training groups/s, {count} groups x 16, dropout 0.1, {PADDED}"
        methods[name] = _other(ours.device, padded_training, folder, ours.device, dtype, count)
    return methods


PARTS: dict[str, Callable[[Ours, Path, torch.dtype, Sequence[int]], Methods]] = {
    "scoring": _scoring,
    "training": _training,
    "encoding": _encoding,
}
