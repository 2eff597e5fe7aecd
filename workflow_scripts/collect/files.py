"""A user's own files: documents and queries as JSONL or TSV, judgements in TREC format; each plain or gzipped (.gz)."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from workflow_scripts.collect.documents import Document, check_id, clean
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.text_files import read_lines, read_objects, shown

DOCUMENT_KEYS = ("doc_id", "id", "_id"), ("title", "text")
QUERY_KEYS = ("query_id", "id", "_id"), ("text",)
"""Keys of a JSON line: those of the id, of which one suffices, and those of the texts."""
FIRST_LINES = 100
"""Lines that decide how many columns a TSV file has."""
# Names of columns in other tools' header lines, as _letters gives them.
ID_NAME = (
    "(doc|document|d|passage|psg|paragraph|page|p|corpus|c|query|question|q|topic|unique|u)?id|docno|docidentifier"
)
TEXT_NAME = (
    "(doc|document|passage|query)?text|title|url|body|contents?|passages?|documents?|doc|abstract|paragraph|sentence|segment"
    "|query|queries|question|topic|description|narrative"
)
OTHER_NAME = (
    "number|num|no|key|index|name|identifier|iter(ation)?|run|q|score|rank|rel(evan(t|ce))?|label|grade"
    "|judgement|judgment"
)
DIGIT = re.compile("[0-9]")
# Names of one word that other tools make up: chunk_id, cord_uid, product_title.
LIKE_ID = re.compile(f".*(id|name|key|no)|asin|{OTHER_NAME}")
LIKE_TEXT = re.compile(f".*(name|{TEXT_NAME})|{OTHER_NAME}")
IS_ID, IS_TEXT, IS_NAME = map(re.compile, (ID_NAME, TEXT_NAME, f"{ID_NAME}|{TEXT_NAME}|{OTHER_NAME}"))


def iterate_documents(path: Path) -> Iterator[Document]:
    """Documents of a JSONL file (doc_id, text and perhaps title) or a TSV file (id, text or id, title, text)."""
    if _is_jsonl(path):
        for number, identifier, title, text in _iterate_records(path, *DOCUMENT_KEYS):
            yield Document(number, identifier, clean(title), clean(text))
        return
    fields: list[str] = []
    without_text = True
    for number, fields in _iterate_rows(path, {2: "id and text", 3: "id, title and text"}):
        text = clean(fields[-1])
        without_text = without_text and not text
        yield Document(number, fields[0].strip(), clean(fields[1]) if len(fields) == 3 else "", text)
    if len(fields) == 3 and without_text:
        raise InputError(f"{path} has nothing in the third column, the text: take out the tab that ends each line")


def iterate_queries(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, query id, text) of a JSONL file (query_id, text) or a TSV file (id, text)."""
    if _is_jsonl(path):
        for number, identifier, text in _iterate_records(path, *QUERY_KEYS):
            yield number, identifier, clean(text)
        return
    for number, (identifier, text) in _iterate_rows(path, {2: "id and text"}):
        yield number, identifier.strip(), clean(text)


def iterate_judgements(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """(line, query id, document id, relevance) of TREC judgements: ``query iteration document relevance``."""
    for number, line in read_lines(path):
        here, fields = f"{path}:{number}", line.split()
        if IS_NAME.fullmatch(_letters(fields[0])) and IS_NAME.fullmatch(_letters(fields[-1])):
            raise InputError(f"{here} is a header line ({shown(line)}): judgements here have none, delete it")
        if len(fields) != 4:
            raise InputError(
                f"{here} is no TREC judgement ({shown(line)}): write query, iteration, document and relevance, "
                "between spaces"
            )
        query, _, document, relevance = fields
        # Nine digits are within the 32 bits that a relevance has.
        if not re.fullmatch("-?[0-9]{1,9}", relevance):
            raise InputError(
                f"{here} is no TREC judgement: the relevance is {shown(relevance)}, not a whole number of at most "
                "nine digits"
            )
        query, document = check_id("query", query, here, own=True), check_id("document", document, here, own=True)
        yield number, query, document, int(relevance)


def _is_jsonl(path: Path) -> bool:
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix not in (".jsonl", ".ndjson", ".tsv"):
        raise InputError(f"{path} is neither .jsonl nor .tsv (perhaps with .gz): write it as one and name it so")
    return suffix != ".tsv"


def _iterate_records(path: Path, id_keys: Sequence[str], text_keys: Sequence[str]) -> Iterator[tuple]:
    """(line, id, text of each text key) of a JSONL file. Keys that are not read are printed at its end."""
    spelling = {_letters(key): key for key in (*text_keys, *reversed(id_keys))}
    keys, unread = {*id_keys, *text_keys}, set()
    for number, record in read_objects(path):
        here = f"{path}:{number}"
        for key in record.keys() - keys:
            if _letters(key) in spelling:
                raise InputError(f"{here} has the key {key!r}: write {spelling[_letters(key)]!r}")
            if len(unread) < 10:
                unread.add(key)
        ids = [record[key] for key in id_keys if key in record]
        if len({*map(str, ids)}) > 1:
            raise InputError(f"{here} has several ids ({', '.join(map(shown, ids))}): keep one key of {id_keys}")
        texts = [_text(record, key, here) for key in text_keys]
        if ids and isinstance(ids[0], str):
            _check_headless(here, [ids[0], *filter(None, texts)], [])
        yield number, ids[0] if ids else None, *texts
    if unread:
        print(f"{path}: keys that are not read: {', '.join(sorted(unread))}", file=sys.stderr, flush=True)


def _text(record: dict, key: str, here: str) -> str:
    value = record.get(key)
    if value is None and key == "title":
        return ""
    if not isinstance(value, str):
        raise InputError(f"{here} has no text in {key!r}: every line needs one, if only an empty one")
    return value


def _iterate_rows(path: Path, layouts: dict[int, str]) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of a TSV file. Every line has the number of columns that most of the first lines have.

    ``layouts``: the numbers of columns that may be, and what the columns hold.
    """
    rows = ((number, line.split("\t")) for number, line in read_lines(path))
    first = list(islice(rows, FIRST_LINES))
    # A sole line with carriage returns is a file of old line ends: its columns would be those of several lines.
    if len(first) == 1 and any("\r" in field for field in first[0][1][1:-1]):
        raise InputError(f"{path}:{first[0][0]} ends lines with carriage returns: end them with line feeds")
    quoted = _quotes_texts([field for _, fields in first for field in fields[1:]])
    usual = max(Counter(len(fields) for _, fields in first).items(), key=lambda item: item[1], default=(0, 0))[0]
    wanted = layouts.get(usual) or " or ".join(layouts.values())
    for number, fields in chain(first, rows):
        here = f"{path}:{number}"
        ids = [row[0] for _, row in first] if number == first[0][0] else []
        _check_headless(here, fields, ids, columns=layouts.get(len(fields), ""))
        if _in_quotes(fields[0]) or any(
            _in_quotes(field) and (quoted or '""' in field.strip()[1:-1]) for field in fields
        ):
            raise InputError(f"{here} has quotes around a column, as CSV files do: write texts and ids as they are")
        if len(fields) != usual or usual not in layouts:
            raise InputError(f"{here} has {len(fields)} columns: put tabs between {wanted}, and nowhere else")
        yield number, fields


def _in_quotes(field: str) -> bool:
    """Whether quotes stand around a text that has none of its own, or doubled ones."""
    inner = field.strip()[1:-1]
    return field.strip() == f'"{inner}"' and '"' not in inner.replace('""', "")


def _quotes_texts(texts: Sequence[str]) -> bool:
    """Whether all texts that are not empty stand in quotes, or just those with a comma; a quotation alone is a text."""
    quoted = [_in_quotes(text) for text in texts if text.strip()]
    commas = ["," in text for text in texts if text.strip()]
    return sum(quoted) > 1 and (all(quoted) or quoted == commas)


def _check_headless(here: str, fields: Sequence[str], ids: Sequence[str], columns: str = "") -> None:
    """Raise :class:`InputError` for a header line, which would become a document or a query of its own.

    ``ids``: where ``fields`` are the first line, its id and those of the lines after it. There the name of an id's
    column beside short texts is enough, or names of columns in any order, or words that end as such names do, or such
    words beside an id unlike the others. ``columns``: what they hold in a file without a header line.
    """
    # Most ids have a digit, names of columns have none.
    start = "" if DIGIT.search(fields[0]) else _letters(fields[0][:40])
    has_id_name, others = bool(IS_ID.fullmatch(start)), [_letters(field[:40]) for field in fields[1:]]
    if not others:
        return
    if ids:
        short = all(field.count(" ") < 3 for field in fields)
        is_header = (has_id_name and short) or (IS_NAME.fullmatch(start) and all(map(IS_NAME.fullmatch, others)))
        words = not any(len(field.split()) > 1 for field in fields) and all(map(LIKE_TEXT.fullmatch, others))
        is_header = is_header or (words and (LIKE_ID.fullmatch(start) or _is_unlike(ids)))
    else:
        is_header = has_id_name and all(map(IS_TEXT.fullmatch, others))
    if is_header:
        fix = f"delete it; its columns are {columns}" if columns else "delete it"
        raise InputError(f"{here} is a header line ({', '.join(map(shown, fields))}): such a file has none, {fix}")


def _is_unlike(ids: Sequence[str]) -> bool:
    """Whether the first id lacks what all others share: it then names their column (doi, path, sha1 or any other).

    A file's ids are made in one way: they have a digit, or the same letters before one, or one length, if not a short
    one. The names of texts beside it must be those of columns, so that a document would have to be odd twice over.
    """
    for own, *others in zip(*map(_traits, ids), strict=True):
        if others and None not in others and len({*others}) == 1 and own != others[0]:
            return True
    return False


def _traits(identifier: str) -> tuple[bool | None, str | None, int | None]:
    letters = re.match(r"([^\W\d_]*)[\W_]*\d", identifier)
    length = len(identifier)
    return bool(DIGIT.search(identifier)) or None, letters and letters[1], length if length >= 8 else None


def _letters(name: str) -> str:
    """A column's name as it is compared: ``doc_id``, ``Doc-ID`` and ``"docid"`` are one."""
    return "".join(filter(str.isalnum, name)).lower()
