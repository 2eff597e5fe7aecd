"""Score (query, document) pairs with a ranker, packed and sorted by length."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.models.devices import DTYPES, best_device, device_name, settle_precision
from workflow_scripts.models.packed_encoder import CPU_CACHE_BYTES, pack
from workflow_scripts.models.rankers import RankerModel, load_ranker
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

if TYPE_CHECKING:
    from workflow_scripts.models.padded import PaddedRanker

MOST_TOKENS = {"cpu": 4096, "cuda": 131072}  # a GPU wants enough work to fill it
MOST_SEQUENCES = 2**16 - 1  # a GPU's kernels have a block a sequence in a dimension of the grid that holds no more
CHUNK_PAIRS = 2**20
EMBEDDING_BYTES = 2**31


def scoring_ranker(
    folder: str | Path,
    architecture: str,
    *stores: TokenStore,
    precision: str = "auto",
    pooling: str | None = None,
    similarity: str | None = None,
) -> RankerModel | PaddedRanker:
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


def for_inference(
    model: RankerModel | PaddedRanker, precision: str = "auto", device: torch.device | None = None
) -> RankerModel | PaddedRanker:
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


def default_budget(model: RankerModel | PaddedRanker) -> int:
    """Tokens a batch may hold: on a CPU no more than its cache has room for in the model's widest layer."""
    most = MOST_TOKENS[model.device.type]
    if model.device.type == "cpu":
        size = min(weight.element_size() for weight in model.parameters())  # a head's is 4 whatever the encoder's is
        return max(1, min(most, CPU_CACHE_BYTES // (size * model.widest)))
    return most


def score_pairs(
    model: RankerModel | PaddedRanker,
    queries: TokenStore,
    documents: TokenStore,
    query_rows: np.ndarray,
    document_rows: np.ndarray,
    *,
    token_budget: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Scores float32 (pairs,) of pairs given as rows of the two stores, in the pairs' order.

    ``model`` comes from :func:`for_inference`. ``token_budget`` is the number of tokens a batch may hold (None:
    :func:`default_budget`). Raises :class:`InputError` that names the pair for a score that is not finite.
    """
    score = _score_cross if model.architecture == "cross-encoder" else _score_bi
    budget = token_budget or default_budget(model)
    step = CHUNK_PAIRS if score is _score_cross else max(1, EMBEDDING_BYTES // (4 * model.hidden_size))
    scores = np.empty(len(query_rows), np.float32)
    for first in range(0, len(query_rows), step):
        chunk = slice(first, first + step)
        scores[chunk] = score(model, queries, documents, query_rows[chunk], document_rows[chunk], budget, progress)
        _check_finite(scores[chunk], queries, documents, query_rows[chunk], document_rows[chunk])
    return scores


def _score_cross(
    model: RankerModel | PaddedRanker,
    queries: TokenStore,
    documents: TokenStore,
    query_rows: np.ndarray,
    document_rows: np.ndarray,
    budget: int,
    progress: Progress | None,
) -> np.ndarray:
    """Bounded by the encoder's matrix products; batches are made on the host while a GPU works on the last ones."""
    limits = queries.cut_at, documents.cut_at
    lengths = pair_lengths(queries, query_rows, documents, document_rows, *limits)

    def build(rows: np.ndarray) -> Sequences:
        return pair_sequences(queries, query_rows[rows], documents, document_rows[rows], *limits)

    return _encode(model, lengths, build, budget, progress)


def _score_bi(
    model: RankerModel | PaddedRanker,
    queries: TokenStore,
    documents: TokenStore,
    query_rows: np.ndarray,
    document_rows: np.ndarray,
    budget: int,
    progress: Progress | None,
) -> np.ndarray:
    """Encode each distinct text once; bounded by the encoder, the dot products by reading the embeddings."""
    sides = []
    for store, rows in ((queries, query_rows), (documents, document_rows)):
        distinct, places = np.unique(rows, return_inverse=True)
        lengths = np.minimum(store.lengths[distinct], store.cut_at) + 2

        def build(batch: np.ndarray, store=store, distinct=distinct) -> Sequences:
            return single_sequences(store, distinct[batch], store.cut_at)

        sides.append((_encode(model, lengths, build, budget, progress), places))
    (query_vectors, query_places), (document_vectors, document_places) = sides
    scores = np.empty(len(query_rows), np.float32)
    for first in range(0, len(scores), 2**16):
        pairs = slice(first, first + 2**16)
        left, right = query_vectors[query_places[pairs]], document_vectors[document_places[pairs]]
        np.einsum("pd,pd->p", left, right, out=scores[pairs])
    return scores


@torch.inference_mode()
def _encode(
    model: RankerModel | PaddedRanker,
    lengths: np.ndarray,
    build: Callable[[np.ndarray], Sequences],
    budget: int,
    progress: Progress | None,
) -> np.ndarray:
    """The model's outputs for all sequences, in order; no host synchronisation between batches."""
    require_room(int(lengths.max(initial=0)), model.longest)  # now, since the longest come last
    order = np.argsort(lengths, kind="stable")
    outputs: list[Tensor] = []
    for rows, output in encode_batches(model, lengths, order, build, budget):
        outputs.append(output)
        if progress is not None:
            progress.add(int(lengths[rows].sum()))
    results = torch.cat(outputs).cpu().numpy()
    restored = np.empty_like(results)
    restored[order] = results
    return restored


def encode_batches(
    model: RankerModel | PaddedRanker,
    lengths: np.ndarray,
    order: np.ndarray,
    build: Callable[[np.ndarray], Sequences],
    budget: int,
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """The rows of each batch, in ``order``, and the model's outputs on its device.

    From a batch that the GPU's memory has no room for on batches are half as large, and a line says so.
    """
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


def _check_finite(
    scores: np.ndarray, queries: TokenStore, documents: TokenStore, query_rows: np.ndarray, document_rows: np.ndarray
) -> None:
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        query, document = queries.ids[query_rows[bad[0]]].decode(), documents.ids[document_rows[bad[0]]].decode()
        raise InputError(
            f"the model scores query {query}, document {document} as {scores[bad[0]]} "
            f"({len(bad)} pairs of {len(scores)}): its training diverged, or try precision fp32"
        )


def scoring_progress(
    model: RankerModel | PaddedRanker,
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
    if model.architecture == "cross-encoder":
        total = _sum_lengths(queries, query_rows, documents, document_rows)
    else:
        total = sum(
            int((np.minimum(store.lengths[_distinct(rows, len(store))], store.cut_at) + 2).sum())
            for store, rows in ((queries, query_rows), (documents, document_rows))
        )
    print(
        f"{name}: {len(query_rows):,} pairs to score with a {model.architecture}: {total:,} tokens, "
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


def _sum_lengths(queries: TokenStore, query_rows: np.ndarray, documents: TokenStore, document_rows: np.ndarray) -> int:
    total, limits = 0, (queries.cut_at, documents.cut_at)
    for first in range(0, len(query_rows), CHUNK_PAIRS):
        chunk = slice(first, first + CHUNK_PAIRS)
        total += int(pair_lengths(queries, query_rows[chunk], documents, document_rows[chunk], *limits).sum())
    return total
