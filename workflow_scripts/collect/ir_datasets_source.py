"""Collections of ir_datasets, by id. What fetch_archives has not fetched, ir_datasets downloads while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from workflow_scripts.collect.documents import Document, clean, split_title, strip_title
from workflow_scripts.experiment.archives import load
from workflow_scripts.storage.errors import InputError, raise_shortage

CSV_FIELDS = ("dpr-w100",)
"""Collections whose files are CSV between tabs, which ir_datasets reads without taking the quotes off."""


def iterate_documents(
    name: str,
    text_fields: Sequence[str],
    title_field: str | None = None,
    title_separator: str | None = None,
    title_repeated: bool = False,
) -> Iterator[Document]:
    """Documents of the collection ``name``, streamed.

    ``text_fields`` are joined by a space. The title is ``title_field``, or what stands before the first
    ``title_separator`` in the raw text, or none. ``title_repeated``: the title that the text begins with is taken off.
    """
    if title_field and title_separator:
        raise InputError(f"{name}: title_field and title_separator are both given: keep one")
    if title_repeated and not title_field:
        raise InputError(f"{name}: title_repeated needs a title_field: name the field that holds the title")
    with reading(name):
        dataset = load(name, "docs")
        _check_fields(name, dataset.docs_cls(), [*text_fields, *([title_field] if title_field else [])])
        field_text = _unquoted_text if name.split("/")[0] in CSV_FIELDS else _text
        for number, record in enumerate(dataset.docs_iter(), 1):
            text = " ".join(filter(None, (field_text(name, record, field) for field in text_fields)))
            title = field_text(name, record, title_field) if title_field else ""
            if title_separator:
                title, text = split_title(text, title_separator)
            title, text = clean(title), clean(text)
            yield Document(number, record.doc_id, title, strip_title(title, text) if title_repeated else text)


def iterate_queries(name: str, field: str) -> Iterator[tuple[int, str, str]]:
    """(number, query id, text) of every query of the collection ``name``."""
    with reading(name):
        dataset = load(name, "queries")
        _check_fields(name, dataset.queries_cls(), [field])
        for number, record in enumerate(dataset.queries_iter(), 1):
            yield number, record.query_id, clean(_text(name, record, field))


def iterate_judgements(name: str) -> Iterator[tuple[int, str, str, int]]:
    """(number, query id, document id, relevance) of every judgement of the collection ``name``."""
    with reading(name):
        for number, record in enumerate(load(name, "qrels").qrels_iter(), 1):
            yield number, record.query_id, record.doc_id, int(record.relevance)


def iterate_positives(name: str) -> Iterator[tuple[str, str]]:
    """Distinct (query id, positive document id) of the collection's training triples, streamed.

    Memory: the distinct pairs (some 0.5 million in MS MARCO's 39.8 million triples).
    """
    seen: set[tuple[str, str]] = set()
    with reading(name):
        for record in load(name, "docpairs").docpairs_iter():
            pair = record.query_id, record.doc_id_a
            if pair not in seen:
                seen.add(pair)
                yield pair


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever ir_datasets raises within the block is an :class:`InputError` that names the collection."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a library that reads half a download may raise anything
        raise_shortage(error)
        line = clean(str(error))[:300]
        raise InputError(
            f"{name} of ir_datasets cannot be read ({type(error).__name__}: {line}): it needs a network, "
            "or a copy of the collection under IR_DATASETS_HOME"
        ) from error


def _check_fields(name: str, record: type, fields: list[str]) -> None:
    for field in fields:
        if field not in record._fields:
            raise InputError(f"{name} has no field {field!r}: it has {', '.join(record._fields)}")


def _unquoted_text(name: str, record: tuple, field: str) -> str:
    """A CSV field's text: without the quotes around it, and each doubled quote as one."""
    text = _text(name, record, field)
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text


def _text(name: str, record: tuple, field: str) -> str:
    value = getattr(record, field)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    raise InputError(f"{name}: the field {field!r} is no text ({type(value).__name__}): choose another field")
