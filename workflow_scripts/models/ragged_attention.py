"""Attention over sequences of several lengths in one row of tokens, on a GPU and on a CPU."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from workflow_scripts.models.arithmetic import attention

if TYPE_CHECKING:
    from workflow_scripts.models.packed_encoder import PackedBatch

WIDEST_HEAD = 256
"""Of the variable-length kernel."""


def attend(query: Tensor, key: Tensor, value: Tensor, batch: PackedBatch, p: float, first: bool) -> Tensor:
    """softmax(q k^T / sqrt(d)) v within each sequence; with ``first`` (GPU only) one query a sequence, its first token.

    query  # (tokens or sequences, heads, d); key, value  # (tokens, heads, d); result as the query; p: dropout's

    On a GPU: the variable-length kernel where it applies (half precision), else one padded view of q, k, v.
    On a CPU: one product for each length, which needs neither padding nor mask (measured 1.5 to 8 times faster than
    a padded view); bounded by the matrix products and, for few equally long sequences, by the calls.
    """
    if query.is_cuda:
        return _attend_varlen(query, key, value, batch, p, first)
    return attention(query * query.shape[-1] ** -0.5, key, value, batch.runs, p=p)[0]


def _attend_varlen(q: Tensor, k: Tensor, v: Tensor, batch: PackedBatch, p: float, first: bool) -> Tensor:
    kernel = _varlen_kernel(q.device, p)
    half = q.dtype in (torch.float16, torch.bfloat16)
    if kernel is None or not half or q.shape[-1] % 8 or q.shape[-1] > WIDEST_HEAD:
        return _attend_padded(q, k, v, batch, p, first)
    if first:
        offsets, longest = torch.arange(len(batch) + 1, dtype=torch.int32, device=q.device), 1
    else:
        offsets, longest = batch.offsets, batch.longest
    return kernel(q, k, v, offsets, batch.offsets, longest, batch.longest)


def _attend_padded(q: Tensor, k: Tensor, v: Tensor, batch: PackedBatch, p: float, first: bool) -> Tensor:
    rows, longest = len(batch), batch.longest
    lengths = batch.offsets.diff()
    row = torch.repeat_interleave(torch.arange(rows, device=q.device), lengths, output_size=len(k))
    slots = row * longest + batch.positions

    def pad(x: Tensor) -> Tensor:
        padded = x.new_zeros(rows * longest, *x.shape[1:]).index_copy(0, slots, x)
        return padded.view(rows, longest, *x.shape[1:]).transpose(1, 2)

    query = q.unsqueeze(2) if first else pad(q)
    keep = torch.arange(longest, device=q.device) < lengths.unsqueeze(1)  # (sequences, longest)
    mixed = F.scaled_dot_product_attention(query, pad(k), pad(v), attn_mask=keep.view(rows, 1, 1, longest), dropout_p=p)
    if first:
        return mixed.squeeze(2)
    return mixed.transpose(1, 2).reshape(rows * longest, *q.shape[1:]).index_select(0, slots)


def _flash_attention(
    q: Tensor, k: Tensor, v: Tensor, q_offsets: Tensor, k_offsets: Tensor, longest_q: int, longest_k: int, *, p: float
) -> Tensor:
    """Ragged attention with dropout: the operator, differentiable, that torch's ``varlen_attn`` calls without any.

    It draws from torch's CUDA generator and compares bytes: with p = 0.1 it drops 26 weights of 256, and scales by
    1 / 0.9.
    """
    operator = torch.ops.aten._flash_attention_forward
    return operator(q, k, v, q_offsets, k_offsets, longest_q, longest_k, p, False, False)[0]


@functools.cache
def _varlen_kernel(device: torch.device, p: float = 0.0):
    """torch's variable-length attention with dropout ``p`` (from 2.10, CUDA), or None where it is not there.

    Older GPUs than compute capability 8.0 lack it.
    """
    if torch.cuda.get_device_capability(device) < (8, 0):
        return None
    if p:
        built = torch.backends.cuda.is_flash_attention_available()
        return functools.partial(_flash_attention, p=p) if built else None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn
