"""Is what a GPU computes what the CPU computes? Scores, vectors, gradients, training, search, a small distillation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from bench.inputs import GROUP
from bench.ours import ARCHITECTURES, CPU, Ours
from workflow_scripts.models import packed_encoder, ragged_attention
from workflow_scripts.models.dense_retrieval import search_on_device
from workflow_scripts.models.rankers import RankerModel, new_ranker

OUTPUTS = {"scores": "score", "vectors": "encode"}
"""What a method of the project writes, to the method."""
EPOCHS = 30
"""Times that the small distillation sees each of its groups."""
SPREAD = 2.0
"""Standard deviation of its teacher's scores: a teacher that prefers something."""
GRADIENT_FLOOR = 1e-2
"""Share of the largest gradient below which another one's differences count as if it were that large."""


@dataclass(frozen=True)
class Check:
    """One comparison: what was ``found`` must lie at or below ``limit`` (at or above it, where ``least``)."""

    name: str
    found: float
    limit: float
    least: bool = False

    @property
    def passed(self) -> bool:
        """False for a number that is not finite too."""
        return bool(self.found >= self.limit if self.least else self.found <= self.limit)


def outputs(folder: Path, device: torch.device, what: str, precision: str) -> Iterator[Check]:
    """Scores or vectors (:data:`OUTPUTS`) on the device beside the CPU's.

    Differences in fp32 are shares of the largest value on the CPU. In half precision scores must keep their order: what
    is read is their correlation with fp32.
    """
    exact, card = _exact(folder, what), Ours(folder, precision, device)
    found = _array(folder, card, OUTPUTS[what], precise=precision == "fp32")
    if precision == "fp32":
        yield Check(f"{what} in fp32", _difference(found, exact), 1e-4)
    else:
        yield Check(f"{what} in {precision}: correlation", _correlation(found, exact), 0.995, least=True)


def gradients(folder: Path, device: torch.device, name: str) -> Iterator[Check]:
    """Gradients of one step without dropout, in fp32, beside the CPU's."""
    exact, found = (_gradients(folder, Ours(folder, "fp32", side), name) for side in (CPU, device))
    yield Check(f"gradients of a {ARCHITECTURES[name]} in fp32", gradient_difference(found, exact), 1e-3)


def losses(folder: Path, device: torch.device, name: str, precision: str) -> Iterator[Check]:
    """Losses of the steps of a short training without dropout, beside the CPU's in fp32."""
    found = _short_training(Ours(folder, precision, device), name)
    limit = 1e-3 if precision == "fp32" else 0.05
    difference = _difference(found, _exact_losses(folder, name))
    yield Check(f"losses of a {ARCHITECTURES[name]} in {precision}", difference, limit)


def attention(folder: Path, device: torch.device) -> Iterator[Check]:
    """The ragged kernel beside padded attention, in half precision, for all tokens and for first tokens alone."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 200, 64)
    ids = np.zeros(lengths.sum(), np.int32)
    batch = packed_encoder.pack(packed_encoder.Sequences(ids, ids, lengths), device)
    for size in (32, 64):
        shape = (3, len(ids), 4, size)
        q, k, v = torch.from_numpy(draw.standard_normal(shape).astype(np.float32)).to(device).half().unbind()
        for first in (False, True):
            asking = q[batch.starts.long()] if first else q
            expected = ragged_attention._attend_padded(asking, k, v, batch, 0.0, first)
            found = ragged_attention.attend(asking, k, v, batch, 0.0, first) if device.type == "cuda" else expected
            name = f"ragged attention, heads of {size}, {'first tokens' if first else 'all tokens'}"
            yield Check(name, _difference(found.float().cpu().numpy(), expected.float().cpu().numpy()), 1e-2)


def attention_dropout(folder: Path, device: torch.device, p: float = 0.1) -> Iterator[Check]:
    """Ragged attention under dropout beside its own mask, in half precision: what it gives, and its gradients.

    Where all logits are equal and the values are the positions' unit vectors, the result is the dropped weights
    themselves; the same seed gives the same mask for other values.
    """
    draw = np.random.default_rng(0)
    size, heads = 64, 4
    lengths = draw.integers(8, size, 200)
    ids = np.zeros(lengths.sum(), np.int32)
    batch = packed_encoder.pack(packed_encoder.Sequences(ids, ids, lengths), device)
    shape = (len(ids), heads, size)
    asking = torch.zeros(shape, dtype=torch.float16, device=device)
    units = torch.eye(size, device=device)[batch.positions.long()].half().unsqueeze(1).expand(shape).contiguous()
    value, upstream = torch.from_numpy(draw.standard_normal((2, *shape))).to(device).half().unbind()
    value = value.clone().requires_grad_()

    def attend(of: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return ragged_attention.attend(asking, asking, of, batch, p, False)

    with torch.no_grad():
        weights = attend(units).float()  # (tokens, heads, positions)
    found = attend(value)
    found.backward(upstream)
    expected, gradient = torch.zeros_like(weights), torch.zeros_like(weights)
    kept = number = 0
    for first, last in pairwise(batch.offsets.tolist()):
        own, rows = weights[first:last, :, : last - first], slice(first, last)
        expected[rows] = torch.einsum("qhk,khd->qhd", own, value[rows].detach().float())
        gradient[rows] = torch.einsum("qhk,qhd->khd", own, upstream[rows].float())
        kept, number = kept + int((own > 0).sum()), number + own.numel()
    yield Check("ragged attention under dropout: share of weights kept, from 0.9", abs(kept / number - 1 + p), 0.005)
    for name, one, other in (("values", found.detach(), expected), ("gradients", value.grad, gradient)):
        difference = _difference(one.float().cpu().numpy(), other.cpu().numpy())
        yield Check(f"ragged attention under dropout, {name}", difference, 1e-2)


def search(folder: Path, device: torch.device) -> Iterator[Check]:
    """Exact search on the device beside numpy's on the CPU: the share of ten best documents that are not the same."""
    draw = np.random.default_rng(0)
    documents, queries = (draw.standard_normal((rows, 64)).astype(np.float32) for rows in (20_000, 100))
    _, places = search_on_device(documents, device=device)(queries, 10)
    expected = np.argsort(-(queries.astype(np.float64) @ documents.T), axis=1)[:, :10]
    agree = sum(len(set(one) & set(other)) for one, other in zip(places.tolist(), expected.tolist(), strict=True))
    yield Check("dense search: documents of the best ten that differ", 1 - agree / expected.size, 1e-3)


def distillation(folder: Path, device: torch.device, name: str) -> Iterator[Check]:
    """A student from random weights learns the order that a teacher gives each group, in what ``auto`` computes in.

    The teacher is the folder's cross-encoder. What is read are the student's scores of groups that it has seen
    :data:`EPOCHS` times: does the whole loop learn, not how well it generalises.
    """
    ours, architecture = Ours(folder, "auto", device), ARCHITECTURES[name]
    ours.texts["pairs"] = [(query, row) for query, rows in ours.texts["groups"] for row in rows]
    teacher = _array(folder, ours, "score", precise=False).reshape(-1, GROUP)
    ours.texts["teacher"] = ((teacher - teacher.mean()) / teacher.std() * SPREAD).tolist()
    model = new_ranker(ours.load(name).config, architecture, initialise_seed=1, dropout=0.0)
    losses = _losses(ours, name, model, EPOCHS, 5e-4)
    epoch = max(1, len(losses) // EPOCHS)
    fall = float(np.mean(losses[-epoch:]) / np.mean(losses[:epoch]))
    yield Check(f"distilled {architecture}: last loss as a share of the first", fall, 0.8)
    agreement = _agreement(_group_scores(ours, name, model), teacher)
    yield Check(f"distilled {architecture}: agreement with the teacher's order", agreement, 0.3, least=True)


@torch.no_grad()
def _group_scores(ours: Ours, name: str, model: RankerModel) -> np.ndarray:
    """A trained student's scores of the folder's groups  # (groups, docs)."""
    model.eval()
    batches = ours.batches(name)
    parts = [batch.scores(model(batch.sequences)).float().cpu() for batch in map(batches, range(len(batches)))]
    return torch.cat(parts).numpy()


def _agreement(scores: np.ndarray, teacher: np.ndarray) -> float:
    """Mean over groups of Kendall's tau-a: pairs ordered alike less pairs ordered otherwise, as a share of all."""
    one, other = (np.sign(x[:, :, None] - x[:, None, :]) for x in (scores, teacher))
    docs = scores.shape[1]
    return float((one * other).sum(axis=(1, 2)).mean() / (docs * (docs - 1)))


def _short_training(ours: Ours, name: str) -> list[float]:
    return _losses(ours, name, ours.load(name, 0.0), 2, 1e-4)


@functools.cache
def _exact_losses(folder: Path, name: str) -> list[float]:
    return _short_training(Ours(folder, "fp32", CPU), name)


@functools.cache
def _exact(folder: Path, what: str) -> np.ndarray:
    return _array(folder, Ours(folder, "fp32", CPU), OUTPUTS[what])


def _losses(ours: Ours, name: str, model: RankerModel, epochs: int, rate: float) -> list[float]:
    """The steps' losses of a training on the folder's groups, each seen ``epochs`` times."""
    return ours.fit(name, model, ours.batches(name, epochs=epochs), learning_rate=rate).columns["loss"]


def _array(folder: Path, ours: Ours, method: str, *, precise: bool = True) -> np.ndarray:
    """What a method of the project writes, float32; in fp32 where ``precise``."""
    path = folder / f"{method}.npy"
    getattr(ours, method)(str(path), precise=precise)
    return np.load(path)


def _gradients(folder: Path, ours: Ours, name: str) -> dict[str, np.ndarray]:
    path = folder / "gradients.npz"
    ours.gradients(name, str(path))
    with np.load(path) as arrays:
        return dict(arrays)


def _difference(found: np.ndarray | list, expected: np.ndarray | list) -> float:
    """Largest absolute difference as a share of the largest expected value."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def gradient_difference(found: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray]) -> float:
    """Largest difference of a parameter's gradients as a share of the largest of them, or of a floor for small ones.

    The floor (:data:`GRADIENT_FLOOR`) is there because key biases and, under a loss of differences, the last bias
    have a gradient of 0: what is found there is rounding, on the CPU too.
    """
    floor = GRADIENT_FLOOR * max(np.abs(value).max() for value in exact.values())
    return max(
        float(np.abs(found[key] - value).max() / max(np.abs(value).max(), floor)) for key, value in exact.items()
    )


def _correlation(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.corrcoef(found.ravel(), expected.ravel())[0, 1])


PRECISIONS = ("fp32", "bf16", "fp16")
# By section and name, so that one that fails takes no other with it.
CHECKS: dict[str, dict[str, Callable[[Path, torch.device], Iterator[Check]]]] = {
    "equality": {
        **{f"{what}, {p}": partial(outputs, what=what, precision=p) for what in OUTPUTS for p in PRECISIONS},
        **{f"gradients, {kind}": partial(gradients, name=kind) for kind in ARCHITECTURES},
        **{
            f"losses, {kind}, {p}": partial(losses, name=kind, precision=p)
            for kind in ARCHITECTURES
            for p in PRECISIONS
        },
        "dense search": search,
    },
    "attention": {"ragged attention": attention, "ragged attention under dropout": attention_dropout},
    "distillation": {f"distillation, {kind}": partial(distillation, name=kind) for kind in ARCHITECTURES},
}
