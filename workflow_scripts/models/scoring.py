"""Score (query, document) pairs with a ranker, packed and sorted by length."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.models.devices import DTYPES, best_device, device_name, settle_precision
from workflow_scripts.models.packed_encoder import CPU_CACHE_BYTES, pack
from workflow_scripts.models.rankers import AnyRanker, RankerModel, load_ranker
from workflow_scripts.models.sentence_transformers import other_embedding
from workflow_scripts.models.token_store import (
    Sequences,
    TokenStore,
    pair_lengths,
    pair_sequences,
    require_room,
    single_sequences,
)
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress

MOST_TOKENS = {"cpu": 4096, "cuda": 131072}  # a GPU wants enough work to fill it
MOST_SEQUENCES = 2**16 - 1  # a GPU's kernels have a block a sequence in a dimension of the grid that holds no more
CHUNK_PAIRS = 2**20
EMBEDDING_BYTES = 2**31
FETCHED_BYTES = {"cpu": 0, "cuda": 2**28}
"""Bytes of outputs that a device holds before they are fetched at once, so that a GPU does not wait for the host."""


def scoring_ranker(
    folder: str | Path,
    architecture: str,
    *stores: TokenStore,
    precision: str = "auto",
    pooling: str | None = None,
    similarity: str | None = None,
) -> AnyRanker:
    """A ranker loaded for scoring the stores' texts: vocabulary checked, on the device, in its precision.

    ``pooling``, ``similarity``: a bi-encoder's, None for its folder's own; what else the folder asks for is said on
    stderr. Raises :class:`InputError` for a cross-encoder without a head of its own: a random one would rank at random.
    """
    for store in stores:
        store.check_vocabulary(folder)
    chosen = {"pooling": pooling, "similarity": similarity}
    if architecture == "bi-encoder" and (other := other_embedding(folder, **chosen)):
        print(f"{folder}: {other}", file=sys.stderr)
    model = load_ranker(folder, architecture, initialise_seed=0, new_head=False, **chosen)
    return for_inference(model, precision)


def for_inference(model: AnyRanker, precision: str = "auto", device: torch.device | None = None) -> AnyRanker:
    """A copy of the ranker in evaluation mode on ``device``; the encoder in ``precision``, a head always in float32.

    Of a bi-encoder ``auto`` is fp32 on a CPU: products of vectors that are rounded to 8 bits order near documents
    otherwise, and the search of a corpus shall be exact.
    """
    device = device or best_device()
    if precision == "auto" and device.type == "cpu" and model.architecture == "bi-encoder":
        precision = "fp32"
    ready = copy.deepcopy(model).to(device).eval().requires_grad_(False)
    settled = settle_precision(precision, device.type, ready.widest)
    dtype = DTYPES[ready.computable(settled, precision, autocast=False)]
    if isinstance(ready, RankerModel):
        ready.encoder.to(dtype)
    else:
        ready.compute_in(dtype)
    return ready


def token_budget(model: AnyRanker) -> int:
    """Tokens a batch may hold: on a CPU no more than its cache has room for in the model's widest layer."""
    most = MOST_TOKENS[model.device.type]
    if model.device.type == "cpu":
        size = min(weight.element_size() for weight in model.parameters())  # a head's is 4 whatever the encoder's is
        return max(1, min(most, CPU_CACHE_BYTES // (size * model.widest)))
    return most


@dataclass(frozen=True)
class _Pairs:
    """Pairs as rows of two stores, each text cut where its store is."""

    queries: TokenStore
    documents: TokenStore
    query_rows: np.ndarray
    document_rows: np.ndarray

    def __len__(self) -> int:
        return len(self.query_rows)

    def __getitem__(self, chosen: slice | np.ndarray) -> _Pairs:
        return replace(self, query_rows=self.query_rows[chosen], document_rows=self.document_rows[chosen])

    @property
    def sides(self) -> tuple[tuple[TokenStore, np.ndarray], ...]:
        return (self.queries, self.query_rows), (self.documents, self.document_rows)

    @property
    def _cut(self) -> tuple[TokenStore, np.ndarray, TokenStore, np.ndarray, int, int]:
        rows = self.queries, self.query_rows, self.documents, self.document_rows
        return *rows, self.queries.cut_at, self.documents.cut_at

    def lengths(self) -> np.ndarray:
        return pair_lengths(*self._cut)

    def sequences(self) -> Sequences:
        return pair_sequences(*self._cut)


def score_pairs(
    model: AnyRanker,
    queries: TokenStore,
    documents: TokenStore,
    query_rows: np.ndarray,
    document_rows: np.ndarray,
    *,
    progress: Progress | None = None,
) -> np.ndarray:
    """Scores float32 (pairs,) of pairs given as rows of the two stores, in the pairs' order.

    ``model`` comes from :func:`for_inference`. Raises :class:`InputError` that names the pair for a score that is not
    finite.
    """
    pairs = _Pairs(queries, documents, query_rows, document_rows)
    score = _score_cross if model.architecture == "cross-encoder" else _score_bi
    step = CHUNK_PAIRS if score is _score_cross else max(1, EMBEDDING_BYTES // (4 * model.hidden_size))
    scores = np.empty(len(pairs), np.float32)
    for first in range(0, len(pairs), step):
        chunk = slice(first, first + step)
        scores[chunk] = score(model, pairs[chunk], progress)
        _check_finite(scores[chunk], pairs[chunk])
    return scores


def _score_cross(model: AnyRanker, pairs: _Pairs, progress: Progress | None) -> np.ndarray:
    """Bounded by the encoder's matrix products; batches are made on the host while a GPU works on the last ones."""
    return _encode(model, pairs.lengths(), lambda rows: pairs[rows].sequences(), progress)


def _score_bi(model: AnyRanker, pairs: _Pairs, progress: Progress | None) -> np.ndarray:
    """Encode each distinct text once; bounded by the encoder, the dot products by reading the embeddings."""
    sides = []
    for store, rows in pairs.sides:
        distinct, places = np.unique(rows, return_inverse=True)
        sides.append((embed(model, store, distinct, store.cut_at, progress), places))
    (query_vectors, query_places), (document_vectors, document_places) = sides
    scores = np.empty(len(pairs), np.float32)
    for first in range(0, len(scores), 2**16):
        part = slice(first, first + 2**16)
        left, right = query_vectors[query_places[part]], document_vectors[document_places[part]]
        np.einsum("pd,pd->p", left, right, out=scores[part])
    return scores


def embed(
    model: AnyRanker, store: TokenStore, rows: np.ndarray, limit: int, progress: Progress | None = None
) -> np.ndarray:
    """Vectors float32 (rows, hidden) of a store's rows, at least one, each text cut to ``limit`` tokens."""
    lengths = np.minimum(store.lengths[rows], limit) + 2
    return _encode(model, lengths, lambda batch: single_sequences(store, rows[batch], limit), progress)


@torch.inference_mode()
def _encode(
    model: AnyRanker, lengths: np.ndarray, build: Callable[[np.ndarray], Sequences], progress: Progress | None
) -> np.ndarray:
    """The model's outputs float32 for all sequences, in order; the host waits for a GPU only to fetch them."""
    require_room(int(lengths.max(initial=0)), model.longest)  # now, since the longest come last
    order = np.argsort(lengths, kind="stable")
    results = np.empty(0, np.float32)
    waiting: list[tuple[np.ndarray, Tensor]] = []
    for rows, output in _batches(model, lengths, order, build):
        if not len(results):
            results = np.empty((len(lengths), *output.shape[1:]), np.float32)
        waiting.append((rows, output))
        if 4 * sum(part.numel() for _, part in waiting) >= FETCHED_BYTES[model.device.type]:
            _fetch(waiting, results)
        if progress is not None:
            progress.add(int(lengths[rows].sum()))
    _fetch(waiting, results)
    return results


def _fetch(waiting: list[tuple[np.ndarray, Tensor]], results: np.ndarray) -> None:
    """Put the outputs that wait on the device into the rows of ``results`` that they are of; none wait any more."""
    if waiting:
        batches, outputs = zip(*waiting, strict=True)
        results[np.concatenate(batches)] = torch.cat(outputs).cpu().numpy()
        waiting.clear()


def _batches(
    model: AnyRanker, lengths: np.ndarray, order: np.ndarray, build: Callable[[np.ndarray], Sequences]
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """The rows of each batch, in ``order``, and the model's outputs on its device.

    From a batch that the GPU's memory has no room for on batches are half as large, and a line says so.
    """
    budget = token_budget(model)
    while len(order):
        for rows in token_batches(lengths, order, budget):
            try:
                output = model(pack(build(rows), model.device))
            except torch.OutOfMemoryError:
                if len(rows) == 1:
                    raise
                budget = int(lengths[rows].sum()) // 2
                break
            yield rows, output
            order = order[len(rows) :]
        else:
            return
        # Behind the except clause, which holds what the failed batch had on the device.
        torch.cuda.empty_cache()
        print(
            f"the GPU's memory is short: batches hold {budget:,} tokens from here on. Scores are those of larger "
            "batches but for their last digits",
            file=sys.stderr,
            flush=True,
        )


def token_batches(lengths: np.ndarray, order: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Split ``order`` into stretches of at most ``budget`` tokens (one sequence at least, :data:`MOST_SEQUENCES`)."""
    ends = np.cumsum(lengths[order])
    first = 0
    while first < len(order):
        used = ends[first - 1] if first else 0
        fitting = int(np.searchsorted(ends, used + budget, side="right"))
        last = min(max(first + 1, fitting), first + MOST_SEQUENCES)
        yield order[first:last]
        first = last


def _check_finite(scores: np.ndarray, pairs: _Pairs) -> None:
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        query, document = (store.ids[rows[bad[0]]].decode() for store, rows in pairs.sides)
        raise InputError(
            f"the model scores query {query}, document {document} as {scores[bad[0]]} "
            f"({len(bad)} pairs of {len(scores)}): its training diverged, or try precision fp32"
        )


def scoring_progress(
    model: AnyRanker,
    queries: TokenStore,
    documents: TokenStore,
    query_rows: np.ndarray,
    document_rows: np.ndarray,
    *,
    name: str,
) -> Progress:
    """Progress of a scoring job, in tokens, since batches run from short sequences to long ones.

    Says what is to be scored before it starts. Texts that two parts of a large bi-encoder job share count once.
    """
    pairs = _Pairs(queries, documents, query_rows, document_rows)
    if model.architecture == "cross-encoder":
        chunks = (pairs[first : first + CHUNK_PAIRS] for first in range(0, len(pairs), CHUNK_PAIRS))
        total = sum(int(chunk.lengths().sum()) for chunk in chunks)
    else:
        total = sum(
            int((np.minimum(store.lengths[_distinct(rows, len(store))], store.cut_at) + 2).sum())
            for store, rows in pairs.sides
        )
    print(
        f"{name}: {len(pairs):,} pairs to score with a {model.architecture}: {total:,} tokens, "
        f"{next(model.parameters()).dtype} on {device_name(model.device)}",
        file=sys.stderr,
        flush=True,
    )
    return Progress(total, f"tokens of {name}")


def _distinct(rows: np.ndarray, number: int) -> np.ndarray:
    """Distinct rows of a store of ``number`` texts, sorted."""
    present = np.zeros(number, bool)
    present[rows] = True
    return np.flatnonzero(present)
