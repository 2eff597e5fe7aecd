"""Dense retrieval: the documents of a whole corpus with the largest inner products E(q) . E(d)."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from workflow_scripts.models import scoring
from workflow_scripts.models.devices import device_name
from workflow_scripts.models.embedding import embed_texts
from workflow_scripts.models.found import Found, merge, order_ties
from workflow_scripts.models.sentence_transformers import other_embedding, says_similarity
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.processor import is_portable
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.storage.shards import units_of

if TYPE_CHECKING:
    from workflow_scripts.models.token_store import TokenStore

FLAT = "Flat"
CHUNK_BYTES, CHUNK_DOCUMENTS = 2**28, 2**17  # vectors of documents held at once
QUERY_BLOCK = 2048  # queries searched at once; on a GPU a chunk's scores for them take 1 GB
SLACK = 16  # fetched beyond the depth, so that ties at the cut seldom need a second search
TRAINING_SAMPLE = 2**18

Search = Callable[[np.ndarray, int], Found]
"""Queries (queries, dims) and how many to find: a chunk's best documents, equal scores in any order."""


@dataclass(frozen=True)
class Settings:
    """How a dense system retrieves: what the specs of search_dense and retrieve_documents share.

    ``depth``: documents a query; ``index``: "Flat" for the exact search, else another of
    :data:`~workflow_scripts.models.faiss_indexes.SUPPORTED`, with ``index_parameters`` of its search ("nprobe=16";
    None: Faiss's own); ``precision`` of the encoder; ``arithmetic``: what the process was started with; ``max_tokens``
    of a ``query`` and a ``document``, None for the token stores' own; ``pooling`` and ``similarity``: how the encoder
    embeds, None for as its folder says.
    """

    depth: int
    index: str = FLAT
    index_parameters: str | None = None
    precision: str = "auto"
    arithmetic: str = "fast"
    max_tokens: Mapping[str, int | None] | None = None
    pooling: str | None = None
    similarity: str | None = None

    def tokens(self, side: str) -> int | None:
        """Where a ``query`` or a ``document`` is cut; None for where its store is."""
        return None if self.max_tokens is None else self.max_tokens[side]


class DenseRetriever:
    """A bi-encoder (or a bare backbone) that searches token stores; ``model`` is its manifest.

    Raises :class:`InputError` where a store's vocabulary is not the model's, and for a folder that asks for an
    embedding that is not computed here.
    """

    def __init__(self, model: str | Path, settings: Settings, *stores: TokenStore) -> None:
        self.settings = settings
        folder = Artifact(model).folder
        chosen = {"pooling": settings.pooling, "similarity": settings.similarity}
        if other := other_embedding(folder, **chosen):
            raise InputError(
                f"{folder} is no dense encoder as it is: {other}; train a bi-encoder from it, or take another"
            )
        if settings.similarity is None and not says_similarity(folder):
            print(
                f"{folder}: its files name no similarity: vectors are compared by the dot product, where "
                "sentence-transformers itself takes the cosine; set the system's similarity",
                file=sys.stderr,
            )
        self.encoder = scoring.scoring_ranker(folder, "bi-encoder", *stores, precision=settings.precision, **chosen)
        self.device = device_name(self.encoder.device)

    def embed_queries(self, store: TokenStore, ids: object) -> np.ndarray:
        """Vectors float32 (queries, dims) of a store's queries, in the order of ``ids``."""
        return embed_texts(self.encoder, store, store.rows(ids), max_tokens=self.settings.tokens("query"))

    def search(self, vectors: np.ndarray, documents: TokenStore, *, more: int = 0, shard: str | None = None) -> Found:
        """The best ``depth + more`` documents of each query; places are rows of ``documents``.

        ``shard`` ("2-of-3"): of its stretch of the chunks alone, of which merging finds the same as one search does.

        "Flat": exact up to float32 rounding. The corpus is embedded and searched chunk by chunk, so memory holds a
        chunk (256 MB of vectors) and queries x depth results, whatever the corpus. Bound by the encoder on most
        machines; the products are 2 queries x documents x dims, by Faiss on a CPU, by torch where the encoder is on a
        GPU or arithmetic is portable. Another index holds all vectors, documents x (the bytes of its codes, 4 dims of
        Flat); its results are approximate. Equal scores are ordered by document id.
        """
        depth = self.settings.depth + more
        if self.settings.index != FLAT:
            return self._search_index(vectors, documents, depth)
        by_torch = self.encoder.device.type == "cuda" or is_portable()
        open_chunk = functools.partial(search_on_device, device=self.encoder.device) if by_torch else search_by_faiss
        chunks = _cut(len(documents), vectors.shape[1])
        if shard:
            chunks = [chunks[place] for place in units_of(shard, len(chunks))]
        first = chunks[0].start if chunks else 0
        return nearest(vectors, self._vectors(documents, chunks), depth, open_chunk, first=first)

    def _vectors(self, documents: TokenStore, chunks: list[range]) -> Iterator[np.ndarray]:
        """The vectors of each chunk of documents, in the order of their rows."""
        number = sum(map(len, chunks))
        progress = Progress(number, "documents searched")
        print(f"{number:,} documents to embed and search on {self.device}", file=sys.stderr, flush=True)
        for rows in chunks:
            yield self._embed(documents, np.arange(rows.start, rows.stop))
            progress.add(len(rows))

    def _embed(self, documents: TokenStore, rows: np.ndarray) -> np.ndarray:
        return embed_texts(self.encoder, documents, rows, max_tokens=self.settings.tokens("document"))

    def _search_index(self, vectors: np.ndarray, documents: TokenStore, depth: int) -> Found:
        """An index over all documents, trained on a sample whose draw depends on the index's name alone."""
        faiss, factory, dims = _faiss(), self.settings.index, vectors.shape[1]
        try:
            index = faiss.index_factory(dims, factory, faiss.METRIC_INNER_PRODUCT)
            if not index.is_trained:
                generator = np.random.default_rng(derive_seed(0, "index", factory))
                size = min(len(documents), TRAINING_SAMPLE)
                index.train(self._embed(documents, np.sort(generator.choice(len(documents), size, replace=False))))
            for chunk in self._vectors(documents, _cut(len(documents), dims)):
                index.add(chunk)
            if self.settings.index_parameters:
                faiss.ParameterSpace().set_index_parameters(index, self.settings.index_parameters)
            found = index.search(vectors, min(depth, len(documents)))
        except RuntimeError as error:
            raise InputError(
                f"Faiss cannot make or search the index {factory!r} with parameters {self.settings.index_parameters!r} "
                f"over {len(documents)} documents ({str(error).rsplit(': ', 1)[-1]}): name another, or Flat"
            ) from None
        return order_ties(*found)


def _cut(documents: int, dims: int) -> list[range]:
    """The rows of each chunk, which is embedded and searched at a time."""
    size = min(CHUNK_DOCUMENTS, max(1, CHUNK_BYTES // (4 * dims)))
    return [range(first, min(first + size, documents)) for first in range(0, documents, size)]


def nearest(
    queries: np.ndarray,
    chunks: Iterable[np.ndarray],
    depth: int,
    open_chunk: Callable[[np.ndarray], Search],
    *,
    first: int = 0,
) -> Found:
    """The ``depth`` largest inner products of each query over all chunks, equal scores by place, ascending.

    ``queries``  # (queries, dims); ``chunks``: documents in order, the first at place ``first``, each
    # (documents, dims); ``open_chunk`` gives the search of one. Found is (queries, min(depth, documents)). Exact as
    that search is, ties at the cut and across chunks included. Bound by the products; a merge sorts two sorted runs of
    ``depth`` a query and chunk.
    """
    best = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for chunk in chunks:
        width, search = min(depth, best[0].shape[1] + len(chunk)), open_chunk(chunk)
        merged = np.empty((len(queries), width), np.float32), np.empty((len(queries), width), np.int64)
        for start in range(0, len(queries), QUERY_BLOCK):
            block = slice(start, start + QUERY_BLOCK)
            scores, places = best_of_chunk(search, queries[block], len(chunk), depth, depth + SLACK)
            found = merge([(best[0][block], best[1][block]), (scores, places + first)], width)
            merged[0][block], merged[1][block] = found
        best = merged
        first += len(chunk)
    return best


def best_of_chunk(search: Search, queries: np.ndarray, documents: int, depth: int, fetched: int) -> Found:
    """The ``depth`` best of one chunk's ``documents``, equal scores by place.

    ``search`` cuts ties as it likes, so more are ``fetched`` than kept; a query whose last fetched score still equals
    the last kept one is searched again, twice as deep, with as many others as find no more than a block did at first.
    """
    fetched = min(fetched, documents)
    scores, places = order_ties(*search(queries, fetched))
    best = scores[:, :depth].copy(), places[:, :depth].copy()
    if fetched < documents:
        undecided = np.flatnonzero(scores[:, -1] == best[0][:, -1])
        del scores, places
        step = max(1, QUERY_BLOCK * (depth + SLACK) // (2 * fetched))
        for start in range(0, len(undecided), step):
            part = undecided[start : start + step]
            best[0][part], best[1][part] = best_of_chunk(search, queries[part], documents, depth, 2 * fetched)
    return best


def search_by_faiss(documents: np.ndarray) -> Search:
    """The exact search of ``documents``  # (documents, dims) on the CPU."""
    faiss = _faiss()
    return lambda queries, count: faiss.knn(queries, documents, count, metric=faiss.METRIC_INNER_PRODUCT)


def search_on_device(documents: np.ndarray, *, device: torch.device) -> Search:
    """The exact search of ``documents``  # (documents, dims) on ``device``, which holds queries x documents scores."""
    right = torch.from_numpy(documents).to(device).T

    def search(queries: np.ndarray, count: int) -> Found:
        scores, places = (torch.from_numpy(queries).to(device) @ right).topk(count, dim=1)
        return scores.cpu().numpy(), places.cpu().numpy()

    return search


def _faiss():
    """Faiss with as many threads as torch has."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    return faiss
