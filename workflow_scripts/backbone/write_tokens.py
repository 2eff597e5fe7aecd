"""Writing token stores: texts tokenised in chunks, straight into the arrays that training and scoring map."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from workflow_scripts.models.token_store import array_file
from workflow_scripts.models.tokenizer import TOKENIZER, Layout, number_of_tokens, read_tokenizer, tokens_checksum
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK = 8192


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
    # The library takes its number of threads from the environment, once, when it first starts them.
    os.environ |= {"TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false", "RAYON_NUM_THREADS": str(threads)}
    tokenizer = read_tokenizer(backbone)
    layout, size = Layout.of(tokenizer, backbone), number_of_tokens(tokenizer)
    about = asdict(layout) | {
        "cut_at": max_tokens,
        "vocabulary_size": size,
        "vocabulary": tokens_checksum(tokenizer, layout),
    }
    writer.path(TOKENIZER).write_bytes((Path(backbone) / TOKENIZER).read_bytes())
    tokenizer.enable_truncation(max_tokens)
    ids, lengths = _write_tokens(writer.path(array_file(part, "tokens")), rows, tokenizer, size)
    if not len(ids):
        raise InputError(f"there is no text to tokenise for {writer.folder / part}: the collection is empty")
    if not allow_empty and not lengths.all():
        empty = ids[int(np.argmin(lengths))].decode()
        raise InputError(f"the text of {empty!r} has no token in the vocabulary of {backbone}: remove or mend it")
    _check_sorted(ids)
    np.save(writer.path(array_file(part, "ids")), ids)
    np.save(writer.path(array_file(part, "offsets")), np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))
    counts = writer.counts.setdefault(part, {}) if part else writer.counts
    counts |= about | {
        "texts": len(ids),
        "tokens": int(lengths.sum()),
        "longest": int(lengths.max()),
        "empty": int((lengths == 0).sum()),
    }


def _write_tokens(
    path: Path, rows: Iterable[tuple[str, str]], tokenizer: Tokenizer, size: int
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
