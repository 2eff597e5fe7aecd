"""Products on a CPU beside torch's own, forward and backward."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from workflow_scripts.models import arithmetic

RUNS = ((3, 2), (7, 1), (8, 3))
TOKENS = sum(length * count for length, count in RUNS)


@pytest.fixture(params=["OpenBLAS", "oneDNN", "torch"])
def library(request, monkeypatch):
    """The ways that a processor may take."""
    monkeypatch.setattr(arithmetic, "_by_openblas", lambda x: request.param != "torch" and x.dtype == torch.float32)
    monkeypatch.setattr(arithmetic, "_ONEDNN", request.param == "oneDNN")
    monkeypatch.setattr(arithmetic, "ONEDNN_LEAST", 0)


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype).requires_grad_()


def weigh(y):
    return torch.linspace(-1, 1, y.numel()).view(y.shape)


@pytest.mark.parametrize("frozen", list(itertools.product([False, True], repeat=3)))
def test_a_linear_layer_is_torchs(library, frozen):
    given = [draw(9, 5), draw(4, 5, seed=1), draw(4, seed=2)]
    for tensor, still in zip(given, frozen, strict=True):
        tensor.requires_grad_(not still)
    moving = [tensor for tensor in given if tensor.requires_grad]
    for parts in (given, given[:2]):
        found, expected = arithmetic.linear(*parts), F.linear(*parts)
        torch.testing.assert_close(found, expected)
        if wanted := [tensor for tensor in moving if any(tensor is part for part in parts)]:
            pairs = [torch.autograd.grad(y, wanted, weigh(y)) for y in (found, expected)]
            torch.testing.assert_close(*pairs)
        with torch.inference_mode():
            torch.testing.assert_close(arithmetic.linear(*parts), expected)


@pytest.mark.parametrize("queries", [None, 1, 5])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_attention_is_torchs_of_each_sequence(library, queries, p, monkeypatch):
    keep = lambda x, p: (torch.arange(x.numel()).view(x.shape) % 3 != 0) / (1 - p)  # noqa: E731
    monkeypatch.setattr(arithmetic, "keep", keep)
    rows = sum(count * (queries or length) for length, count in RUNS)
    query, key, value = draw(rows, 2, 4), draw(TOKENS, 2, 4, seed=1), draw(TOKENS, 2, 4, seed=2)
    found, sums = arithmetic.attention(query, key, value, RUNS, queries=queries, p=p)
    asked = read = 0
    expected, totals = [], []
    for length, count in RUNS:
        own, there = (queries or length) * count, length * count
        q, k, v = (
            part.view(count, -1, 2, 4).transpose(1, 2)
            for part in (query[asked : asked + own], key[read : read + there], value[read : read + there])
        )
        weights = (q @ k.mT).softmax(-1)
        weights = weights * keep(weights, p) if p else weights
        expected.append((weights @ v).transpose(1, 2).reshape(-1, 2, 4))
        totals.append(weights.sum(-1).transpose(1, 2).reshape(-1, 2))
        asked, read = asked + own, read + there
    torch.testing.assert_close(found, torch.cat(expected))
    assert (sums is None) == (p == 0)
    results = [found, torch.cat(expected)]
    if p:
        torch.testing.assert_close(sums, torch.cat(totals))
        results = [found + sums.unsqueeze(-1) ** 2, torch.cat(expected) + torch.cat(totals).unsqueeze(-1) ** 2]
    pairs = [torch.autograd.grad(y, (query, key, value), weigh(y), retain_graph=True) for y in results]
    torch.testing.assert_close(*pairs)
    with torch.inference_mode():
        assert torch.equal(arithmetic.attention(query, key, value, RUNS, queries=queries, p=p)[0], found)


def test_attention_in_half_precision_has_its_gradients():
    parts = [draw(TOKENS, 2, 4, seed=seed) for seed in range(3)]
    low = [part.detach().bfloat16().requires_grad_() for part in parts]
    found = [arithmetic.attention(*given, RUNS)[0] for given in (parts, low)]
    assert found[1].dtype == torch.bfloat16
    torch.testing.assert_close(found[1].float(), found[0], atol=0.05, rtol=0.05)
    exact, near = (torch.autograd.grad(y.sum(), given) for y, given in zip(found, (parts, low), strict=True))
    for a, b in zip(exact, near, strict=True):
        torch.testing.assert_close(b.float(), a, atol=0.1, rtol=0.1)
