"""Whatever is wrong with a user's file: one line that names it and the line, exit status 1, nothing written."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from factories import artifact, run_script, write_collection, write_corpus

from workflow_scripts.collect import files
from workflow_scripts.collect.download_file import download_file
from workflow_scripts.collect.prepare_collection import prepare_collection
from workflow_scripts.collect.prepare_corpus import prepare_corpus
from workflow_scripts.index.import_rankings import import_rankings
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import STARTED

DEEP = "[" * 100_000 + "]" * 100_000
GOOD = {"docs.tsv": "a\tone\nb\ttwo\n", "queries.tsv": "q1\tone\n", "qrels": "q1 0 a 1\n"}
PACKED = gzip.compress("".join(f"{number}\ttext {number * 7919}\n" for number in range(2000)).encode())
BAD_BLOCK = PACKED[:2000] + b"\xff" * 40 + PACKED[2040:]
BAD_SUM = PACKED[:-8] + bytes(8)

DOCUMENTS = [
    # A name, the file's content, what the line must say.
    ("docs.tsv", "a\tone\nb\ttwo\tmore\nc\tthree\n", "docs.tsv:2 has 3 columns"),
    ("docs.tsv", "a\tone\tmore\nb\ttwo\nc\tthree\n", "docs.tsv:1 has 3 columns"),
    ("docs.tsv", "a\tone\nb\ttwo\t\nc\tthree\n", "docs.tsv:2 has 3 columns"),
    ("docs.tsv", "a\tt\tone\nb\ttwo\nc\tt\tthree\n", "docs.tsv:2 has 2 columns"),
    ("docs.tsv", "a\tt\tone\nb\n", "docs.tsv:2 has 1 columns"),
    ("docs.tsv", "".join(f"{n}\tone\n" for n in range(150)) + "b\tt\ttwo\n", "docs.tsv:151 has 3 columns"),
    ("docs.tsv", "a\tone\t\nb\ttwo\t\n", "docs.tsv has nothing in the third column"),
    ("docs.tsv", "a\tone\rb\ttwo\r", "docs.tsv:1 ends lines with carriage returns"),
    ("docs.tsv", "one line\n", "docs.tsv:1 has 1 columns"),
    ("docs.tsv", "a,one\nb,two\n", "docs.tsv:1 has 1 columns"),
    ("docs.tsv", "a\tone\ufeffb\ttwo\nc\tthree\nd\tfour\n", "docs.tsv:1 has 3 columns"),
    ("docs.tsv", "a\tone\nb\ttwo\n\ufeffid\ttext\nc\tthree\n", "docs.tsv:3 is a header line"),
    ("docs.tsv", "text\tid\none\ta\n", "docs.tsv:1 is a header line"),
    ("docs.tsv", "id\tone\na\tone\n", "docs.tsv:1 is a header line"),
    ("docs.tsv", "a\tone\na\ttwo\n", "docs.tsv:2 repeats"),
    ("docs.tsv", "a\0b\tone\n", "docs.tsv:1 has the document id 'a\\x00b'"),
    ("docs.tsv", "a\ufeff\tone\n", "docs.tsv:1 has the document id 'a\\ufeff'"),
    *[
        ("docs.tsv", f"a\tone\nb{sign}\ttwo\n", "docs.tsv:2 has the document id")
        for sign in ("\u200b", "\u00ad", "\u200e", "\u202e", "\u2060")
    ],
    ("docs.tsv", f"{'9' * 5000}\tone\n", "docs.tsv:1 has the document id"),
    ("docs.tsv", "a\xa0b\tone\n", "docs.tsv:1 has the document id 'a\\xa0b', with white space"),
    ("docs.tsv", "\tone\n", "docs.tsv:1 has no document id"),
    ("docs.tsv", "a\tone\n".encode("utf-16"), "docs.tsv:1 is not UTF-8"),
    ("docs.tsv", "a\tone\n".encode("utf-16-le"), "docs.tsv:1 has the document id"),
    ("docs.tsv", b"a\tone\nb\tt\xe9\n", "docs.tsv:2 is not UTF-8"),
    ("docs.tsv", PACKED, "docs.tsv:1 is not UTF-8"),
    ("docs.tsv", "", "docs.tsv holds no documents"),
    ("docs.tsv", "\n\n \n", "docs.tsv holds no documents"),
    ("docs.tsv.gz", BAD_BLOCK, "docs.tsv.gz cannot be read"),
    ("docs.tsv.gz", BAD_SUM, "docs.tsv.gz cannot be read after line 2000"),
    ("docs.tsv.gz", PACKED[:3000], "docs.tsv.gz cannot be read"),
    ("docs.tsv.gz", PACKED + b"rest", "docs.tsv.gz cannot be read after line 2000"),
    ("docs.tsv.gz", "a\tone\n", "docs.tsv.gz cannot be read"),
    ("docs.tsv.gz", zlib.compress(b"a\tone\n"), "docs.tsv.gz cannot be read"),
    ("docs.csv", "a,one\n", "docs.csv is neither .jsonl nor .tsv"),
    ("docs.jsonl", f'{{"id": "a", "text": "x", "more": {DEEP}}}\n', "docs.jsonl:1 is nested too deep"),
    ("docs.jsonl", f'{{"id": "a", "text": "x"}}\n{{"id": {"9" * 5000}, "text": "x"}}\n', "docs.jsonl:2 cannot be read"),
    ("docs.jsonl", '{"id": "a\\u0000", "text": "x"}\n', "docs.jsonl:1 has the document id 'a\\x00'"),
    ("docs.jsonl", '{"id": "\\ud800", "text": "x"}\n', "docs.jsonl:1 has the document id '\\ud800'"),
    ("docs.jsonl", '{"id": "a", "title": "\\udfff", "text": "x"}\n', "docs.jsonl:1 holds half a character"),
    ("docs.jsonl", '{"text": "x"}\n', "docs.jsonl:1 has no document id"),
    ("docs.jsonl", '{"id": "", "text": "x"}\n', "docs.jsonl:1 has no document id"),
    ("docs.jsonl", '{"id": null, "text": "x"}\n', "docs.jsonl:1 has no document id"),
    (
        "docs.jsonl",
        '{"id": 1.0, "text": "x"}\n',
        "docs.jsonl:1 has the document id 1.0, neither text nor a whole number",
    ),
    ("docs.jsonl", '{"id": true, "text": "x"}\n', "docs.jsonl:1 has the document id True, neither text nor"),
    ("docs.jsonl", '{"id": "a", "id": "b", "text": "x"}\n', "docs.jsonl:1 cannot be read (the key 'id' is there twice"),
    ("docs.jsonl", '{"id": "a", "_id": "b", "text": "x"}\n', "docs.jsonl:1 has several ids ('a', 'b')"),
    ("docs.jsonl", '{"docID": "a", "text": "x"}\n', "docs.jsonl:1 has the key 'docID': write 'doc_id'"),
    ("docs.jsonl", '{"id": "a", "Title": "t", "text": "x"}\n', "docs.jsonl:1 has the key 'Title': write 'title'"),
    ("docs.jsonl", '{"id": "a", "contents": "x"}\n', "docs.jsonl:1 has no text in 'text'"),
    ("docs.jsonl", '{"id": "a", "text": ["x"]}\n', "docs.jsonl:1 has no text in 'text'"),
    ("docs.jsonl", '{"id": "a", "text": NaN}\n', "docs.jsonl:1 has no text in 'text'"),
    ("docs.jsonl", '{"id": "doc_id", "title": "title", "text": "text"}\n', "docs.jsonl:1 is a header line"),
    ("docs.jsonl", '["id", "text"]\n', "docs.jsonl:1 is not a JSON object"),
    ("docs.jsonl", '[{"id": "a", "text": "x"},\n{"id": "b", "text": "x"}]\n', "docs.jsonl:1 is not JSON"),
    ("docs.jsonl", '{"id": "a", "text": "x"}\n{"id": "b", "te', "docs.jsonl:2 is not JSON"),
    ("docs.jsonl", '{"id": "a", "text": "x"} {"id": "b"}\n', "docs.jsonl:1 is not JSON"),
]
# Header lines of other tools.
DOCUMENTS += [
    ("docs.tsv", f"{header}\nd1\twing\nd2\tcone\n", "docs.tsv:1 is a header line")
    for header in ("pid\tpassage", "docno\ttext", "DocID\tContents", "_id\ttext", "corpus-id\ttext", '"id"\t"text"')
]
DOCUMENTS += [
    ("docs.tsv", header.replace(" ", "\t") + "\nd1" + "\tx" * header.count(" ") + "\n", "docs.tsv:1 is a header line")
    for header in (
        *("chunk_id text", "article_id content", "entity_id name", "post_id body", "record_id text", "sid segment"),
        *("doc_name doc_text", "passage_no passage_text", "cord_uid title abstract", "PMID title abstract"),
        *("asin title description", "product_id product_title product_description"),
        # Told by the id below: it has a digit, or other letters first.
        *("doi abstract", "file text", "path text", "sha1 text", "isbn title description", "code label"),
        *("pmc title text", "paper title abstract", "key1 text"),
    )
]
DOCUMENTS += [
    ("docs.tsv", "id\ttext\ttitle\nd1\tx\ty\n", "such a file has none, delete it; its columns are id, title and text"),
    ("docs.tsv", f"md5\ttext\n{'0a' * 16}\tone\n{'b1' * 16}\ttwo\n", "docs.tsv:1 is a header line"),
    # As pandas writes them.
    ("docs.tsv", 'd1\tone\nd2\t"a ""b"" c"\n', "docs.tsv:2 has quotes around a column, as CSV files do"),
    ("docs.tsv", '"d1"\t"one"\n', "docs.tsv:1 has quotes around a column"),
    ("docs.tsv", 'd1\tone\n"d2"\ttwo\n', "docs.tsv:2 has quotes around a column"),
    ("docs.tsv", '1\t"wing, lift"\n2\t"cone"\n', "docs.tsv:1 has quotes around a column"),
    # As a spreadsheet does.
    ("docs.tsv", '1\tcone\n2\t"wing, lift"\n3\t\n4\t"a, b"\n', "docs.tsv:2 has quotes around a column"),
]
QUERIES = [
    *[
        ("queries.tsv", f"{header}\nq1\tone\n", "queries.tsv:1 is a header line")
        for header in ("qid\tquery", "query_id\ttext", "Query-ID\tquestion", "topic\ttitle", "number\tquery")
    ],
    ("queries.tsv", "q1\tone\nq2\ttwo\tmore\n", "queries.tsv:2 has 3 columns"),
    ("queries.tsv", "q1\tone\t\nq2\ttwo\t\n", "queries.tsv:1 has 3 columns"),
    ("queries.tsv", "q1\tone\nq1\ttwo\n", "queries.tsv:2 repeats"),
    ("queries.tsv", "\tone\n", "queries.tsv:1 has no query id"),
    ("queries.tsv", "q\u200b1\tone\n", "queries.tsv:1 has the query id 'q\\u200b1', with a character that no one can"),
    ("queries.tsv", "q1\0\tone\n", "queries.tsv:1 has the query id"),
    ("queries.tsv", f"{'1' * 5000}\tone\n", "queries.tsv:1 has the query id"),
    ("queries.jsonl", '{"id": "q1", "text": "one"}\n{"id": "q2", "text": "\\ud83d"}\n', "queries.jsonl:2 holds half"),
    ("queries.jsonl", '{"id": "q1", "text": "\\udc3d"}\n', "queries.jsonl:1 holds half"),
    ("queries.jsonl", '{"qid": "q1", "text": "one"}\n', "queries.jsonl:1 has no query id"),
    ("queries.jsonl", f'{{"id": "q1", "text": {DEEP}}}\n', "queries.jsonl:1 is nested too deep"),
    ("queries.tsv.gz", gzip.compress(b"q1\tone\n")[:-4], "queries.tsv.gz cannot be read"),
]
QRELS = [
    *[("qrels", f"q1 0 a {grade}\n", "qrels:1 is no TREC") for grade in (2**31, 10**30, -(2**31), "1_0", "+1", "1.0")],
    *[
        ("qrels", f"q1 0 a {grade}\n", "qrels:1 is no TREC")
        for grade in ("\u0661", "\u00b2", "0x1", "1e1", "nan", "9" * 5000)
    ],
    ("qrels", "q1 0 a 1\nq1 0 b 999999999\n", "qrels:2 has relevance 999999999: grades go up to 10,000"),
    ("qrels", "q1 0 a 1\nq1 0 b\n", "qrels:2 is no TREC judgement"),
    ("qrels", "q1 Q0 a 1 3.5 tag\n", "qrels:1 is no TREC judgement"),
    ("qrels", "query-id\tcorpus-id\tscore\nq1\ta\t1\n", "qrels:1 is a header line"),
    ("qrels", "qid iter docno rel\nq1 0 a 1\n", "qrels:1 is a header line"),
    ("qrels", "q1 0 a yes\n", "qrels:1 is no TREC judgement"),
    ("qrels", "q1 0 a\u202e 1\n", "qrels:1 has the document id 'a\\u202e'"),
    ("qrels", "q\u00ad1 0 a 1\n", "qrels:1 has the query id"),
    ("qrels", "q1 0 a\0 1\n", "qrels:1 has the document id 'a\\x00'"),
    ("qrels", f"{'1' * 5000} 0 a 1\n", "qrels:1 has the query id"),
    ("qrels", b"q1 0 \xff 1\n", "qrels:1 is not UTF-8"),
    ("qrels", " ".join("x" * 100_000), "qrels:1 is no TREC judgement"),
    ("qrels.gz", b"\x1f\x8b\x08\x00", "qrels.gz cannot be read"),
]
LINE = '{"qid": "q1", "neg": {"bm25": [1, 2]}}\n'
RANKINGS = [
    ('{"qid": "q1", "neg": {"bm25": [1]', "n.jsonl.gz:1 is not JSON"),
    (LINE + LINE, "n.jsonl.gz:2 is not a query with its negatives (query q1 is there again)"),
    ('{"neg": {"bm25": [1]}}\n', "n.jsonl.gz:1 is not a query with its negatives (the key 'qid' is missing)"),
    ('{"qid": ["q1"], "neg": {}}\n', "n.jsonl.gz:1 is not a query"),
    ('{"qid": "q1", "neg": [1, 2]}\n', "n.jsonl.gz:1 is not a query"),
    ('{"qid": "q1", "neg": {"bm25": 3}}\n', "n.jsonl.gz:1 is not a query"),
    ('{"qid": "q1", "neg": {"bm25": [-1]}}\n', "n.jsonl.gz:1 is not a query"),
    ('{"qid": "q1", "neg": {"bm25": [2147483648]}}\n', "n.jsonl.gz:1 is not a query"),
    ('{"qid": "q1", "neg": {"bm25": [{"id": 3}]}}\n', "n.jsonl.gz:1 is not a query"),
    (f'{{"qid": "q1", "neg": {{"bm25": [{"9" * 5000}]}}}}\n', "n.jsonl.gz:1 cannot be read"),
    (f'{{"qid": "q1", "neg": {DEEP}}}\n', "n.jsonl.gz:1 is nested too deep"),
    (b"\xff\n", "n.jsonl.gz:1 is not UTF-8"),
    ('{"qid": "q1", "neg": {"other": [1]}}\n', "n.jsonl.gz has no system 'bm25': it has other"),
    ('{"qid": "q7", "neg": {"bm25": [1]}}\n', "n.jsonl.gz has no query of the collection"),
    ("", "n.jsonl.gz has no query of the collection"),
    ('{"qid": "q1", "neg": {"bm25": [7, 5, 7]}}\n', "lists 2 passages that"),
]
DOWNLOADS = [
    ({"url": "file://{folder}/none.gz"}, "none.gz cannot be downloaded"),
    ({"url": "file://{folder}"}, "cannot be downloaded"),
    ({"url": "https://127.0.0.1:1/n.gz"}, "https://127.0.0.1:1/n.gz cannot be downloaded"),
    ({"url": "https://127.0.0.1:x/n.gz"}, "https://127.0.0.1:x/n.gz cannot be downloaded"),
    ({"url": "https://127.0.0.1:1/é/n.gz"}, "n.gz cannot be downloaded"),
    ({"url": "https://[::1/n.gz"}, "is no address of a file"),
    ({"url": "http://example.org/n.gz"}, "must begin with https:// or file://"),
    ({"url": "file://{folder}/docs.tsv", "sha256": "0" * 64}, "docs.tsv has the checksum"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good files, a corpus of documents a and b, and a collection of query q1."""
    for name, text in GOOD.items():
        (tmp_path / name).write_text(text)
    write_corpus(tmp_path / "documents", {"a": "one", "b": "two"})
    write_collection(tmp_path / "queries", ["q1", "q2"])
    return tmp_path


@pytest.fixture
def refused(folder: Path, capsys: pytest.CaptureFixture) -> Callable[..., None]:
    def check(function: Callable, spec: dict, message: str, **paths: Path) -> None:
        output = folder / "made" / "manifest.json"
        with pytest.raises(SystemExit) as ended:
            end_in_one_line(lambda: run_script(function, spec, **paths, output=output))
        *before, last = capsys.readouterr().err.splitlines()
        assert ended.value.code == 1 and last.startswith("error: ") and message in last and len(last) < 500, last[:999]
        assert not any(line.startswith(("Traceback", "error")) for line in before)
        assert [path.name for path in output.parent.iterdir()] == [STARTED]

    return check


def written(folder: Path, name: str, content: str | bytes) -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


@pytest.mark.parametrize(("name", "content", "message"), DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_damaged_documents(folder, refused, name, content, message):
    refused(prepare_corpus, {"source": "files"}, message, documents=written(folder, name, content))


@pytest.mark.parametrize("role", ["test", "train"])
@pytest.mark.parametrize(("name", "content", "message"), QUERIES + QRELS, ids=range(len(QUERIES + QRELS)))
def test_damaged_queries_and_judgements(folder, refused, name, content, message, role):
    paths = {"queries": folder / "queries.tsv", "qrels": folder / "qrels", "corpus": folder / "documents/manifest.json"}
    paths[name.split(".")[0]] = written(folder, name, content)
    for strict in (True, False):
        refused(prepare_collection, {"source": "files", "role": role, "strict": strict}, message, **paths)


@pytest.mark.parametrize(("content", "message"), RANKINGS, ids=range(len(RANKINGS)))
def test_damaged_rankings(folder, refused, content, message):
    packed = gzip.compress(content if isinstance(content, bytes) else content.encode())
    download = artifact(folder / "download" / "manifest.json", {"n.jsonl.gz": packed}, kind="downloads")
    paths = {"file": download, "corpus": folder / "documents/manifest.json"}
    paths["collection"] = folder / "queries/manifest.json"
    refused(import_rankings, {"systems": ["bm25"], "depth": 5}, message, **paths)


@pytest.mark.parametrize(("spec", "message"), DOWNLOADS, ids=range(len(DOWNLOADS)))
def test_damaged_downloads(folder, refused, spec, message):
    url = spec["url"].format(folder=folder)
    refused(download_file, {"sha256": None, **spec, "url": url}, message)


def test_a_missing_file_and_a_folder_in_its_place(folder, refused):
    (folder / "folder.tsv").mkdir()
    for name, message in (("none.tsv", "none.tsv is missing"), ("folder.tsv", "folder.tsv cannot be read")):
        refused(prepare_corpus, {"source": "files"}, message, documents=folder / name)


def test_a_file_that_changes_while_it_is_read_vouches_for_nothing(folder, monkeypatch):
    documents, output, read = folder / "docs.tsv", folder / "made/manifest.json", files.iterate_documents

    def edited_while_read(path):
        yield from read(path)
        documents.write_text("a\tother\n")

    monkeypatch.setattr(files, "iterate_documents", edited_while_read)
    with pytest.raises(InputError, match=r"docs\.tsv changed while it was read: run again"):
        run_script(prepare_corpus, {"source": "files"}, documents=documents, output=output)
    assert not output.exists() and output.with_name(STARTED).exists()
    monkeypatch.undo()
    run_script(prepare_corpus, {"source": "files"}, documents=documents, output=output)
    assert pa.parquet.read_table(output.with_name("documents.parquet"))["text"].to_pylist() == ["other"]


@pytest.mark.parametrize("texts", [['"wing lift"'], ['"wing lift"', "one, two", '"a"'], ['"wing", "lift"', "cone"]])
def test_quotations_are_texts(folder, texts):
    path = written(folder, "docs.tsv", "".join(f"{number}\t{text}\n" for number, text in enumerate(texts)))
    assert [document.text for document in files.iterate_documents(path)] == texts


@pytest.mark.parametrize(
    "ids", ["d9 d10", "9 10 11", "page title a b", "7a b3 c", "10.1/x 10.2/y", "MED-1 PLAIN-2 MED-3", "é 字", "d1 page"]
)
def test_a_first_document_may_be_the_name_of_a_column_where_its_id_is_like_the_others(folder, ids):
    path = written(folder, "docs.tsv", "".join(f"{each}\tabstract\n" for each in ids.split()))
    assert [document.doc_id for document in files.iterate_documents(path)] == ids.split()


def test_odd_but_whole_files_are_read_as_they_are(folder, capsys):
    """Byte order marks of joined files go; other keys are passed over and said; words that name columns are texts."""
    lines = ["\ufeffa\ttext\n", "\ufeffb\t\ufefftwo\r\n", "\n", "page\tid\n", "title\ttwo  words\n", "é😀\tx\n"]
    documents = written(folder, "docs.tsv", "".join(lines))
    run_script(prepare_corpus, {"source": "files"}, documents=documents, output=folder / "c/manifest.json")
    rows = pa.parquet.read_table(folder / "c" / "documents.parquet").to_pylist()
    assert [(row["doc_id"], row["text"]) for row in rows] == [
        ("a", "text"),
        ("b", "\ufefftwo"),
        ("page", "id"),
        ("title", "two words"),
        ("é😀", "x"),
    ]
    documents = written(folder, "docs.jsonl", '{"_id": 7, "id": "7", "text": "x", "metadata": {"url": 1}}\n')
    run_script(prepare_corpus, {"source": "files"}, documents=documents, output=folder / "d/manifest.json")
    assert "docs.jsonl: keys that are not read: metadata" in capsys.readouterr().err
