"""What only a GPU computes, as far as a machine without one can tell: shapes, types, gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from bench.inputs import Shape
from workflow_scripts.models import packed_encoder, ragged_attention, rankers
from workflow_scripts.models.packed_encoder import PackedBatch, pack
from workflow_scripts.models.token_store import Sequences

CONFIG = Shape(2, 64, 2, 128, pairs=1, steps=1, vocabulary=100).config()


@pytest.fixture
def batch() -> PackedBatch:
    lengths = np.array([5, 3, 7, 3])
    ids = np.arange(lengths.sum()) % 100
    return pack(Sequences(ids, np.zeros_like(ids), lengths))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Shapes of the queries and dropouts that reach the kernel for ragged attention, on a card that has it."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
    of, found = ragged_attention._varlen_kernel.__wrapped__, []

    def counting(device: torch.device, p: float) -> Callable:
        def count(query: torch.Tensor, *others: object) -> torch.Tensor:
            found.append((tuple(query.shape), p))
            return of(torch.device("cuda"), p)(query, *others)

        return count

    monkeypatch.setattr(ragged_attention, "_varlen_kernel", counting)
    return found


def low(dtype: torch.dtype, shape: packed_encoder.EncoderShape) -> packed_encoder.PackedEncoder:
    """An encoder in half precision, as ``for_inference`` makes it: the head stays in float32."""
    torch.set_default_dtype(dtype)
    try:
        return packed_encoder.PackedEncoder(shape)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("architecture", list(rankers.KINDS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_forward_on_a_gpu_that_is_not_there(
    calls: list[tuple], batch: PackedBatch, architecture: str, dtype: torch.dtype, training: bool
) -> None:
    # Fake tensors carry shape, type and device through every operation and compute nothing.
    with FakeTensorMode():
        there = {
            name: torch.empty(value.shape, dtype=value.dtype, device="cuda")
            if isinstance(value, torch.Tensor)
            else value
            for name, value in vars(batch).items()
        }
        with torch.device("cuda"):
            model = rankers.KINDS[architecture](CONFIG)
            model.encoder = low(dtype, model.shape)
        model.train(training)
        output = model(PackedBatch(**there))
    # Every token in the first layer, the first token of each sequence in the last.
    dropout = 0.1 if training else 0.0
    assert calls == ([((18, 2, 32), dropout), ((4, 2, 32), dropout)] if dtype != torch.float32 else [])
    assert output.device.type == "cuda" and output.dtype == torch.float32
    assert output.shape == ((len(batch),) if architecture == "cross-encoder" else (len(batch), 64))


def go_as_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a GPU's way on another device."""
    monkeypatch.setattr(packed_encoder, "attend", ragged_attention._attend_varlen)
    monkeypatch.setattr(
        packed_encoder._Layer,
        "_attend_unprojected",
        lambda layer, first, hidden, batch: layer._attend(first, hidden, batch, first=True),
    )


@pytest.mark.parametrize("training", [False, True])
def test_every_parameter_has_a_gradient_through_the_kernel(
    calls: list[tuple], batch: PackedBatch, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_as_a_gpu(monkeypatch)
    # Of a GPU that is not there torch keeps no gradients; tensors on "meta" have shapes and types, and compute nothing.
    there = {
        name: value.to("meta") if isinstance(value, torch.Tensor) else value for name, value in vars(batch).items()
    }
    with torch.device("meta"):
        encoder = low(torch.bfloat16, rankers.KINDS["bi-encoder"](CONFIG).shape)
    encoder.train(training)(PackedBatch(**there)).sum().backward()
    assert len(calls) == 2 and {p for _, p in calls} == {0.1 if training else 0.0}
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.shape == parameter.shape, name


@pytest.mark.parametrize("architecture", list(rankers.KINDS))
def test_the_way_a_gpu_goes_has_the_scores_and_gradients_of_the_cpus(
    batch: PackedBatch, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = rankers.new_ranker(CONFIG, architecture, initialise_seed=0)
    model.encoder.to(torch.bfloat16)
    expected, gradients = _run(model, batch)

    def kernel(q, k, v, q_offsets, k_offsets, longest_q, longest_k):
        parts = []
        for number in range(len(k_offsets) - 1):
            asking = slice(*q_offsets[number : number + 2].tolist())
            own = slice(*k_offsets[number : number + 2].tolist())
            assert asking.stop - asking.start <= longest_q and own.stop - own.start <= longest_k
            logits = torch.einsum("qhd,khd->hqk", q[asking], k[own]) * q.shape[-1] ** -0.5
            parts.append(torch.einsum("hqk,khd->qhd", logits.softmax(-1), v[own]))
        return torch.cat(parts)

    monkeypatch.setattr(ragged_attention, "_varlen_kernel", lambda device, p: kernel)
    go_as_a_gpu(monkeypatch)
    found, others = _run(model, batch)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0.05)
    assert set(others) == set(gradients)
    for name, gradient in gradients.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(others[name], gradient, atol=0.05 * scale + 1e-3, rtol=0.05, msg=name)


@pytest.mark.parametrize(
    ("size", "dtype", "ragged"),
    [
        (8, torch.float16, True),
        (256, torch.bfloat16, True),
        (264, torch.bfloat16, False),  # wider heads raise in flash attention
        (12, torch.float16, False),
        (64, torch.float32, False),
    ],
)
def test_heads_that_the_kernel_does_not_take_are_padded(
    batch: PackedBatch, size: int, dtype: torch.dtype, ragged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ragged_attention, "_varlen_kernel", lambda device, p: lambda q, *others: "ragged")
    monkeypatch.setattr(ragged_attention, "_attend_padded", lambda *given: "padded")
    heads = torch.zeros(18, 2, size, dtype=dtype)
    found = ragged_attention._attend_varlen(heads, heads, heads, batch, 0.0, False)
    assert found == ("ragged" if ragged else "padded")


def _run(model: rankers.RankerModel, batch: PackedBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Outputs and the gradients of a weighted sum; a CPU leaves out the last key bias, whose gradient is 0."""
    model.zero_grad()
    output = model(batch)
    (output * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()
    gradients = {
        name: torch.zeros_like(parameter).float() if parameter.grad is None else parameter.grad.float().clone()
        for name, parameter in model.named_parameters()
    }
    return output.detach(), gradients
