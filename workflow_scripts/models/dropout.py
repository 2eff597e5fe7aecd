"""Dropout whose random numbers do not cost a CPU a tenth of its training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 2**16


def dropout(x: Tensor, p: float) -> Tensor:
    """``x`` with each element dropped with probability ``p``, the others scaled by ``1 / (1 - p)``."""
    if not p:
        return x
    return x * keep(x, p) if _by_bits(x, p) else F.dropout(x, p)


def dropout_add(x: Tensor, p: float, residual: Tensor) -> Tensor:
    """``dropout(x, p) + residual``, on a CPU in one pass over memory."""
    if p and _by_bits(x, p):
        return torch.addcmul(residual, x, keep(x, p))
    return dropout(x, p) + residual


def keep(like: Tensor, p: float) -> Tensor:
    """0 with probability ``p``, else ``1 / (1 - p)``; shape and type as ``like``, which is on a CPU.

    Each element takes 16 bits of torch's generator, so p is rounded to a multiple of 2^-16 (0.1 to 0.100006), and the
    scale is that of the rounded p. torch's own ``bernoulli_`` takes 64 bits and a double on processors other than
    Intel's: some 9 ns an element where this takes 2. Bounded by the generator, which is serial.
    """
    size, dropped = like.numel(), round(p * LEVELS)
    words = torch.empty(-(-size // 4), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    kept = words.view(torch.int16)[:size].view(like.shape) >= dropped - LEVELS // 2
    return kept.to(like.dtype).mul_(LEVELS / (LEVELS - dropped))


def _by_bits(x: Tensor, p: float) -> bool:
    return x.device.type == "cpu" and round(p * LEVELS) < LEVELS
