"""Records of ir_datasets: their texts as the project wants them, and errors of the library."""

from __future__ import annotations

import zipfile
import zlib
from collections import namedtuple
from types import SimpleNamespace

import pytest

from workflow_scripts.collect import ir_datasets_source
from workflow_scripts.storage.errors import InputError


def test_dpr_passages_lose_their_csv_quotes(tmp_path, monkeypatch):
    document = namedtuple("Document", "doc_id text title")
    records = [
        document("1", '"a ""so"" b"', '"""Weird Al"" Yankovic"'),
        document("2", 'plain, with "a quote"', "Title"),
        document("3", '"', '""'),
    ]
    dataset = SimpleNamespace(docs_cls=lambda: document, docs_iter=lambda: iter(records))
    monkeypatch.setattr(ir_datasets_source, "load", lambda name, part: dataset)
    read = list(ir_datasets_source.iterate_documents("dpr-w100", ["text"], "title"))
    assert [(row.title, row.text) for row in read] == [
        ('"Weird Al" Yankovic', 'a "so" b'),
        ("Title", 'plain, with "a quote"'),
        ("", '"'),
    ]
    # Elsewhere a quote is the text's own.
    assert next(ir_datasets_source.iterate_documents("vaswani", ["text"])).text == '"a ""so"" b"'


@pytest.mark.parametrize("error", [zipfile.BadZipFile("no zip"), zlib.error("bad block")])
def test_a_broken_download_is_an_input_error(error):
    with pytest.raises(InputError, match="x of ir_datasets cannot be read"), ir_datasets_source.reading("x"):
        raise error
