"""Documents on their way into a corpus: cleaned, checked, sorted by id without holding the text.

Sorting by id: the stream is spooled to disk while only ids stay in memory (Arrow, some 20 bytes a document); then each
document goes to the file of its range of ranks, and one range after another is sorted and written. Memory is bounded by
the ids and by one range of documents (a quarter of a million), disk by twice the corpus; time by decoding the source.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.collect.places import Place
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.text_files import shown

SCHEMA = pa.schema([("doc_id", pa.string()), ("title", pa.string()), ("text", pa.string())])
SPOOL = pa.schema([("position", pa.int64()), *SCHEMA])
BATCH = 20_000  # documents that exist as Python objects at a time
RANGE = 250_000  # documents sorted at a time
ROW_GROUP = 50_000  # documents, in documents.parquet
CHUNK = 1024  # documents of one array, 2 MB each; the rows that Parquet writes at a time, so the bytes do not show it
LONGEST_ID = 1_000  # characters: in memory every id takes as much room as the longest
# Control characters, byte order marks and halves of characters.
NOT_IN_IDS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ufeff\\ud800-\\udfff]")


class Document(NamedTuple):
    """One document of a source; ``position`` is its line or number there, for messages."""

    position: int
    doc_id: str
    title: str
    text: str


def clean(text: str | None) -> str:
    """The text with every run of white space as one space, none at the ends; no text is empty text."""
    return " ".join(text.split()) if text else ""


def is_empty(text: str) -> bool:
    """Whether there is nothing to see, and no token: no letter, number, punctuation mark or symbol."""
    return not any(unicodedata.category(character)[0] in "LNPS" for character in text)


def check_id(what: str, identifier: object, here: str, *, own: bool) -> str:
    """The id as text; :class:`InputError` where it is missing, too long or not what a run file could hold.

    In a user's ``own`` file no character may be invisible: to the eye two ids would be one. Public data, from which no
    one can take it out, is read as it is.
    """
    text = str(identifier) if isinstance(identifier, int) and not isinstance(identifier, bool) else identifier
    if text is None or text == "":
        raise InputError(f"{here} has no {what} id: every {what} needs one")
    if not isinstance(text, str):
        raise InputError(f"{here} has the {what} id {shown(text)}, neither text nor a whole number: write it in quotes")
    if text.split() != [text]:
        raise InputError(f"{here} has the {what} id {shown(text)}, with white space in it: take it out")
    invisible = own and not text.isascii() and any(unicodedata.category(character) == "Cf" for character in text)
    if invisible or NOT_IN_IDS.search(text):
        raise InputError(f"{here} has the {what} id {shown(text)}, with a character that no one can see: take it out")
    if len(text) > LONGEST_ID:
        raise InputError(f"{here} has the {what} id {shown(text)} of {len(text)} characters: {LONGEST_ID} are allowed")
    return text


def check_text(text: str, here: str) -> None:
    """Raise :class:`InputError` where ``text`` cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{here} holds half a character (a lone surrogate): write the file as UTF-8 again") from None


def split_title(text: str, separator: str) -> tuple[str, str]:
    """Split raw ``text`` at the first ``separator`` into title and body; without one it is all body."""
    title, found, body = text.partition(separator)
    return (title, body) if found else ("", text)


def strip_title(title: str, text: str) -> str:
    """``text`` (cleaned) without the ``title`` that it begins with; unchanged where it does not.

    Letters and digits decide, so that a title's "3 .5 ." is found in the text's "3. 5 .".
    """
    wanted = [c for c in title if c.isalnum()]
    if not wanted:
        return text
    end = matched = 0
    for position, character in enumerate(text):
        if character.isalnum():
            if character != wanted[matched]:
                return text
            matched += 1
            if matched == len(wanted):
                end = position + 1
                break
    if not end or text[end : end + 1].isalnum():
        return text
    return text[end:].lstrip(" .,;:")


def write_documents(documents: Iterable[Document], place: Place, path: Path, scratch: Path) -> dict[str, int]:
    """Write ``documents`` to ``path`` sorted by the bytes of their id; returns counts of what is written.

    ``scratch`` is an existing folder; the files made in it are removed again. An id that comes again is an error in a
    user's own file; of public data, which no one can mend, the first document stays and the others are counted.
    Raises :class:`InputError` for a bad id or text, or no documents.
    """
    spool = scratch / "spool.parquet"
    _spool_documents(documents, place, spool)
    ranks = _rank_ids(spool, place)
    counts: Counter = Counter()
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for part in _split_ranges(spool, ranks, scratch):
            table = pq.read_table(part)
            part.unlink()
            counts.update(_count(table))
            for group in _sort_by_rank(table):
                writer.write_table(group)
    return dict(counts) | count_repeated("documents", len(ranks) - counts["documents"], place)


def count_repeated(what: str, repeated: int, place: Place) -> dict[str, int]:
    """How many of a source have an earlier one's id, as a count and as a printed line; nothing where none have."""
    if not repeated:
        return {}
    print(f"{place.source}: {repeated:,} {what} repeat an id: the first of each is kept", file=sys.stderr, flush=True)
    return {f"{what}_repeated": repeated}


def iterate_columns(corpus: Artifact, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The documents of a corpus in batches, in order of their ids; only ``columns`` are read."""
    with pq.ParquetFile(corpus.file("documents.parquet")) as file:
        yield from file.iter_batches(batch_size=50_000, columns=columns)


def find_documents(corpus: Artifact, doc_ids: Iterable[str]) -> set[str]:
    """Those of ``doc_ids`` that the corpus has. Memory: the wanted ids, not the corpus'.

    Both are sorted by the same order (of bytes, of characters), so each batch is held to its own stretch of ids.
    """
    wanted, start = sorted(set(doc_ids)), 0
    found: set[str] = set()
    for batch in iterate_columns(corpus, ["doc_id"]):
        ids = batch.column("doc_id")
        end = bisect_right(wanted, ids[-1].as_py(), lo=start)
        here = pa.array(wanted[start:end], pa.string())
        found.update(here.filter(pc.is_in(here, value_set=ids)).to_pylist())
        start = end
    return found


def _spool_documents(documents: Iterable[Document], place: Place, spool: Path) -> None:
    progress = Progress(None, "documents read")
    stream = iter(documents)
    with pq.ParquetWriter(spool, SPOOL, compression="zstd") as writer:
        while rows := [_check(document, place) for document in islice(stream, BATCH)]:
            writer.write_table(pa.table(list(zip(*rows, strict=True)), schema=SPOOL))
            progress.add(len(rows))
    if not progress.done:
        raise InputError(f"{place.source} holds no documents: give a source with at least one")


def _count(table: pa.Table) -> dict[str, int]:
    titles, texts = (pc.utf8_length(table[name]) for name in ("title", "text"))
    return {
        "documents": len(table),
        "empty_titles": pc.sum(pc.equal(titles, 0)).as_py(),
        "empty_texts": pc.sum(pc.equal(texts, 0)).as_py(),
        "empty_documents": pc.sum(pc.equal(pc.add(titles, texts), 0)).as_py(),
        "characters": pc.sum(titles).as_py() + pc.sum(texts).as_py(),
    }


def _check(document: Document, place: Place) -> Document:
    here = place.at(document.position)
    check_text(document.title, here)
    check_text(document.text, here)
    return document._replace(doc_id=check_id("document", document.doc_id, here, own=place.is_file))


def _rank_ids(spool: Path, place: Place) -> np.ndarray:
    """Rank of each spooled document by the bytes of its id, -1 where an earlier one has its id.

    Raises :class:`InputError` for such a one in a user's own file.
    """
    table = pq.read_table(spool, columns=["position", "doc_id"])
    ids = table["doc_id"].cast(pa.large_string()).combine_chunks()
    order = pc.sort_indices(ids).to_numpy()
    ordered = ids.take(pa.array(order))
    same = pc.equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1)).to_numpy(zero_copy_only=False)
    if same.any() and place.is_file:
        at = int(np.argmax(same))
        first, second = sorted(table["position"].take(pa.array(order[at : at + 2])).to_pylist())
        raise InputError(
            f"{place.at(second)} repeats the document id {ordered[at].as_py()!r} of {place.at(first)}: remove one"
        )
    ranks = np.empty(len(order), dtype=np.int64)
    # The sort is stable: of equal ids the first of the source comes first.
    new = np.concatenate(([True], ~same))
    ranks[order] = np.where(new, np.cumsum(new) - 1, -1)
    return ranks


def _sort_by_rank(table: pa.Table) -> Iterator[pa.Table]:
    """The documents of a range in order of their ranks, a table for each row group."""
    order = np.argsort(table["rank"].to_numpy(), kind="stable")
    # What ``take`` puts together is one array, and an array of plain strings has room for 2 GB.
    large = pa.schema([(name, pa.large_string()) for name in SCHEMA.names])
    whole = table.select(SCHEMA.names).cast(large).combine_chunks()
    for group in np.split(order, range(ROW_GROUP, len(order), ROW_GROUP)):
        chunks = np.split(group, range(CHUNK, len(group), CHUNK))
        yield pa.concat_tables(whole.take(chunk).cast(SCHEMA) for chunk in chunks)


def _split_ranges(spool: Path, ranks: np.ndarray, scratch: Path) -> list[Path]:
    """Deal the spooled documents that have a rank, with it, to one file for each range of ranks; removes the spool."""
    schema = SPOOL.append(pa.field("rank", pa.int64()))
    parts = [scratch / f"range{number}.parquet" for number in range(ranks.max() // RANGE + 1)]
    writers = [pq.ParquetWriter(part, schema, compression="zstd") for part in parts]
    start = 0
    with pq.ParquetFile(spool) as file:
        for batch in file.iter_batches(batch_size=50_000):
            here = ranks[start : start + len(batch)]
            start += len(batch)
            table = pa.Table.from_batches([batch]).append_column("rank", pa.array(here))
            for number in np.unique(here[here >= 0] // RANGE):
                writers[number].write_table(table.filter(pa.array(here // RANGE == number)))
    for writer in writers:
        writer.close()
    spool.unlink()
    return parts
