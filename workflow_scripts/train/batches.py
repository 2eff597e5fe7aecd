"""Training batches: groups as packed sequences on the device, made ahead of it where that pays."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.models.packed_encoder import PackedBatch, pack
from workflow_scripts.models.token_store import Sequences, TokenStore, pair_sequences, single_sequences
from workflow_scripts.train.groups import Groups, Positives

AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """Some groups, ready to be scored.

    sequences  # cross-encoder: (groups * docs) pairs; bi-encoder: (groups) queries, then (groups * docs) documents
    teacher    # (groups, docs) float32, or None
    left_out   # (groups, groups * docs) bool, which documents are no in-batch negatives; None without these
    """

    sequences: PackedBatch
    teacher: Tensor | None
    groups: int
    docs: int
    left_out: Tensor | None = None

    def scores(self, output: Tensor) -> Tensor:
        """Scores (groups, docs) from the model's output: as it is, or products of query and document embeddings."""
        if output.dim() == 1:
            return output.view(self.groups, self.docs)
        query, documents = output.split([self.groups, self.groups * self.docs])
        return torch.bmm(documents.view(self.groups, self.docs, -1), query.unsqueeze(2)).squeeze(2)

    def with_in_batch(self, scores: Tensor, output: Tensor) -> Tensor:
        """What the loss reads: ``scores`` and, with in-batch negatives, those of all the batch's documents behind them.

        There a query's own documents (of its group, or of another group of the same query), all that are judged its
        positives and repetitions are at minus infinity: softmax counts each document once, and no positive as a
        negative.
        """
        if self.left_out is None:
            return scores
        query, documents = output.split([self.groups, self.groups * self.docs])
        others = (query @ documents.T).masked_fill(self.left_out, -torch.inf)
        return torch.cat([scores, others], 1)  # (groups, docs + groups * docs)


@dataclass(frozen=True)
class GroupBatches:
    """Batch number n of a training, from the groups in their order; nothing else decides it.

    With ``positives``, those of the whole collection, its documents are in-batch negatives.
    """

    architecture: str
    groups: Groups
    queries: TokenStore
    documents: TokenStore
    _: KW_ONLY
    order: np.ndarray
    batch_groups: int
    max_tokens: Mapping[str, int]
    device: str
    positives: Positives | None = None

    @property
    def pairs(self) -> bool:
        """Whether a query and a document are read together."""
        return self.architecture == "cross-encoder"

    def __len__(self) -> int:
        return len(self.order) // self.batch_groups

    def __call__(self, number: int) -> Batch:
        chosen = self.order[number * self.batch_groups : (number + 1) * self.batch_groups]
        query_rows, document_rows = self.groups.query_rows[chosen], self.groups.document_rows[chosen]
        count, docs = document_rows.shape
        sequences = self._sequences(query_rows, document_rows)
        teacher = None if self.groups.teacher is None else self._send(self.groups.teacher[chosen])
        left_out = self._send(_left_out(query_rows, document_rows, self.positives)) if self.positives else None
        return Batch(pack(sequences, self.device), teacher, count, docs, left_out)

    def _send(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self.device == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)

    def _sequences(self, query_rows: np.ndarray, document_rows: np.ndarray) -> Sequences:
        rows, cut = document_rows.ravel(), self.max_tokens
        if self.pairs:
            repeated = np.repeat(query_rows, document_rows.shape[1])
            return pair_sequences(self.queries, repeated, self.documents, rows, cut["query"], cut["document"])
        # One forward for both: half the calls.
        both = [
            single_sequences(self.queries, query_rows, cut["query"]),
            single_sequences(self.documents, rows, cut["document"]),
        ]
        names = ("input_ids", "token_type_ids", "lengths")
        return Sequences(*(np.concatenate([getattr(part, name) for part in both]) for name in names))

    def group_tokens(self) -> int:
        """Tokens of the largest group that the stores can give, special tokens included."""
        return self.longest() * (self.groups.document_rows.shape[1] + (not self.pairs))

    def longest(self) -> int:
        """Tokens of the longest sequence that the stores can give, special tokens included."""
        query = min(self.max_tokens["query"], self.queries.artifact.counts["longest"])
        return self._tokens_of(query, min(self.max_tokens["document"], self.documents.artifact.counts["longest"]))

    def longest_allowed(self) -> int:
        """Tokens of the longest sequence that evaluation may make, however short the texts of training are."""
        return self._tokens_of(self.max_tokens["query"], self.max_tokens["document"])

    def _tokens_of(self, query: int, document: int) -> int:
        """Tokens of the longest sequence of a query and a document of so many, special tokens included."""
        if self.pairs:
            return query + document + 2 + self.queries.separators
        return max(query, document) + 2


def _left_out(query_rows: np.ndarray, document_rows: np.ndarray, positives: Positives) -> np.ndarray:
    """Documents of a batch that are each query's own, its positives or a repetition  # (groups, groups * docs) bool."""
    repeated = np.ones(document_rows.size, bool)
    repeated[np.unique(document_rows, return_index=True)[1]] = False
    left_out = []
    for query in query_rows:
        own = np.append(document_rows[query_rows == query], positives.of(query))
        left_out.append(np.isin(document_rows, own).ravel() | repeated)
    return np.stack(left_out)


def in_turn(make: Callable[[int], Batch], start: int, stop: int, *, ahead: bool) -> Iterator[Batch]:
    """``make(start), ..., make(stop - 1)``; with ``ahead`` a thread makes them while the device computes.

    On a GPU the host would else sit between two steps; on a CPU the thread would only take the computation's core.
    """
    if not ahead:
        yield from map(make, range(start, stop))
        return
    made: queue.Queue = queue.Queue(AHEAD)
    over = threading.Event()

    def work() -> None:
        try:
            for number in range(start, stop):
                if over.is_set():
                    return
                made.put(make(number))
        except BaseException as error:
            made.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item = made.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        while thread.is_alive():
            while not made.empty():
                made.get_nowait()
            thread.join(0.01)
