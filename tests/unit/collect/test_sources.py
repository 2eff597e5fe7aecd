"""Corpora and collections from files, ir_datasets and titles: what comes out, and how bad input is refused."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from factories import run_script

from workflow_scripts.collect import ir_datasets_source
from workflow_scripts.collect.judgements import choose_queries
from workflow_scripts.collect.prepare_collection import prepare_collection
from workflow_scripts.collect.prepare_corpus import prepare_corpus
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
TEST = {"source": "files", "role": "test"}
TRAIN = {"source": "files", "role": "train", "pairs": "qrels"}


def _corpus(tmp_path, text, name="docs.jsonl", spec=None):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    prepare_corpus(output=tmp_path / "corpus" / "manifest.json", spec=spec or {"source": "files"}, documents=path)
    return tmp_path / "corpus" / "manifest.json"


def _collection(tmp_path, corpus, queries, qrels, spec):
    (tmp_path / "queries.tsv").write_text(queries)
    (tmp_path / "qrels.txt").write_text(qrels)
    output = tmp_path / "collection" / "manifest.json"
    prepare_collection(
        output=output, spec=spec, corpus=corpus, queries=tmp_path / "queries.tsv", qrels=tmp_path / "qrels.txt"
    )
    return Artifact(output)


@pytest.fixture
def small(tmp_path):
    """A corpus of documents a, b, c and d, of which a and b share a title and d has no body that is seen."""
    rows = [
        ("a", "Wings", "lift and drag"),
        ("b", "wings", "flaps"),
        ("c", "\u200b", "no title"),
        ("d", "Tails", "\xad"),
    ]
    return _corpus(tmp_path, "".join(f"{i}\t{t}\t{x}\n" for i, t, x in rows), "docs.tsv")


def test_jsonl_and_tsv_give_the_same_sorted_documents(tmp_path):
    lines = [
        {"_id": "é", "title": " A  title", "text": "one\n two "},
        {"id": 9, "text": "nine"},
        {"doc_id": "10", "title": None, "text": ""},
    ]
    jsonl = "\ufeff" + "\n".join(json.dumps(line) for line in lines) + "\n\n"
    tsv = "é\t A  title\tone  two\r\n9\t\tnine\r\n10\t\t\r\n"
    for number, (text, name) in enumerate([(jsonl, "docs.jsonl"), (gzip.compress(tsv.encode()), "docs.tsv.gz")]):
        (tmp_path / str(number)).mkdir()
        corpus = Artifact(_corpus(tmp_path / str(number), text, name))
        rows = pd.read_parquet(corpus.file("documents.parquet")).to_numpy().tolist()
        assert rows == [["10", "", ""], ["9", "", "nine"], ["é", "A title", "one two"]]
        assert corpus.counts == {
            "documents": 3,
            "empty_titles": 2,
            "empty_texts": 1,
            "empty_documents": 1,
            "characters": 18,
        }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"source": "files", "titel": 1}, "no key 'titel'"),
        ({"source": "generated", "world": "mild-shift"}, "lacks the key 'seed'"),
        ({"source": "ir_datasets", "id": "vaswanii"}, "no collection 'vaswanii'"),
        ({"source": "ir_datasets", "id": "vaswani", "title_field": "title"}, "no field 'title': it has doc_id, text"),
    ],
)
def test_bad_corpus_specs_are_refused(tmp_path, spec, message):
    given = tmp_path / "missing.tsv" if spec["source"] == "files" else None
    with pytest.raises(InputError, match=message):
        prepare_corpus(output=tmp_path / "corpus" / "manifest.json", spec=spec, documents=given)


def test_a_test_collection_keeps_its_judged_queries(tmp_path, small, capsys):
    qrels = "q1 0 a 2\nq1 0 c 0\nq1 0 z 1\nq1 0 c 1\nq2 0 b -1\nq9 0 a 1\nq4 0 a 1\nq5 0 a 1\nq6 0 a 1\n"
    queries = "q2\ttwo\nq1\t one  \nq3\tthree\nq6\tsix\nq5\tfive\nq4\tfour\n"
    made = _collection(tmp_path, small, queries, qrels, TEST | {"strict": False})
    kept = [["q1", "one"], ["q4", "four"], ["q5", "five"], ["q6", "six"]]
    assert pd.read_parquet(made.file("queries.parquet")).to_numpy().tolist() == kept
    # A document outside the corpus stays in the qrels; of a pair judged twice the higher relevance does.
    assert pd.read_parquet(made.file("qrels.parquet")).to_numpy().tolist() == [
        ["q1", "a", 2],
        ["q1", "c", 1],
        ["q1", "z", 1],
        *([query, "a", 1] for query in ("q4", "q5", "q6")),
    ]
    assert made.counts == {
        "source_queries": 6,
        "source_judgements": 9,
        "judgements_of_unknown_queries": 1,
        "judgements_of_unknown_documents_kept": 1,
        "judgements_repeated": 1,
        "queries_without_relevant": 2,
        "queries": 4,
        "qrels": 6,
    }
    said = capsys.readouterr().err
    assert "queries without relevant: 2" in said and "judgements of unknown documents kept: 1" in said
    for role, fate in ((TEST, "keep"), (TEST | {"role": "dev"}, "keep"), (TRAIN, "leave out")):
        with pytest.raises(InputError, match=f'not in the corpus: .* or set "strict": false to {fate} such lines$'):
            _collection(tmp_path, small, queries, qrels.replace("q9", "q6"), role)


@pytest.mark.parametrize("role", ["test", "dev"])
def test_three_queries_are_too_few_to_test_on_and_four_are_enough(tmp_path, small, role):
    for number in (3, 4):
        queries = "".join(f"q{each}\tone\n" for each in range(number))
        qrels = "".join(f"q{each} 0 a 1\n" for each in range(number))
        if number == 3:
            with pytest.raises(InputError, match=r"qrels\.txt leaves 3 queries that have a relevant document, too few"):
                _collection(tmp_path, small, queries, qrels, TEST | {"role": role})
        else:
            assert _collection(tmp_path, small, queries, qrels, TEST | {"role": role}).counts["queries"] == 4


def test_training_positives_reach_the_least_relevance_and_lie_in_the_corpus(tmp_path, small):
    qrels = "q1 0 a 2\nq1 0 c 1\nq1 0 z 3\nq2 0 b 2\n"
    spec = TRAIN | {"strict": False, "min_relevance": 2}
    made = _collection(tmp_path, small, "q1\tone\nq2\ttwo\n", qrels, spec)
    assert pd.read_parquet(made.file("positives.parquet")).to_numpy().tolist() == [["q1", "a"], ["q2", "b"]]
    # What is relevant, if not enough so, is kept too: no sampler takes it for a negative.
    assert pd.read_parquet(made.file("spared.parquet")).to_numpy().tolist() == [["q1", "c"]]
    assert made.counts["spared"] == 1 and "qrels.parquet" not in made
    spec["min_relevance"] = 1
    assert "spared.parquet" not in _collection(tmp_path, small, "q1\tone\nq2\ttwo\n", qrels, spec)


@pytest.mark.parametrize("role", [TEST, TRAIN])
@pytest.mark.parametrize(
    ("queries", "qrels", "message"),
    [
        ("q1\t\n", "q1 0 a 1\n", "the query 'q1' has no text"),
        ("q1\t\u200b \u202e\n", "q1 0 a 1\n", "the query 'q1' has no text"),
        ("\n", "q1 0 a 1\n", "queries.tsv holds no queries"),
        ("q1\tone\n", "\n", "qrels.txt holds no judgements"),
        ("q1\tone\n", "q1 0 a 1\nq2 0 a 1\n", "qrels.txt:2 judges the query 'q2', which is not among"),
        ("q1\tone\n", "q1 0 a 1\nq1 0 z 1\n", "qrels.txt:2 judges the document 'z', which is not in"),
        ("q1\tone\n", "q1 0 a 1\nq1 0 a 0\n", "qrels.txt:2 judges the query 'q1' and the document 'a' a second"),
        ("q1\tone\nq2\ttwo\n", "q1 0 a 1\nq2 0 a 0\n", "the query 'q2' has no relevant document in .*qrels.txt"),
    ],
)
def test_bad_queries_and_qrels_are_refused_by_name(tmp_path, small, role, queries, qrels, message):
    with pytest.raises(InputError, match=message):
        _collection(tmp_path, small, queries, qrels, role)
    assert not list((tmp_path / "collection").iterdir())


def test_qrels_of_another_corpus_are_refused_even_if_lenient(tmp_path, small):
    with pytest.raises(InputError, match=r"none of its documents is in .*corpus.manifest\.json"):
        _collection(tmp_path, small, "q1\tone\n", "q1 0 x 1\n", TEST | {"strict": False})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TEST | {"pairs": "titles"}, "pairs 'titles' are for training"),
        (TRAIN | {"maximum": 5}, "no key 'maximum'"),
        (TRAIN | {"pairs": "titles"}, "leave them out"),
    ],
)
def test_bad_collection_specs_are_refused(tmp_path, small, spec, message):
    with pytest.raises(InputError, match=message):
        _collection(tmp_path, small, "q1\tone\n", "q1 0 a 1\n", spec)


def test_titles_ask_for_their_own_bodies(tmp_path, small):
    output = tmp_path / "titles" / "manifest.json"
    prepare_collection(output=output, spec={"source": "files", "role": "train", "pairs": "titles"}, corpus=small)
    made = Artifact(output)
    assert pd.read_parquet(made.file("queries.parquet")).to_numpy().tolist() == [["title-a", "Wings"]]
    positives = pd.read_parquet(made.file("positives.parquet")).to_numpy().tolist()
    assert positives == [["title-a", "a"], ["title-a", "b"]]
    assert made.counts == {"documents_left_out": 2, "titles_merged": 1, "queries": 1, "positives": 2}


def test_choosing_queries_depends_on_neither_order_nor_the_others():
    queries = {f"q{number}": "text" for number in range(200)}
    chosen = set(choose_queries(queries, 50, 3))
    assert set(choose_queries(dict(reversed(queries.items())), 50, 3)) == chosen
    assert set(choose_queries({q: "text" for q in queries if q != "q199"}, 50, 3)) >= chosen - {"q199"}
    assert set(choose_queries(queries, 50, 4)) != chosen
    assert choose_queries(queries, None, 3) == queries


def test_training_triples_give_their_distinct_positives(tmp_path, small, monkeypatch):
    query, pair = namedtuple("Query", "query_id text"), namedtuple("Pair", "query_id doc_id_a doc_id_b")
    pairs = [pair("q1", "b", "a"), pair("q2", "c", "a"), pair("q1", "b", "c"), pair("q1", "a", "c")]
    dataset = SimpleNamespace(
        queries_cls=lambda: query,
        queries_iter=lambda: iter([query("q1", "one"), query("q2", "two"), query("q3", "never asked")]),
        docpairs_iter=lambda: iter(pairs),
    )
    monkeypatch.setattr(ir_datasets_source, "load", lambda name, part: dataset)
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    spec = {"source": "ir_datasets", "id": "x", "role": "train", "pairs": "docpairs"}
    output = tmp_path / "pairs" / "manifest.json"
    prepare_collection(output=output, spec=spec, corpus=small)
    positives = pd.read_parquet(tmp_path / "pairs" / "positives.parquet").to_numpy().tolist()
    assert positives == [["q1", "a"], ["q1", "b"], ["q2", "c"]]
    assert Artifact(output).counts["queries_without_relevant"] == 1


@pytest.mark.parametrize(("grade", "positives"), [(2, [["q1", "a"]]), (1, None), (0, None)])
def test_of_training_judgements_only_those_that_count_are_read(tmp_path, small, monkeypatch, grade, positives):
    query, judgement = namedtuple("Query", "query_id text"), namedtuple("Qrel", "query_id doc_id relevance")
    rows = [judgement("q1", "a", 2), judgement("q1", "b", 1), judgement("q1", "gone", 0), judgement("q2", "b", 0)]
    rows = [row._replace(relevance=min(row.relevance, grade)) for row in rows]
    dataset = SimpleNamespace(
        queries_cls=lambda: query,
        queries_iter=lambda: iter([query("q1", "one"), query("q2", "two")]),
        qrels_iter=lambda: iter(rows),
    )
    monkeypatch.setattr(ir_datasets_source, "load", lambda name, part: dataset)
    spec = {"source": "ir_datasets", "id": "x", "role": "train", "pairs": "qrels", "min_relevance": 2}
    output = tmp_path / "questions" / "manifest.json"
    if positives is None:
        with pytest.raises(InputError, match="no query of x has a relevant document: look at the qrels and min_relev"):
            prepare_collection(output=output, spec=spec, corpus=small)
        return
    prepare_collection(output=output, spec=spec, corpus=small)
    assert pd.read_parquet(output.with_name("positives.parquet")).to_numpy().tolist() == positives
    assert pd.read_parquet(output.with_name("spared.parquet")).to_numpy().tolist() == [["q1", "b"]]
    counts = Artifact(output).counts
    assert (counts["source_judgements"], counts["judgements_of_unknown_documents"]) == (4, 0)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Vaswani and Cranfield prepared through ir_datasets' own folder, in one process that never sees a network."""
    copies = [
        Path(os.environ.get("IR_DATASETS_HOME", Path.home() / ".ir_datasets")),
        ROOT.parent / "shared/ir_datasets",
    ]
    home = next(
        (path for path in copies if (path / "vaswani/docs.txt").exists() and (path / "cranfield").exists()), None
    )
    if home is None:
        pytest.skip(f"vaswani and cranfield are not on this machine (looked in {' and '.join(map(str, copies))})")
    root = tmp_path_factory.mktemp("real")
    for name in ("vaswani", "cranfield"):
        shutil.copytree(home / name, root / "home" / name)
    code = """
import json, sys
from workflow_scripts.collect.prepare_collection import prepare_collection
from workflow_scripts.collect.prepare_corpus import prepare_corpus
from workflow_scripts.storage.command import call
for module, arguments in json.load(sys.stdin):
    call({"corpus": prepare_corpus, "collection": prepare_collection}[module], arguments)
"""
    calls = []
    for name, options in (
        ("vaswani", {"text_fields": ["text"], "title_field": None, "title_separator": "  "}),
        ("cranfield", {"title_field": "title", "title_repeated": True}),
    ):
        corpus = str(root / name / "manifest.json")
        spec = {"source": "ir_datasets", "id": name}
        calls.append(["corpus", ["--spec", json.dumps(spec | options), "--output", corpus]])
        for role, options in (("test", {}), ("train", {"pairs": "titles", "max_queries": 500})):
            output = str(root / f"{name}-{role}" / "manifest.json")
            arguments = ["--spec", json.dumps(spec | {"role": role} | options), "--corpus", corpus, "--output", output]
            calls.append(["collection", arguments])
    environment = os.environ | {"IR_DATASETS_HOME": str(root / "home")}
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=json.dumps(calls), text=True, check=True, env=environment
    )
    return root


def test_real_collections_come_out_whole(real):
    for name, number, queries, qrels in (("vaswani", 11429, 93, 2083), ("cranfield", 1400, 225, 1837)):
        counts = Artifact(real / name / "manifest.json").counts
        assert counts["documents"] == number
        made = Artifact(real / f"{name}-test" / "manifest.json")
        assert (made.counts["queries"], made.counts["qrels"]) == (queries, qrels)
        assert made.counts["judgements_of_unknown_documents_kept"] == made.counts["queries_without_relevant"] == 0
        assert Artifact(real / f"{name}-train" / "manifest.json").counts["queries"] == 500
    texts = pd.read_parquet(real / "vaswani" / "documents.parquet").set_index("doc_id")
    assert texts.loc["1"].tolist() == [
        "compact memories have flexible capacities",
        "a digital data storage system with capacity up to bits and random and or sequential access is described",
    ]
    texts = pd.read_parquet(real / "cranfield" / "documents.parquet").set_index("doc_id")
    assert texts.loc["1", "title"] == "experimental investigation of the aerodynamics of a wing in a slipstream ."
    assert texts.loc["1", "text"].startswith("an experimental study of a wing in a propeller slipstream was made")
    repeated = [
        doc
        for doc, (title, text) in zip(texts.index, texts.to_numpy(), strict=True)
        if title and text.startswith(title)
    ]
    assert repeated == ["410"]  # which says its title twice over


def test_the_scripts_parse_what_they_are_given(tmp_path):
    source = tmp_path / "docs.tsv"
    source.write_text("a\talpha\nb\tbeta\n")
    (tmp_path / "queries.tsv").write_text("q\talpha\n")
    (tmp_path / "qrels.txt").write_text("q 0 a 1\n")
    corpus, output = tmp_path / "c" / "manifest.json", tmp_path / "q" / "manifest.json"
    run_script(prepare_corpus, {"source": "files"}, documents=source, output=corpus)
    given = {"queries": tmp_path / "queries.tsv", "qrels": tmp_path / "qrels.txt"}
    run_script(prepare_collection, TRAIN, corpus=corpus, **given, output=output)
    assert set(json.loads(output.read_text())["inputs"]) == {"corpus", "queries", "qrels"}
