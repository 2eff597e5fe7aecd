"""Token stores: every text of a collection tokenised once, memory-mapped, and put together into ragged batches.

A store is an artifact: ``tokens.npy`` (all texts' tokens in a row, no special tokens), ``offsets.npy`` int64
(texts + 1,), ``ids.npy`` (the sorted ids as bytes) and ``tokenizer.json``. Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.models.tokenizer import TOKENIZER, Layout, read_tokenizer, tokens_checksum
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.ids import as_arrow, find_ids


@dataclass(frozen=True)
class Sequences:
    """A ragged batch: sequence n is the next ``lengths[n]`` entries, with its special tokens, nothing padded.

    input_ids       # (tokens,) int32
    token_type_ids  # (tokens,) int32: 0 for the first segment, 1 for the second
    lengths         # (sequences,) int64, at least 1 each
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)


class TokenStore:
    """The tokenised texts of one collection, memory-mapped; row n is the n-th id in bytewise order.

    ``part`` names one of several stores in an artifact, which share one tokenizer.
    """

    def __init__(self, manifest: str | Path, part: str = "") -> None:
        self.artifact, self.part = Artifact(manifest), part
        if part and part not in self.artifact.counts:
            raise InputError(
                f"{manifest} has no token store {part!r}: it has {', '.join(sorted(self.artifact.counts))}"
            )
        counts = self.artifact.counts[part] if part else self.artifact.counts
        arrays = (
            np.load(self.artifact.file(array_file(part, name)), mmap_mode="r") for name in ("ids", "offsets", "tokens")
        )
        self.ids, self.offsets, self.tokens = arrays  # (texts,) bytes, sorted; (texts + 1,); (tokens,)
        self.lengths = np.diff(self.offsets)  # (texts,)
        self.cls, self.sep, self.cut_at = counts["cls"], counts["sep"], counts["cut_at"]
        self.separators, self.second_segment = counts["separators"], counts["second_segment"]
        self.vocabulary_size, self.vocabulary = counts["vocabulary_size"], counts["vocabulary"]

    def __len__(self) -> int:
        return len(self.ids)

    def __str__(self) -> str:
        return str(self.artifact.manifest_path.parent / self.part)

    def rows(self, ids: object) -> np.ndarray:
        """Rows of ``ids`` (text: list, numpy, pandas or arrow), int64, in their order.

        Raises :class:`InputError` that names the first id the store does not hold.
        """
        rows = self.find(ids)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            raise InputError(
                f"{as_arrow(ids)[int(missing[0])].as_py()!r} is not in the token store {self}: "
                "was it tokenised from the same corpus or collection?"
            )
        return rows

    def find(self, ids: object) -> np.ndarray:
        """As :meth:`rows`, with -1 for an id that the store does not hold."""
        return find_ids(self.ids, ids)

    def names(self, rows: np.ndarray):
        """The ids of rows, an arrow string array."""
        import pyarrow as pa

        distinct, places = np.unique(rows, return_inverse=True)
        texts = pa.array([name.decode() for name in self.ids[distinct].tolist()], type=pa.string())
        return texts.take(pa.array(places))

    def gather(self, rows: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """The first ``limit`` tokens of each row, end to end: tokens int32 (sum of lengths,), lengths (rows,).

        Bounded by the reads of the memory map.
        """
        starts = self.offsets[rows]
        lengths = np.minimum(self.lengths[rows], limit)
        return self.tokens[spans(starts, lengths)].astype(np.int32), lengths

    def check_vocabulary(self, model_folder: str | Path) -> None:
        """Raise :class:`InputError` unless the model's tokenizer makes the same tokens of a text as this store's."""
        path = Path(model_folder) / TOKENIZER
        if path.is_file() and path.read_bytes() == self.artifact.file(TOKENIZER).read_bytes():
            return
        tokenizer = read_tokenizer(model_folder)
        if tokens_checksum(tokenizer, Layout.of(tokenizer, model_folder)) != self.vocabulary:
            raise InputError(
                f"the tokenizer of {model_folder} has another vocabulary than the token store {self}, or treats text "
                "otherwise: tokenise the collection with this model's backbone"
            )


def single_sequences(store: TokenStore, rows: np.ndarray, max_tokens: int) -> Sequences:
    """``[CLS] x [SEP]`` for each row, x cut to ``max_tokens``."""
    tokens, lengths = store.gather(rows, max_tokens)
    total = lengths + 2
    ends = np.cumsum(total)
    ids = np.empty(int(total.sum()), np.int32)
    starts = ends - total
    ids[starts] = store.cls
    ids[spans(starts + 1, lengths)] = tokens
    ids[ends - 1] = store.sep
    return Sequences(ids, np.zeros_like(ids), total)


def pair_sequences(
    queries: TokenStore,
    query_rows: np.ndarray,
    documents: TokenStore,
    document_rows: np.ndarray,
    max_query: int,
    max_document: int,
) -> Sequences:
    """``[CLS] q [SEP] d [SEP]`` for each pair, each text cut to its own maximum.

    Separators and segments are the tokenizer's: RoBERTa's puts two between the texts, and d in segment 0 as q. Bounded
    by the reads of the memory map: no Python step per pair.
    """
    query_tokens, query_lengths = queries.gather(query_rows, max_query)
    document_tokens, document_lengths = documents.gather(document_rows, max_document)
    total = query_lengths + document_lengths + 2 + queries.separators
    ends = np.cumsum(total)
    starts = ends - total
    ids = np.full(int(total.sum()), queries.sep, np.int32)  # what is not written below is a separator
    second = starts + 1 + query_lengths + queries.separators
    ids[starts] = queries.cls
    ids[spans(starts + 1, query_lengths)] = query_tokens
    ids[spans(second, document_lengths)] = document_tokens
    types = np.zeros_like(ids)
    types[spans(second, document_lengths + 1)] = queries.second_segment
    return Sequences(ids, types, total)


def pair_lengths(
    queries: TokenStore,
    query_rows: np.ndarray,
    documents: TokenStore,
    document_rows: np.ndarray,
    max_query: int,
    max_document: int,
) -> np.ndarray:
    """Lengths of :func:`pair_sequences`'s sequences, without building them."""
    query_lengths = np.minimum(queries.lengths[query_rows], max_query)
    return query_lengths + np.minimum(documents.lengths[document_rows], max_document) + 2 + queries.separators


def require_room(tokens: int, room: int) -> None:
    """Raise :class:`InputError` where a sequence of ``tokens`` is longer than the ``room`` that a model has."""
    if tokens > room:
        raise InputError(
            f"a sequence of {tokens} tokens does not fit the model's {room} positions: lower the query's or the "
            "document's max_tokens"
        )


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions start, start + 1, ... of every span, end to end  # (sum of lengths,)."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def array_file(part: str, name: str) -> str:
    """A store's array within its artifact."""
    return f"{part}/{name}.npy" if part else f"{name}.npy"
