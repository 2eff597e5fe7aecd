"""Products of matrices on a CPU: which library computes them, and the two places where most of the time goes.

torch gives float32 products to MKL, which chooses its kernels by the processor's maker: other bytes on Intel than on
AMD. OpenBLAS, which numpy brings, can be told the kernels (:mod:`~workflow_scripts.storage.processor`). With portable
arithmetic it computes every product of the process: torch's own operators are sent to it. With fast arithmetic it
computes those of :func:`linear` and :func:`attention` where it is as fast as MKL or faster, on one thread of an AMD
processor; or, of such a processor with AVX-512, oneDNN computes large linear layers, where it proves the faster by far.

What else torch takes from MKL are ``exp``, ``log``, ``sqrt``, ``erf`` and ``logsumexp`` of tensors, whose last digit
differs from processor to processor: code that runs here uses softmax, log_softmax, softplus and the like instead.
On a GPU everything is torch's.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.models.dropout import keep
from workflow_scripts.storage import processor

AMD = "AuthenticAMD"
# oneDNN prepares a product for each number of rows, which takes as long as some products: so numbers are rounded up.
ONEDNN_ROWS, ONEDNN_LEAST = 64, 2**24
ONEDNN_TIMES_FASTER = 1.2
Array = np.ndarray | Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x weight^T + bias``: x # (rows, in), weight # (out, in), bias # (out,); as ``F.linear``."""
    if not _by_openblas(x) or x.dim() != 2 or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled():
        return _Linear.apply(x, weight, bias)
    return _linear(x, weight, bias)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    runs: Sequence[tuple[int, int]],
    *,
    queries: int | None = None,
    p: float = 0.0,
) -> tuple[Tensor, Tensor | None]:
    """``softmax(q k^T) v`` within each sequence, sequence by sequence of ``runs``: (length, sequences) pairs.

    key, value  # (tokens, heads, d)
    query       # (sequences * ``queries``, heads, d), already scaled; ``queries``: of a sequence, None for one a token

    Gives the mixtures, shaped as the query, and under dropout ``p`` of the weights their sums
    # (sequences * queries, heads), which are 1 without. One product for each length needs neither padding nor mask;
    one backward for all of them spares the calls that short sequences cost.
    """
    # Autocast leaves tokens between layers in float32, and would take each softmax to it and back.
    key, value = key.to(query.dtype), value.to(query.dtype)
    with torch.autocast(query.device.type, enabled=False):
        if torch.is_grad_enabled():
            return _Attention.apply(query, key, value, runs, queries, p)
        return _attend(query, key, value, runs, queries, p)[:2]


def attention_by_operators(device: torch.device) -> contextlib.AbstractContextManager:
    """Within it torch's own attention calls :func:`_send_to_openblas`'s operators: fused, it calls MKL from inside."""
    if not _PORTABLE or device.type != "cpu":
        return contextlib.nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


def _by_openblas(x: Tensor) -> bool:
    return (
        x.dtype == torch.float32 and x.device.type == "cpu" and (_PORTABLE or (_AMD and torch.get_num_threads() == 1))
    )


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if _ONEDNN and x.shape[0] * weight.numel() >= ONEDNN_LEAST:
        return _linear_by_onednn(x, weight, bias)
    product = torch.from_numpy(np.matmul(x.detach().numpy(), weight.detach().numpy().T))
    return product if bias is None else product.add_(bias)


def _linear_by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    padded = F.pad(x, (0, 0, 0, -len(x) % ONEDNN_ROWS))
    return torch.ops.mkldnn._linear_pointwise(padded, weight, bias, "none", [], "")[: len(x)]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight, bias):
        context.save_for_backward(x, weight)
        return _linear(x, weight, bias)

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        of_x, of_weight, of_bias = context.needs_input_grad
        rows = gradient.numpy()
        return (
            _linear(gradient, weight.t(), None) if of_x else None,
            torch.from_numpy(np.matmul(rows.T, x.detach().numpy())) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _attend(
    query: Tensor, key: Tensor, value: Tensor, runs: Sequence[tuple[int, int]], queries: int | None, p: float
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """Mixtures, sums, and of each run the weights and (under dropout) what they were multiplied by."""
    mixed, sums, weights = torch.empty_like(query, memory_format=torch.contiguous_format), [], []
    arrays = _arrays(query, key, value, mixed)
    for q, k, v, out in _cut(arrays, runs, queries, "qkkq"):
        softmax = _tensor(_product(q, k.swapaxes(2, 3))).softmax(-1)
        weights.append(softmax)
        if p:
            weights.append(keep(softmax, p))
            softmax = softmax * weights[-1]
            sums.append(softmax.sum(-1).transpose(1, 2).reshape(-1, query.shape[1]))
        _product(softmax.numpy() if isinstance(q, np.ndarray) else softmax, v, out)
    return mixed, torch.cat(sums) if p else None, weights


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(context, query, key, value, runs, queries, p):
        mixed, sums, weights = _attend(query, key, value, runs, queries, p)
        context.save_for_backward(query, key, value, *weights)
        context.runs, context.queries, context.dropped = runs, queries, bool(p)
        return mixed, sums

    @staticmethod
    def backward(context, gradient, of_sums):
        query, key, value, *weights = context.saved_tensors
        runs, step = context.runs, 1 + context.dropped
        found = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)]
        arrays = _arrays(query, key, value, gradient, *found)
        of_sums = [] if of_sums is None else of_sums.split([count * (context.queries or n) for n, count in runs])
        for number, (q, k, v, of_out, of_q, of_k, of_v) in enumerate(_cut(arrays, runs, context.queries, "qkkqqkk")):
            softmax, *kept = weights[number * step : (number + 1) * step]
            of_weights = _tensor(_product(of_out, v.swapaxes(2, 3)))
            mixing = softmax
            if kept:
                mixing = softmax * kept[0]
                if len(of_sums):
                    of_weights += of_sums[number].view(len(q), -1, q.shape[1]).transpose(1, 2).unsqueeze(-1)
                of_weights *= kept[0]
            of_logits = torch.ops.aten._softmax_backward_data(of_weights, softmax, -1, softmax.dtype)
            if isinstance(q, np.ndarray):
                mixing, of_logits = mixing.numpy(), of_logits.numpy()
            _product(mixing.swapaxes(2, 3), of_out, of_v)
            _product(of_logits, k, of_q)
            _product(of_logits.swapaxes(2, 3), q, of_k)
        return *found, None, None, None


def _cut(arrays: Sequence[Array], runs: Sequence[tuple[int, int]], queries: int | None, sides: str) -> Iterable[list]:
    """Of each run the arrays' parts # (sequences, heads, queries or length, d); ``sides``: q or k for each array."""
    starts = {"q": 0, "k": 0}
    for length, count in runs:
        rows = {"q": queries or length, "k": length}
        yield [
            array[starts[side] : starts[side] + rows[side] * count]
            .reshape(count, rows[side], *array.shape[1:])
            .swapaxes(1, 2)
            for array, side in zip(arrays, sides, strict=True)
        ]
        starts = {side: starts[side] + rows[side] * count for side in starts}


def _arrays(*tensors: Tensor) -> list[Array]:
    """The tensors as numpy's arrays, of the same memory, where OpenBLAS computes their products."""
    if _by_openblas(tensors[0]):
        return [tensor.detach().numpy() for tensor in tensors]
    return [tensor.detach() for tensor in tensors]


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else array


def _product(a: Array, b: Array, out: Array | None = None) -> Array:
    """``a b`` of the last two dimensions, into ``out`` where that is given."""
    if isinstance(a, np.ndarray):
        return np.matmul(a, b, out=out)
    product = torch.matmul(a, b)
    return product if out is None else out.copy_(product)


def _send_to_openblas() -> None:
    """Let OpenBLAS compute what torch gives to MKL on a CPU, forward and backward, whoever calls it."""

    def array(tensor: Tensor) -> np.ndarray:
        tensor = tensor.detach()
        return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy()

    def product(a: Tensor, b: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(np.matmul(array(a), array(b)))).to(a.dtype)

    def add_product(c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        found = product(a, b)
        if alpha != 1:
            found *= alpha
        return found.add_(c, alpha=beta) if beta else found

    global _library
    _library = torch.library.Library("aten", "IMPL", "CPU")  # torch's own kernels are back where this one is deleted
    with warnings.catch_warnings(action="ignore"):
        for name in ("mm", "bmm", "mv", "dot"):
            _library.impl(name, product, allow_override=True)
        for name in ("addmm", "baddbmm", "addmv"):
            _library.impl(name, add_product, allow_override=True)
    torch.set_num_threads(1)


def _can_be_told() -> bool:
    """Whether numpy's products are by an OpenBLAS that takes the name of its kernels."""
    about = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return "openblas" in about["name"] and "DYNAMIC_ARCH" in about.get("openblas configuration", "")


@torch.inference_mode()
def _onednn_is_faster() -> bool:
    """Whether oneDNN multiplies much faster than OpenBLAS: 20 ms of measuring by this thread's own time."""
    x, weight = torch.ones(512, 256), torch.ones(1024, 256)

    def seconds(multiply: Callable[[Tensor, Tensor, None], Tensor]) -> float:
        multiply(x, weight, None)
        times = []
        for _ in range(3):
            start = time.thread_time()
            multiply(x, weight, None)
            times.append(time.thread_time() - start)
        return min(times)

    return seconds(_linear) > ONEDNN_TIMES_FASTER * seconds(_linear_by_onednn)


_OPENBLAS = _can_be_told()
_AMD = processor.vendor() == AMD and _OPENBLAS
if processor.is_portable() and not _OPENBLAS:
    processor.fall_back("numpy's products are not by an OpenBLAS whose kernels can be chosen")
_PORTABLE = processor.is_portable()
if _PORTABLE:
    _send_to_openblas()
_ONEDNN = False
if _AMD and not _PORTABLE and processor.has("avx512f") and torch.backends.mkldnn.is_available():
    _ONEDNN = _onednn_is_faster()
_of_amd = f"{'oneDNN and ' if _ONEDNN else ''}OpenBLAS on one thread, else MKL"
FP32_PRODUCTS = "OpenBLAS" if _PORTABLE else _of_amd if _AMD else "MKL"
"""Which library multiplies matrices of float32, as manifests say it."""
processor.note_products(FP32_PRODUCTS)
