"""Indexing and search against formulas by hand, and against Pyserini's own searcher on real text."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact, write_collection, write_corpus

from workflow_scripts.evaluate.gather_evaluation import gather_evaluation
from workflow_scripts.index import java
from workflow_scripts.index.build_index import build_index
from workflow_scripts.index.search_index import search_index
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import KINDS
from workflow_scripts.storage.rankings import RankingWriter, finds_itself, read_ranking, row_groups
from workflow_scripts.storage.runs import read_run

SHARED = Path(__file__).parents[4] / "shared" / "ir_datasets"
K1, B, MU = 1.2, 0.75, 10.0
BM25 = {"system": "bm25", "model": "bm25", "k1": K1, "b": B, "depth": 5}
# Words that the English stemmer and stop list leave as they are.
TEXTS = {
    "d01": "bark clover bark",
    "d02": "clover fern",
    "d03": "fern bark moss moss moss",
    "d04": "   ",
    "d05": "clover fern",
    "d06": "moss",
    "d07": "clover fern",
    "q1": "clover fern",
    "ä9": "clover fern",
}
QUERIES = {"q1": "clover fern", "q2": "moss bark bark", "q3": '?! "(', "q4": "zebra", "q5": "fern*~ AND +(clover"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpus, collection and an index with term vectors, made of TEXTS (a title splits off each first word)."""
    folder = tmp_path_factory.mktemp("lucene")
    parts = {doc_id: text.split(" ", 1) if text.strip() else ["", text] for doc_id, text in TEXTS.items()}
    corpus = write_corpus(folder / "corpus", {doc_id: (*each, "")[:2] for doc_id, each in parts.items()})
    write_collection(folder / "collection", QUERIES)
    build_index({"docvectors": True}, corpus, folder / "index" / "manifest.json", threads=2, memory_mb=384)
    return folder


def search(folder: Path, spec: dict, output: Path, **changes: object) -> pd.DataFrame:
    paths = {"index": folder / "index" / "manifest.json", "collection": folder / "collection" / "manifest.json"}
    search_index(spec, **{**paths, "output": output, "threads": 1, "memory_mb": 384, **changes})
    return read_ranking(output)


def statistics() -> tuple[dict[str, Counter], Counter, Counter]:
    """Term counts of each document with text, document frequencies, collection frequencies."""
    documents = {doc_id: Counter(text.split()) for doc_id, text in TEXTS.items() if text.strip()}
    frequencies, total = Counter(), Counter()
    for counts in documents.values():
        frequencies.update(counts.keys())
        total.update(counts)
    return documents, frequencies, total


def bm25_by_hand(query: str) -> dict[str, float]:
    documents, frequencies, _ = statistics()
    average = np.mean([counts.total() for counts in documents.values()])
    scores: Counter = Counter()
    for doc_id, counts in documents.items():
        norm = K1 * (1 - B + B * counts.total() / average)
        for term in query.split():
            if counts[term]:
                idf = np.log(1 + (len(documents) - frequencies[term] + 0.5) / (frequencies[term] + 0.5))
                scores[doc_id] += idf * counts[term] / (counts[term] + norm)
    return dict(scores)


def qld_by_hand(query: str) -> dict[str, float]:
    documents, _, total = statistics()
    scores: Counter = Counter()
    for doc_id, counts in documents.items():
        for term in query.split():
            if counts[term]:
                chance = (total[term] + 1) / (total.total() + 1)
                score = np.log(1 + counts[term] / (MU * chance)) + np.log(MU / (counts.total() + MU))
                scores[doc_id] += max(0.0, score)
    return dict(scores)


@pytest.mark.parametrize(
    ("model", "by_hand"),
    [({"model": "bm25", "k1": K1, "b": B}, bm25_by_hand), ({"model": "qld", "mu": MU}, qld_by_hand)],
    ids=["bm25", "qld"],
)
def test_scores_follow_the_formula_and_ties_break_by_document_id(small, tmp_path, model, by_hand):
    frame = search(small, {"system": "s", "depth": 9, **model}, tmp_path / "manifest.json")
    for query_id in ("q1", "q2"):
        expected = by_hand(QUERIES[query_id])
        found = frame[frame["query_id"] == query_id]
        assert found["doc_id"].tolist() == sorted(expected, key=lambda doc: (-round(expected[doc], 6), doc))
        np.testing.assert_allclose(found["score"], [expected[doc] for doc in found["doc_id"]], rtol=1e-6)
        assert found["rank"].tolist() == list(range(1, len(found) + 1))
    ties = frame[(frame["query_id"] == "q1")].iloc[:5]
    assert ties["doc_id"].tolist() == ["d02", "d05", "d07", "q1", "ä9"] and ties["score"].nunique() == 1
    assert set(frame["system"]) == {"s"}
    # Query syntax is text; a query that finds nothing is counted.
    assert frame[frame["query_id"] == "q5"]["doc_id"].tolist() == frame[frame["query_id"] == "q1"]["doc_id"].tolist()
    assert Artifact(tmp_path / "manifest.json").counts["queries_without_results"] == 2


@pytest.mark.parametrize("word", ["lift ", "\U0001f680\U0001f680 "])  # a rocket is two of Java's characters
def test_a_document_longer_than_lucene_reads_is_named(tmp_path: Path, word: str) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"a": "wing", "b": word * 4_000_001, "c": "drag"})
    with pytest.raises(InputError, match="document b has 20,000,005 characters, and Lucene reads at most 20,000,000"):
        build_index({"docvectors": False}, corpus, tmp_path / "index/manifest.json", threads=1, memory_mb=384)


def test_index_counts_documents_and_neither_threads_nor_chunks_change_results(small, tmp_path, monkeypatch):
    assert Artifact(small / "index" / "manifest.json").counts == {"documents": 9, "indexed": 8, "empty": 1}
    output = tmp_path / "index" / "manifest.json"
    build_index({"docvectors": False}, small / "corpus" / "manifest.json", output, threads=1, memory_mb=384)
    one = search(small, BM25, tmp_path / "one" / "manifest.json")
    monkeypatch.setattr("workflow_scripts.index.search_index.CHUNK_HITS", 2 * BM25["depth"])  # 5 queries make 3 chunks
    other = search(small, BM25, tmp_path / "other" / "manifest.json", index=output, threads=3)
    assert Artifact(tmp_path / "other" / "manifest.json").counts["queries"] == len(QUERIES)
    pd.testing.assert_frame_equal(one, other)
    assert not any(path.name in ("shards", "write.lock") for path in output.parent.rglob("*"))
    text = {**BM25, "rm3": True}
    with pytest.raises(InputError, match="docvectors"):
        search(small, text, tmp_path / "rm3" / "manifest.json", index=output)
    expanded = search(small, text, tmp_path / "rm3" / "manifest.json")
    assert len(expanded[expanded["query_id"] == "q2"]) >= 3
    same = search(small, {**BM25, "rm3": True}, tmp_path / "same" / "manifest.json")
    pd.testing.assert_frame_equal(expanded, same)


def test_a_cut_inside_ties_and_a_removed_query_keep_the_first_ids(small, tmp_path, capsys):
    frame = search(small, {**BM25, "depth": 3}, tmp_path / "cut" / "manifest.json")
    assert frame[frame["query_id"] == "q1"]["doc_id"].tolist() == ["d02", "d05", "d07"]
    frame = search(small, {**BM25, "depth": 4, "remove_query": True}, tmp_path / "removed" / "manifest.json")
    assert frame[frame["query_id"] == "q1"]["doc_id"].tolist() == ["d02", "d05", "d07", "ä9"]
    # The document q1 lies past the cut, or is removed; four deep it is among the best.
    named = [Artifact(tmp_path / name / "manifest.json").counts for name in ("cut", "removed")]
    assert not any("own_document_first" in counts for counts in named) and "remove_query" not in capsys.readouterr().err
    search(small, {**BM25, "depth": 4}, tmp_path / "kept" / "manifest.json")
    assert Artifact(tmp_path / "kept" / "manifest.json").counts["own_document_first"] == 1
    said = (
        "bm25: 1 of 5 queries find the document of their own id first: where that is the query itself, set remove_query"
    )
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("documents", "scores", "itself"),
    [
        ("qab", [3, 2, 1], True),
        ("aqb", [3, 3, 1], True),
        ("aqb", [3, 2, 1], False),
        ("qa", None, True),
        ("aq", None, False),
    ],
)
def test_a_document_of_the_query_s_own_id_is_first_where_none_scores_above_it(documents, scores, itself):
    assert finds_itself("q", list(documents), None if scores is None else np.array(scores)) == itself


def test_a_query_longer_than_any_document_is_searched(small, tmp_path):
    words = " ".join(f"t{number}" for number in range(70_000))
    collection = write_collection(tmp_path / "collection", {"long": f"{words} clover"})
    frame = search(small, BM25, tmp_path / "manifest.json", collection=collection)
    assert frame["doc_id"].tolist()[0] == "d02"


def test_runs_and_rankings_agree_and_a_ranking_is_written_in_order(small, tmp_path):
    frame = search(small, BM25, tmp_path / "ranking" / "manifest.json")
    evaluation = tmp_path / "evaluation" / "manifest.json"
    artifact(tmp_path / "test/manifest.json", {f"{kind}.parquet": KINDS[kind].empty_table() for kind in KINDS})

    def gather(ranking: str, output: Path) -> None:
        manifests = {"tests": [tmp_path / "test" / "manifest.json"], "rankings": [tmp_path / ranking / "manifest.json"]}
        gather_evaluation(spec={"depth": 2, "tag": "x"}, collections=["c"], **manifests, output=output)

    gather("ranking", evaluation)
    exported = read_run(tmp_path / "evaluation" / "c.run.gz")
    expected = frame[frame["rank"] <= 2].reset_index(drop=True)
    assert (
        exported[["query_id", "doc_id", "rank"]].values.tolist()
        == expected[["query_id", "doc_id", "rank"]].values.tolist()
    )
    assert (exported["score"].astype("float32").to_numpy() == expected["score"].astype("float32").to_numpy()).all()
    two = ArtifactWriter(tmp_path / "two" / "manifest.json", kind="test", spec={})
    with two as writer, RankingWriter(writer.path("ranking.parquet")) as ranking:
        ranking.add("a", "q1", ["x", "y"], np.array([2.0, 1.0]))
        ranking.add("b", "q1", ["y"], None)
        with pytest.raises(InputError, match="sort systems and queries"):
            ranking.add("a", "q2", ["x"], None)
        with pytest.raises(InputError, match="twice"):
            ranking.add("b", "q2", ["x", "x"], None)
    assert row_groups(tmp_path / "two" / "manifest.json") == {"a": [0], "b": [1]}
    with pytest.raises(InputError, match="ranks by a, b: re-rank what one system"):
        gather("two", tmp_path / "evaluation2" / "manifest.json")


def test_java_is_found_by_version(tmp_path, monkeypatch):
    old, new = tmp_path / "17", tmp_path / "22"
    for home in (old, new):
        (home / "bin").mkdir(parents=True)
        (home / "lib" / "server").mkdir(parents=True)
        for name in ("libjvm.so", "libjvm.dylib"):
            (home / "lib" / "server" / name).touch()
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{home.name}.0.1"\n')
        (home / "bin" / "java").write_text("")
        (home / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(old / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(new))
    assert java.find_java() == new
    monkeypatch.delenv("JAVA_HOME")
    assert java.find_java() not in (old, new)
    monkeypatch.setenv("PATH", str(new / "bin"))
    assert java.find_java() == new


def test_rankings_are_those_of_pyserini_on_real_text(tmp_path, monkeypatch):
    if not (SHARED / "vaswani").is_dir():
        pytest.skip(f"the Vaswani collection is not at {SHARED}")
    shutil.copytree(SHARED / "vaswani", tmp_path / "raw")
    documents = (tmp_path / "raw" / "docs.txt").read_text().split("/\n")
    rows = [text.strip("\f\n ").split("\n", 1) for text in documents if text.strip("\f\n ")]
    texts = {row[0].strip(): row[1].replace("\n", " ") for row in rows}
    corpus = write_corpus(tmp_path / "corpus", dict(sorted(texts.items())))
    topics = [text.strip().split("\n", 1) for text in (tmp_path / "raw" / "queries.txt").read_text().split("/\n")]
    queries = {topic[0].strip(): topic[1].replace("\n", " ") for topic in topics if len(topic) == 2}
    collection = write_collection(tmp_path / "collection", dict(sorted(queries.items())))
    build_index({"docvectors": False}, corpus, tmp_path / "index" / "manifest.json", threads=1, memory_mb=384)
    frame = search(tmp_path, {**BM25, "depth": 100}, tmp_path / "r" / "manifest.json", collection=collection)
    # Importing this part of Pyserini makes an OpenAI client, which asks for some key.
    monkeypatch.setenv("OPENAI_API_KEY", os.environ.get("OPENAI_API_KEY", "unused"))
    from pyserini.search.lucene import LuceneSearcher

    searcher = LuceneSearcher(str(tmp_path / "index" / "lucene"))
    searcher.set_bm25(K1, B)
    assert len(queries) > 80
    for query_id, text in queries.items():
        hits = searcher.search(text, k=100)
        found = frame[frame["query_id"] == query_id]
        assert found["doc_id"].tolist() == [hit.docid for hit in hits]
        # Pyserini rounds scores to 1e-4 and spreads ties by 1e-6 each.
        np.testing.assert_allclose(found["score"], [hit.score for hit in hits], atol=2e-4)
