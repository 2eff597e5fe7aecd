"""Documents on their way into a corpus: sorted whatever their size, found again, titles split off."""

import random

import pandas as pd
import pyarrow as pa
import pytest
from factories import artifact

from workflow_scripts.collect import documents
from workflow_scripts.collect.documents import Document, find_documents, split_title, strip_title, write_documents
from workflow_scripts.collect.places import Place
from workflow_scripts.storage.artifacts import Artifact


def test_sorting_in_ranges_equals_sorting_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "BATCH", 7)
    monkeypatch.setattr(documents, "RANGE", 10)
    ids = [f"{draw:x}" for draw in random.Random(0).sample(range(10_000), 95)] + ["ü", "Z", "~", "字"]
    rows = [Document(n, doc, f"title {doc}", f"text {n}") for n, doc in enumerate(ids, 1)]
    counts = write_documents(rows, Place("here"), tmp_path / "documents.parquet", tmp_path)
    expected = sorted((row[1:] for row in rows), key=lambda row: row[0].encode())
    assert [tuple(row) for row in pd.read_parquet(tmp_path / "documents.parquet").to_numpy()] == expected
    assert counts["documents"] == 99
    assert [path.name for path in tmp_path.iterdir()] == ["documents.parquet"]  # the scratch files are gone


@pytest.mark.slow
@pytest.mark.long  # 5 GB of memory
def test_a_range_of_documents_may_hold_more_text_than_one_array_of_strings_does():
    text = pa.chunked_array([pa.array(["wing " * 220_000] * 200)] * 10)  # 2.2 GB in 2,000 documents
    columns = {"doc_id": [f"d{number:04}" for number in range(2_000)], "title": [""] * 2_000, "text": text}
    (group,) = documents._sort_by_rank(pa.table(columns | {"rank": range(1_999, -1, -1)}))
    assert group.schema == documents.SCHEMA and group["text"].nbytes > 2**31
    assert group["doc_id"].to_pylist() == columns["doc_id"][::-1]


def test_titles_are_split_and_stripped():
    assert split_title("on wings  lift\nand  drag", "  ") == ("on wings", "lift\nand  drag")
    assert split_title("all body", "  ") == ("", "all body")
    assert strip_title("mach 3 .5 .", "mach 3. 5 . tests were made") == "tests were made"
    assert strip_title("wing", "wings are long") == "wings are long"
    assert strip_title("wing theory", "wing") == "wing"
    assert strip_title("wing", "wing") == ""
    assert strip_title("", "wing") == "wing"


def test_ids_of_public_data_are_taken_as_they_are(tmp_path):
    rows = [Document(1, "a\u200cb", "", "x"), Document(2, "ab", "", "y")]
    assert write_documents(rows, Place("public", "document"), tmp_path / "d.parquet", tmp_path)["documents"] == 2


def test_documents_are_found_whatever_batch_they_are_in(tmp_path):
    ids = sorted(f"{number}" for number in range(0, 240_000, 2))  # three batches
    corpus = artifact(tmp_path / "manifest.json", {"documents.parquet": pa.table({"doc_id": ids})}, kind="corpora")
    wanted = [f"{number}" for number in range(-9, 300_000, 7)] + [ids[0], ids[-1], ids[49_999], ids[50_000], "é"]
    assert find_documents(Artifact(corpus), wanted) == set(ids) & set(wanted)
