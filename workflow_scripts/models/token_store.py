"""Token stores: every text of a collection tokenised once, memory-mapped, and put together into ragged batches.

A store is an artifact: ``tokens.npy`` (all texts' tokens in a row, no special tokens), ``offsets.npy`` int64
(texts + 1,), ``ids.npy`` (the sorted ids as bytes) and ``tokenizer.json``. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.ids import as_arrow, find_ids

CHUNK = 8192
TOKENIZER = "tokenizer.json"
_SPECIALS = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}


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
            np.load(self.artifact.file(_file(part, name)), mmap_mode="r") for name in ("ids", "offsets", "tokens")
        )
        self.ids, self.offsets, self.tokens = arrays  # (texts,) bytes, sorted; (texts + 1,); (tokens,)
        self.lengths = np.diff(self.offsets)  # (texts,)
        self.cls, self.sep, self.pad, self.mask = (counts[name] for name in ("cls", "sep", "pad", "mask"))
        self.vocabulary_size, self.vocabulary = counts["vocabulary_size"], counts["vocabulary"]
        self.separators, self.cut_at = counts["separators"], counts["cut_at"]

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
        """Raise :class:`InputError` unless the model's tokenizer numbers its tokens as this store's does."""
        path = Path(model_folder) / TOKENIZER
        if not path.is_file():
            raise InputError(f"{path} is missing: a model folder carries the tokenizer it was trained with")
        if path.read_bytes() == self.artifact.file(TOKENIZER).read_bytes():
            return
        if vocabulary_checksum(read_tokenizer(path.parent)) != self.vocabulary:
            raise InputError(
                f"the tokenizer of {model_folder} has another vocabulary than the token store {self}: "
                "tokenise the collection with this model's backbone"
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
    """``[CLS] q [SEP] d [SEP]`` for each pair, q in segment 0 and d in segment 1, each cut to its own maximum.

    The separator between them is doubled for vocabularies that do so (RoBERTa's). Bounded by the reads of the memory
    map: no Python step per pair.
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
    types[spans(second, document_lengths + 1)] = 1
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


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions start, start + 1, ... of every span, end to end  # (sum of lengths,)."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def read_tokenizer(folder: str | Path):
    """The fast tokenizer of a model folder (``tokenizers.Tokenizer``, which needs neither torch nor transformers)."""
    from tokenizers import Tokenizer

    path = Path(folder) / TOKENIZER
    if not path.is_file():
        raise InputError(f"{path} is missing: the backbone has no fast tokenizer; save it with one first")
    return Tokenizer.from_file(str(path))


def vocabulary_checksum(tokenizer: object) -> str:
    """SHA-256 over the (id, token) list: equal for models whose token ids mean the same."""
    listed = sorted((number, token) for token, number in tokenizer.get_vocab(with_added_tokens=True).items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def special_ids(folder: str | Path, tokenizer: object) -> dict[str, int]:
    """Ids of cls, sep, pad and mask, by the tokens that ``tokenizer_config.json`` names (else BERT's)."""
    path = Path(folder) / "tokenizer_config.json"
    config = json.loads(path.read_text()) if path.is_file() else {}
    found = {}
    for name, default in _SPECIALS.items():
        token = config.get(f"{name}_token") or default
        token = token["content"] if isinstance(token, dict) else token
        found[name] = tokenizer.token_to_id(token)
        if found[name] is None:
            raise InputError(
                f"the tokenizer of {folder} has no {name} token {token!r}: an encoder's tokenizer is needed"
            )
    return found


def write_store(
    writer: ArtifactWriter,
    rows: Iterable[tuple[str, str]],
    backbone: str | Path,
    max_tokens: int,
    *,
    allow_empty: bool = True,
    part: str = "",
    threads: int = 1,
) -> None:
    """Tokenise (id, text) rows with the tokenizer of the folder ``backbone`` into the artifact being written.

    ``part`` names one of several stores in the artifact. Rows come sorted bytewise by id, without duplicates; each text
    is cut to ``max_tokens``. Raises :class:`InputError` for ids out of order and, unless ``allow_empty``, for a text
    without a token. One chunk of texts is in memory at a time, besides ids and offsets. Bounded by the tokenizer in
    ``threads`` threads: what Python does between its chunks is 3% of one thread's time.
    """
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens!r}, not a whole number from 1 up")
    # The library takes its number of threads from the environment, once, when it first starts them.
    os.environ |= {"TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false", "RAYON_NUM_THREADS": str(threads)}
    tokenizer = read_tokenizer(backbone)
    specials = special_ids(backbone, tokenizer)
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    about = specials | {
        "cut_at": max_tokens,
        "vocabulary_size": size,
        "vocabulary": vocabulary_checksum(tokenizer),
        "separators": _separators(tokenizer, specials["sep"]),
    }
    writer.path(TOKENIZER).write_bytes((Path(backbone) / TOKENIZER).read_bytes())
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    ids, lengths = _write_tokens(writer.path(_file(part, "tokens")), rows, tokenizer, size)
    if not len(ids):
        raise InputError(f"there is no text to tokenise for {writer.folder / part}: the collection is empty")
    if not allow_empty and not lengths.all():
        empty = ids[int(np.argmin(lengths))].decode()
        raise InputError(f"the text of {empty!r} has no token in the vocabulary of {backbone}: remove or mend it")
    _check_sorted(ids)
    np.save(writer.path(_file(part, "ids")), ids)
    np.save(writer.path(_file(part, "offsets")), np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))
    counts = writer.counts.setdefault(part, {}) if part else writer.counts
    counts |= about | {
        "texts": len(ids),
        "tokens": int(lengths.sum()),
        "longest": int(lengths.max()),
        "empty": int((lengths == 0).sum()),
    }


def _write_tokens(
    path: Path, rows: Iterable[tuple[str, str]], tokenizer: object, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Write all texts' tokens in a row; returns the ids as bytes (texts,) and the texts' lengths int64 (texts,)."""
    dtype = np.dtype(np.uint16 if size < 2**16 else np.int32)
    ids, lengths = [np.empty(0, "S1")], [np.empty(0, np.int64)]
    with open(path, "wb") as file:
        _write_header(file, dtype, 2**60)
        for chunk_ids, texts in _chunks(rows):
            encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            ids.append(np.array([text.encode() for text in chunk_ids]))
            lengths.append(np.fromiter((len(encoding) for encoding in encodings), np.int64, len(encodings)))
            tokens = chain.from_iterable(encoding.ids for encoding in encodings)
            file.write(np.fromiter(tokens, dtype, int(lengths[-1].sum())).tobytes())
        file.seek(0)
        _write_header(file, dtype, sum(int(part.sum()) for part in lengths))
    return np.concatenate(ids), np.concatenate(lengths)


def _file(part: str, name: str) -> str:
    """A store's array within its artifact."""
    return f"{part}/{name}.npy" if part else f"{name}.npy"


def _write_header(file: BinaryIO, dtype: np.dtype, length: int) -> None:
    # numpy pads a header so that its shape can grow in place: both writes take the same number of bytes.
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, description)


def _chunks(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        yield [row[0] for row in chunk], [row[1] for row in chunk]


def _check_sorted(ids: np.ndarray) -> None:
    wrong = np.flatnonzero(ids[1:] <= ids[:-1])
    if len(wrong):
        first, second = (ids[wrong[0] + step].decode() for step in (0, 1))
        raise InputError(f"ids must be sorted and unique: {second!r} follows {first!r}; prepare the collection again")


def _separators(tokenizer: object, sep: int) -> int:
    """Separators between the two texts of a pair: 2 for RoBERTa's post-processor, 1 elsewhere."""
    return max(1, tokenizer.encode("a", "a").ids.count(sep) - 1)
