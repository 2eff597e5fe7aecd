"""Products of matrices: how many a model computes, and how fast each library at hand computes them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from bench.inputs import Shape

REPEATS = 5


def forward_flops(shape: Shape, lengths: np.ndarray) -> float:
    """Arithmetic of every layer at every position: linear layers and attention."""
    linear = 2 * lengths.sum() * (4 * shape.hidden**2 + 2 * shape.hidden * shape.feed_forward)
    return float(shape.layers * (linear + 4 * shape.hidden * np.square(lengths, dtype=np.float64).sum()))


def computed_flops(shape: Shape, lengths: np.ndarray) -> float:
    """As :func:`forward_flops` with the last layer for one position a sequence: keys and values are of all."""
    square, count = shape.hidden**2, len(lengths)
    last = 2 * (lengths.sum() * 2 * square + count * (2 * square + 2 * shape.hidden * shape.feed_forward))
    last += 4 * shape.hidden * lengths.sum()
    return forward_flops(shape, lengths) * (shape.layers - 1) / shape.layers + float(last)


def measure_products(shape: Shape, rows: int, dtype: torch.dtype) -> list[dict]:
    """GFLOP/s of each library at the products of a layer, for ``rows`` tokens, by the process' CPU time.

    The best of five; torch multiplies by MKL in float32 and by oneDNN in bfloat16.
    """
    lines = []
    for wide, narrow in ((shape.hidden,) * 2, (shape.hidden, shape.feed_forward), (shape.feed_forward, shape.hidden)):
        x, weight = torch.randn(rows, wide).to(dtype), torch.randn(narrow, wide).to(dtype)
        for library, multiply in _libraries(x, weight).items():
            multiply()
            seconds = min(_seconds(multiply) for _ in range(REPEATS))
            speed = 2e-9 * rows * wide * narrow / seconds
            lines.append({"product": f"{rows} x {wide} x {narrow}", "library": library, "gflops": round(speed, 1)})
    return lines


@torch.inference_mode()
def _libraries(x: torch.Tensor, weight: torch.Tensor) -> dict[str, Callable]:
    found: dict[str, Callable] = {"torch": lambda: F.linear(x, weight)}
    if torch.backends.mkldnn.is_available():
        found["oneDNN"] = lambda: torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    if x.dtype == torch.float32:
        left, right = x.numpy(), weight.numpy().T
        found["OpenBLAS"] = lambda: np.matmul(left, right)
    return found


def _seconds(work: Callable) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
