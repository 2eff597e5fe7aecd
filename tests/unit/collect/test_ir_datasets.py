"""Records of ir_datasets: their texts as the project wants them, and errors of the library."""

from __future__ import annotations

import zipfile
import zlib
from collections import namedtuple
from types import SimpleNamespace

import pandas as pd
import pytest

from workflow_scripts.collect import documents, ir_datasets_source
from workflow_scripts.collect.prepare_collection import prepare_collection
from workflow_scripts.collect.prepare_corpus import prepare_corpus
from workflow_scripts.storage.artifacts import Artifact
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


def test_of_ids_that_a_public_set_repeats_the_first_stays_and_the_others_are_counted(tmp_path, monkeypatch, capsys):
    document, query = namedtuple("Document", "doc_id text"), namedtuple("Query", "query_id text")
    judgement = namedtuple("Judgement", "query_id doc_id relevance")
    dataset = SimpleNamespace(
        docs_cls=lambda: document,
        docs_iter=lambda: (document(each, f"text {'no ' * place}") for place, each in enumerate("cabcacda")),
        queries_cls=lambda: query,
        queries_iter=lambda: (query(f"q{each}", f"as {place}") for place, each in enumerate("1213421")),
        qrels_iter=lambda: (judgement(f"q{each}", "c", 1) for each in range(1, 5)),
    )
    monkeypatch.setattr(ir_datasets_source, "load", lambda name, part: dataset)
    monkeypatch.setattr(documents, "RANGE", 2)
    corpus, output = tmp_path / "corpus/manifest.json", tmp_path / "collection/manifest.json"
    prepare_corpus(output=corpus, spec={"source": "ir_datasets", "id": "x"})
    rows = pd.read_parquet(corpus.with_name("documents.parquet"))
    assert list(zip(rows["doc_id"], rows["text"].str.count("no"), strict=True)) == [
        *zip("abcd", (1, 2, 0, 6), strict=True)
    ]
    counts = Artifact(corpus).counts
    assert (counts["documents"], counts["documents_repeated"]) == (4, 4)
    assert counts["characters"] == rows["text"].str.len().sum()
    prepare_collection(output=output, spec={"source": "ir_datasets", "id": "x", "role": "test"}, corpus=corpus)
    texts = pd.read_parquet(output.with_name("queries.parquet"))["text"].tolist()
    counts = Artifact(output).counts
    assert (texts, counts["source_queries"], counts["queries_repeated"]) == (["as 0", "as 1", "as 3", "as 4"], 7, 3)
    said = capsys.readouterr().err
    assert all(
        f"x: {number} repeat an id: the first of each is kept" in said for number in ("4 documents", "3 queries")
    )


@pytest.mark.parametrize("error", [zipfile.BadZipFile("no zip"), zlib.error("bad block")])
def test_a_broken_download_is_an_input_error(error):
    with pytest.raises(InputError, match="x of ir_datasets cannot be read"), ir_datasets_source.reading("x"):
        raise error
