"""A user's own files: documents and queries as JSONL or TSV, judgements in TREC format; each plain or gzipped (.gz)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.collect.documents import Document, clean
from workflow_scripts.storage.errors import InputError

DOCUMENT_IDS = ("doc_id", "id", "_id")
QUERY_IDS = ("query_id", "id", "_id")


def iterate_documents(path: Path) -> Iterator[Document]:
    """Documents of a JSONL file (doc_id, text and perhaps title) or a TSV file (id, text or id, title, text)."""
    if _is_jsonl(path):
        for number, record in _iterate_records(path):
            identifier, title = _pick(record, DOCUMENT_IDS), clean(_field(record, "title", f"{path}:{number}", True))
            yield Document(number, identifier, title, clean(_field(record, "text", f"{path}:{number}")))
        return
    for number, line in _iterate_lines(path):
        cells = line.split("\t")
        if len(cells) not in (2, 3):
            raise InputError(
                f"{path}:{number} has {len(cells)} columns: put tabs between id and text, or id, title and text"
            )
        if number == 1:
            _check_headless(f"{path}:1", cells[0], DOCUMENT_IDS)
        yield Document(number, cells[0].strip(), clean(cells[1]) if len(cells) == 3 else "", clean(cells[-1]))


def iterate_queries(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, query id, text) of a JSONL file (query_id, text) or a TSV file (id, text)."""
    if _is_jsonl(path):
        for number, record in _iterate_records(path):
            yield number, _pick(record, QUERY_IDS), clean(_field(record, "text", f"{path}:{number}"))
        return
    for number, line in _iterate_lines(path):
        cells = line.split("\t")
        if len(cells) != 2:
            raise InputError(f"{path}:{number} has {len(cells)} columns: write the query's id, a tab and its text")
        if number == 1:
            _check_headless(f"{path}:1", cells[0], QUERY_IDS)
        yield number, cells[0].strip(), clean(cells[1])


def iterate_judgements(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """(line, query id, document id, relevance) of TREC judgements: ``query iteration document relevance``."""
    for number, line in _iterate_lines(path):
        try:
            query, _, document, relevance = line.split()
            yield number, query, document, int(relevance)
        except ValueError:
            raise InputError(
                f"{path}:{number} is no TREC judgement ({line.strip()!r}): write query, iteration, document and a "
                "whole number, between spaces"
            ) from None


def _check_headless(place: str, identifier: str, names: tuple[str, ...]) -> None:
    """A header line would become a document or a query of its own."""
    if identifier.strip().lower() in names:
        raise InputError(f"{place} is a header line ({identifier.strip()!r}): a TSV file here has none, delete it")


def _is_jsonl(path: Path) -> bool:
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix not in (".jsonl", ".ndjson", ".tsv"):
        raise InputError(f"{path} is neither .jsonl nor .tsv (perhaps with .gz): write it as one and name it so")
    return suffix != ".tsv"


def _iterate_records(path: Path) -> Iterator[tuple[int, dict]]:
    for number, line in _iterate_lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number} is not JSON ({error.msg}): write one object a line") from None
        if not isinstance(record, dict):
            raise InputError(f"{path}:{number} is not a JSON object: write one object a line")
        yield number, record


def _iterate_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of each line that is not blank; :class:`InputError` for one that is not UTF-8."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError:
                    raise InputError(f"{path}:{number} is not UTF-8: save the file as UTF-8") from None
                if text.strip():
                    yield number, text
    except FileNotFoundError:
        raise InputError(f"{path} is missing: give the path of a file that exists") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}): check the file") from None


def _pick(record: dict, names: tuple[str, ...]) -> object:
    return next((record[name] for name in names if name in record), None)


def _field(record: dict, name: str, place: str, optional: bool = False) -> str:
    value = record.get(name, "" if optional else None)
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{place} has no text in {name!r}: every line needs one, if only an empty one")
    return value
