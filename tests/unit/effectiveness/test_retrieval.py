"""Dense retrieval against brute force, ties and all; its rankings and runs; the table beside re-ranking."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from factories import RULE, run_script, table_spec, write_collection, write_corpus, write_metrics
from rendered import make_table
from scored_world import WORDS, new_encoder, tokenise, write_backbone

from workflow_scripts.analysis.measures import METRICS_SCHEMA
from workflow_scripts.effectiveness.make_retrieval_table import make_retrieval_table
from workflow_scripts.evaluate.retrieve_documents import retrieve_documents
from workflow_scripts.index.merge_search import merge_search
from workflow_scripts.index.search_dense import search_dense
from workflow_scripts.index.search_shard import search_shard
from workflow_scripts.models import dense_retrieval
from workflow_scripts.models.dense_retrieval import nearest, search_by_faiss, search_on_device
from workflow_scripts.models.faiss_indexes import is_supported
from workflow_scripts.models.scoring import score_pairs, scoring_ranker
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rankings import read_ranking
from workflow_scripts.storage.runs import read_run
from workflow_scripts.storage.shards import shard_names
from workflow_scripts.storage.tables import write_table

SEARCHES = {"faiss": search_by_faiss, "torch": partial(search_on_device, device=torch.device("cpu"))}


@pytest.mark.parametrize("search", list(SEARCHES))
@pytest.mark.parametrize("levels", [1, 2, 9])
def test_nearest_is_brute_force_with_ties_by_place(search, levels, monkeypatch):
    """Small whole numbers make exact ties: with one level all documents are equal, with two most are."""
    monkeypatch.setattr(dense_retrieval, "SLACK", 1)
    monkeypatch.setattr(dense_retrieval, "QUERY_BLOCK", 4)
    generator = np.random.default_rng(levels)
    queries, documents = (generator.integers(0, levels, (rows, 6)).astype(np.float32) for rows in (11, 83))
    scores = queries @ documents.T
    order = np.argsort(-scores, axis=1, kind="stable")
    for depth, size in product((1, 5, 40, 200), (7, 30, 100)):
        chunks = (documents[first : first + size] for first in range(0, len(documents), size))
        found, places = nearest(queries, chunks, depth, SEARCHES[search])
        np.testing.assert_array_equal(places, order[:, :depth])
        np.testing.assert_array_equal(found, np.take_along_axis(scores, order[:, :depth], axis=1))


def test_thousands_of_equal_documents_are_searched_again_in_parts(monkeypatch):
    monkeypatch.setattr(dense_retrieval, "QUERY_BLOCK", 64)
    generator, searched = np.random.default_rng(0), []
    documents = generator.integers(-2, 3, (3000, 4)).astype(np.float32)
    documents[200:2900] = [3, 3, 3, 3]
    queries = generator.integers(0, 3, (100, 4)).astype(np.float32)

    def open_chunk(chunk):
        search = search_by_faiss(chunk)
        return lambda queries, count: searched.append((len(queries), count)) or search(queries, count)

    found = nearest(queries, [documents], 10, open_chunk)
    scores = queries @ documents.T
    np.testing.assert_array_equal(found[1], np.argsort(-scores, axis=1, kind="stable")[:, :10])
    assert max(count for _, count in searched) == len(documents)
    assert all(number * count <= 64 * (10 + dense_retrieval.SLACK) or number == 1 for number, count in searched)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two corpora, one bi-encoder: 60 texts of few words, so many are the same; one is a query, name and all."""
    folder = tmp_path_factory.mktemp("retrieval")
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    write_backbone(folder / "backbone")
    new_encoder(folder / "model", "bi-encoder", folder / "backbone")
    for name, count in (("one", 60), ("two", 9)):
        texts = {f"d{row:02}": " ".join(generator.choice(WORDS[:4], 1 + row % 3)) for row in range(count)}
        write_corpus(folder / name / "corpus", texts)
        questions = {f"{'d' if row == 1 else 'q'}{row:02}": " ".join(generator.choice(WORDS, 2)) for row in range(5)}
        questions["d01"] = texts["d01"]
        write_collection(folder / name / "collection", dict(sorted(questions.items())))
        tokenise(folder / name, folder / "backbone")
    return folder


def manifests(world, *names):
    """Of the named collections, each a list: what is searched in, by the option that takes it."""
    return {
        part: [world / name / part / "manifest.json" for name in names]
        for part in ("collection", "queries", "documents")
    }


def brute_force(world, name, depth, remove_query=False):
    """Query to its best (document, score), by scoring every pair."""
    queries, documents = (TokenStore(world / name / part / "manifest.json") for part in ("queries", "documents"))
    pairs = np.array(list(product(range(len(queries)), range(len(documents)))))
    model = scoring_ranker(world / "model", "bi-encoder", queries, documents)
    frame = pd.DataFrame({"query_id": queries.names(pairs[:, 0]), "doc_id": documents.names(pairs[:, 1])})
    frame["score"] = score_pairs(model, queries, documents, *pairs.T)
    if remove_query:
        frame = frame[frame["query_id"] != frame["doc_id"]]
    # Equal texts in another batch may differ in the last bits.
    frame = frame.assign(score=frame["score"].round(4)).sort_values(
        ["query_id", "score", "doc_id"], ascending=[True, False, True]
    )
    return frame.groupby("query_id").head(depth).reset_index(drop=True)


def search(world, output, script=search_dense, more=None, **spec):
    spec = {"system": "dense", "depth": 12, "index": "Flat", **spec}
    paths = manifests(world, "one") | {"model": world / "model/manifest.json", "output": output} | (more or {})
    run_script(script, spec, **paths)
    return read_ranking(output) if script is search_dense else None


@pytest.mark.parametrize("remove_query", [False, True])
def test_search_dense_ranks_as_brute_force(world, tmp_path, monkeypatch, remove_query):
    monkeypatch.setattr(dense_retrieval, "CHUNK_BYTES", 4 * 16 * 25)  # chunks of 25 documents
    tokens = {"query": None, "document": None}
    frame = search(
        world, tmp_path / "flat/manifest.json", remove_query=remove_query, precision="auto", max_tokens=tokens
    )
    expected = brute_force(world, "one", 12, remove_query)
    assert expected["score"].duplicated().sum() > 20
    found = frame[["query_id", "doc_id", "score"]].assign(score=frame["score"].round(4))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, atol=2e-4)
    assert set(frame["system"]) == {"dense"} and frame["rank"].tolist() == [*range(1, 13)] * 5
    counts = Artifact(tmp_path / "flat/manifest.json").counts
    own = {} if remove_query else {"own_document_first": 1}
    assert counts == {"queries": 5, "hits": 60, "queries_without_results": 0} | own


@pytest.mark.parametrize(("count", "remove_query"), [(2, False), (3, True), (5, True)])
def test_shards_make_up_the_ranking_byte_for_byte(world, tmp_path, monkeypatch, count, remove_query):
    monkeypatch.setattr(dense_retrieval, "CHUNK_BYTES", 4 * 16 * 25)  # 60 documents: chunks of 25, 25 and 10
    whole, merged = (tmp_path / name / "manifest.json" for name in ("whole", "merged"))
    search(world, whole, remove_query=remove_query)
    shards = [tmp_path / shard / "manifest.json" for shard in shard_names(count)]
    for manifest in shards:
        search(world, manifest, search_shard, remove_query=remove_query, shard=manifest.parent.name)
    search(world, merged, merge_search, {"shards": shards}, remove_query=remove_query)
    assert Artifact(merged).identity == Artifact(whole).identity
    assert merged.with_name("ranking.parquet").read_bytes() == whole.with_name("ranking.parquet").read_bytes()


def test_search_dense_by_an_index_and_what_it_refuses(world, tmp_path):
    flat = search(world, tmp_path / "flat/manifest.json")
    # An index that looks at everything is exact.
    for index, close in (("IVF4,Flat", 1e-5), ("IVF4,SQ8", 0.05), ("IVF4,PQ4x4", 1)):
        assert is_supported(index)
        spec = {"index": index, "index_parameters": "nprobe=4"}
        frames = [search(world, tmp_path / name / "manifest.json", **spec) for name in ("first", "again")]
        np.testing.assert_allclose(frames[0]["score"], flat["score"], rtol=close)
        pd.testing.assert_frame_equal(*frames)
    # Where an index looks at one cell, a query may find fewer than the depth, and no document twice.
    some = search(world, tmp_path / "some/manifest.json", index="IVF20,Flat")
    assert 5 <= len(some) < 60 and not some.duplicated(["query_id", "doc_id"]).any()
    for spec, message in [
        ({"index": "Round"}, "cannot make or search the index 'Round'"),
        ({"index": "IVF256,Flat"}, "over 60 documents"),
        ({"dept": 3}, "no key 'dept'"),
    ]:
        with pytest.raises(InputError, match=message):
            search(world, tmp_path / "refused/manifest.json", **spec)
        assert not (tmp_path / "refused/manifest.json").exists()


def test_retrieve_documents_writes_a_run_a_collection_and_embeds_a_corpus_once(world, tmp_path, monkeypatch):
    names = {"first": "one", "other": "two", "again": "one"}
    paths = manifests(world, *names.values())
    paths |= {"tests": paths.pop("collection"), "collections": list(names), "output": tmp_path / "manifest.json"}
    embedded, real = [], dense_retrieval.embed_texts
    monkeypatch.setattr(
        dense_retrieval, "embed_texts", lambda *values, **more: embedded.append(len(values[2])) or real(*values, **more)
    )
    spec = {"depth": 12, "tag": "student", "index": "Flat", "remove_query": {"again": True}}
    run_script(retrieve_documents, spec, model=world / "model/manifest.json", **paths)
    assert sorted(embedded) == [5, 5, 5, 9, 60]
    for each, name in names.items():
        run = read_run(tmp_path / f"{each}.run.gz")
        expected = brute_force(world, name, 12, each == "again")
        pd.testing.assert_frame_equal(run[["query_id", "doc_id"]], expected[["query_id", "doc_id"]], check_dtype=False)
        np.testing.assert_allclose(run["score"], expected["score"], atol=2e-4)
    counts = {"first": 60, "other": 45, "again": 60, "own_document_first": {"first": 1, "other": 1}}
    assert Artifact(tmp_path / "manifest.json").counts == counts


MEASURES = ["nDCG@10", "R@100"]


def measured(path, gains):
    """Query n of collection a or b has n / 10 + its sampler's gain + seed / 100."""
    values = {
        ("be", "kl", sampler, "t", seed, name): np.arange(queries) / 10 + gains[sampler, name] + seed / 100
        for sampler, seed, (name, queries) in product("xy", (0, 1), (("a", 3), ("b", 2)))
    }
    return write_metrics(path, values, MEASURES)


def test_the_table_sets_retrieval_beside_reranking(tmp_path):
    zero = dict.fromkeys(product("xy", "ab"), 0.0)
    gains = zero | {("x", "a"): 0.3, ("x", "b"): -0.1}
    paths = {name: tmp_path / f"{name}-metrics.parquet" for name in ("reranked", "retrieved")}
    measured(paths["reranked"], zero)
    # Written in another order: a query's values must still meet.
    retrieved = pd.read_parquet(measured(paths["retrieved"], gains))[::-1]
    write_table(paths["retrieved"], retrieved, METRICS_SCHEMA)
    domains = [{"name": "near", "collections": ["a"]}, {"name": "both", "collections": ["a", "b"]}]
    spec = table_spec(samplers=["x", "y"], seeds=[0, 1], domains=domains, measures=["AP", *MEASURES], candidates=None)
    spec |= {"reranked_depth": 100, "retrieved_depth": 100, "rule": RULE | {"margin": 0.01, "confidence": 0.9}}

    def make(**changes):
        return make_table(make_retrieval_table, spec | changes, tmp_path / "retrieval.parquet", **paths)

    table, text = make()
    table = table.set_index(["sampler", "domain", "measure"])
    # AP was measured nowhere: the first measure that was stands in its place.
    assert len(table) == 8 and (table["n_seeds"] == 2).all()
    near, both = table.loc["x", "near", "nDCG@10"], table.loc["x", "both", "nDCG@10"]
    assert near[["reranked", "retrieved", "difference", "n_queries"]].tolist() == pytest.approx([0.105, 0.405, 0.3, 3])
    assert both[["reranked", "retrieved", "difference", "n_queries"]].tolist() == pytest.approx([0.08, 0.18, 0.1, 5])
    assert near["retrieved_std_seed"] == pytest.approx(0.01 / 2**0.5, abs=1e-6)
    # The differences of a collection are all the same: so are the intervals' ends, were queries paired wrongly not.
    assert both[["ci_low", "ci_high"]].tolist() == pytest.approx([0.1, 0.1], abs=1e-6)
    assert "0.105 ± 0.007" in text and "+0.300 [+0.300, +0.300] ≠" in text and "R@100 retrieved" in text
    assert "In nDCG@10, of 4 comparisons retrieval is better in 2 and worse in 0" in text
    assert table.loc["y", "near", "nDCG@10"]["outcome"] == "same" and "2 of 2 comparisons in 2 families" in text
    assert "two depths" not in text and "end at rank 100, retrieved ones at 1000" in make(retrieved_depth=1000)[1]
    with pytest.raises(InputError, match="holds none of"):
        make(measures=["AP"])
    with pytest.raises(InputError, match="lack nDCG@10 of student=be loss=mse"):
        make(losses=["mse"])
    write_table(paths["retrieved"], retrieved[retrieved["query_id"] != "q02"], METRICS_SCHEMA)
    with pytest.raises(InputError, match="query q02 of a was measured for one of"):
        make()
