"""Scoring: the order, the pools, the labels and the runs, against one pair at a time through the model."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from factories import artifact

from tests.unit.models.test_tokens import WORDS, write_backbone, write_collection
from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.backbone import tokenise_queries as tokenise_queries_script
from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.backbone.tokenise_corpus import tokenise_corpus
from workflow_scripts.backbone.tokenise_evaluation import tokenise_evaluation
from workflow_scripts.evaluate.gather_evaluation import gather_evaluation
from workflow_scripts.evaluate.rerank_candidates import rerank_candidates
from workflow_scripts.models import scoring
from workflow_scripts.models.rankers import load_ranker, new_ranker, save_ranker
from workflow_scripts.models.token_store import TokenStore, pair_sequences, single_sequences
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import call
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rankings import RANKING_FILE, RankingWriter
from workflow_scripts.storage.runs import read_run
from workflow_scripts.storage.shards import shard_names
from workflow_scripts.storage.tables import read_table
from workflow_scripts.teach import label_groups, merge_pool, score_pool, score_shard, scored_parts
from workflow_scripts.teach.list_pairs import list_pairs
from workflow_scripts.teach.look_up_labels import look_up_labels
from workflow_scripts.teach.scored_parts import DIGEST

CONFIG = {
    "model_type": "bert",
    "vocab_size": 13,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
    "initializer_range": 0.4,
}
PAIRS = [("query_id", pa.string()), ("doc_id", pa.string())]


@pytest.fixture
def world(tmp_path):
    """Twelve documents, three queries, a ranking, positives, stores, a cross-encoder and a bi-encoder."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    documents = {f"d{row:02}": ("", " ".join(generator.choice(WORDS, 1 + row))) for row in range(12)}
    queries = {f"q{row}": " ".join(generator.choice(WORDS, 1 + row)) for row in range(3)}
    write_backbone(tmp_path / "backbone")
    write_collection(tmp_path, documents, queries)
    backbone = tmp_path / "backbone/manifest.json"
    spec = {"view": "full", "max_tokens": 10}
    tokenise_corpus(spec, backbone, tmp_path / "corpus/manifest.json", tmp_path / "documents/manifest.json")
    tokenise_queries_script.tokenise_queries(
        {"max_tokens": 3}, backbone, tmp_path / "collection/manifest.json", tmp_path / "queries/manifest.json"
    )
    for architecture in ("cross-encoder", "bi-encoder"):
        with ArtifactWriter(tmp_path / architecture / "manifest.json", kind="test", spec={}) as writer:
            model = new_ranker(CONFIG, architecture, initialise_seed=2)
            save_ranker(model, writer.path("config.json").parent, tmp_path / "backbone")
    with (
        ArtifactWriter(tmp_path / "ranking/manifest.json", kind="test", spec={}) as writer,
        RankingWriter(writer.path(RANKING_FILE)) as ranking,
    ):
        for query in queries:
            ranking.add("bm25", query, list(generator.permutation(list(documents))[:6]), np.arange(6, 0, -1.0))
    positives = {"query_id": list(queries), "doc_id": ["d00", "d05", "d11"]}
    artifact(tmp_path / "train/manifest.json", {"positives.parquet": (positives, pa.schema(PAIRS))})
    return tmp_path


def one_by_one(world, architecture, pairs):
    """Scores of (query id, document id) pairs, each alone through the model."""
    queries, documents = TokenStore(world / "queries/manifest.json"), TokenStore(world / "documents/manifest.json")
    model = load_ranker(world / architecture, architecture, initialise_seed=0)
    scores = []
    with torch.inference_mode():
        for query, document in pairs:
            rows = queries.rows([query]), documents.rows([document])
            if architecture == "cross-encoder":
                scores.append(model(pair_sequences(queries, rows[0], documents, rows[1], 3, 10)).item())
            else:
                left, right = single_sequences(queries, rows[0], 3), single_sequences(documents, rows[1], 10)
                scores.append(float(model(left) @ model(right).T))
    return np.array(scores)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_scores_do_not_depend_on_the_batch(world, architecture, monkeypatch, capsys):
    queries, documents = TokenStore(world / "queries/manifest.json"), TokenStore(world / "documents/manifest.json")
    generator = np.random.default_rng(1)
    pairs = generator.integers(0, 3, 40), generator.integers(0, 12, 40)
    names = zip(queries.names(pairs[0]).to_pylist(), documents.names(pairs[1]).to_pylist(), strict=True)
    expected = one_by_one(world, architecture, names)
    assert expected.std() > 0.1
    model = scoring.scoring_ranker(world / architecture, architecture, queries, documents)
    for budget, chunk in ((1, 40), (50, 7), (10**6, 40)):
        monkeypatch.setattr(scoring, "CHUNK_PAIRS", chunk)
        monkeypatch.setattr(scoring, "EMBEDDING_BYTES", 4 * 16 * chunk)
        progress = scoring.scoring_progress(model, queries, documents, *pairs, name="test")
        scores = scoring.score_pairs(model, queries, documents, *pairs, token_budget=budget, progress=progress)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
    said = capsys.readouterr().err
    assert "40 pairs to score" in said and "of test, " in said
    low = scoring.scoring_ranker(world / architecture, architecture, queries, documents, precision="bf16")
    np.testing.assert_allclose(scoring.score_pairs(low, queries, documents, *pairs), expected, rtol=0.1, atol=0.2)


@pytest.mark.slow
def test_sentence_transformers_gives_the_same_scores(world):
    """Of a cross-encoder, to every pair whose texts are not cut."""
    from sentence_transformers import CrossEncoder

    documents, queries = (texts_by_id(world, *names) for names in (("corpus", "documents"), ("collection", "queries")))
    pairs = [(q, d) for q in queries for d in documents if len(queries[q].split()) <= 3 >= len(documents[d].split())]
    theirs = CrossEncoder(str(world / "cross-encoder"), device="cpu").predict(
        [(queries[query], documents[document]) for query, document in pairs]
    )
    ours = one_by_one(world, "cross-encoder", pairs)
    assert len(pairs) == 9 and ours.std() > 0.1
    assert theirs == pytest.approx(ours, abs=1e-5)


def texts_by_id(world, folder, name):
    """Texts by id of a corpus or a collection."""
    frame = read_table(world / folder / f"{name}.parquet")
    return dict(zip(frame.iloc[:, 0], frame["text"], strict=True))


def test_a_cpu_s_batches_are_as_large_as_its_cache_has_room_for():
    def budget(device, widest):
        return scoring.default_budget(SimpleNamespace(device=torch.device(device), widest=widest))

    assert [budget("cpu", widest) for widest in (64, 1024, 3072, 10**8)] == [4096, 2048, 682, 1]
    assert budget("cuda", 3072) == 131072


def test_batches_hold_the_budget_and_everything():
    lengths = np.array([5, 3, 9, 4, 4, 20])
    order = np.argsort(lengths, kind="stable")
    batches = list(scoring.token_batches(lengths, order, 10))
    assert [lengths[batch].tolist() for batch in batches] == [[3, 4], [4, 5], [9], [20]]


def test_pool_scores_each_pair_once_and_labels_look_it_up(world, monkeypatch):
    manifest = {name: world / name / "manifest.json" for name in ("cross-encoder", "queries", "documents", "ranking")}
    arguments = [f"--{name}={manifest[name]}" for name in ("queries", "documents")]
    arguments.append(f"--models={manifest['cross-encoder']}")
    shallow, deep = world / "shallow/manifest.json", world / "deep/manifest.json"
    ranking = f"--rankings={manifest['ranking']}"
    spec = "--spec=" + json.dumps({"depth": 2, "precision": "auto"})
    call(
        score_pool.score_pool,
        [*arguments, ranking, spec, f"--collection={world / 'train/manifest.json'}", f"--output={shallow}"],
    )
    spec = "--spec=" + json.dumps({"depth": 4, "precision": "auto"})
    call(score_pool.score_pool, [*arguments, ranking, spec, f"--known={shallow}", f"--output={deep}"])
    listed = read_table(world / "ranking/ranking.parquet")
    positives = read_table(world / "train/positives.parquet")
    expected = {tuple(row) for row in positives.to_numpy()} | {
        (row.query_id, row.doc_id) for row in listed.itertuples() if row.rank <= 2
    }
    first, second = (read_table(world / name / "scores.parquet") for name in ("shallow", "deep"))
    assert list(zip(first["query_id"], first["doc_id"], strict=True)) == sorted(expected)
    others = {(row.query_id, row.doc_id) for row in listed.itertuples() if row.rank <= 4} - expected
    assert list(zip(second["query_id"], second["doc_id"], strict=True)) == sorted(others)
    np.testing.assert_allclose(first["score"], one_by_one(world, "cross-encoder", sorted(expected)), atol=1e-5)

    groups = {"query_id": ["q0", "q0", "q1", "q1"], "position": [0, 1, 0, 1]}
    for name, documents in (("known", [*_known(first, second, 2)]), ("new", ["d00", "d09", "d05", "d10"])):
        folder = world / name
        schema = pa.schema([PAIRS[0], ("position", pa.int16()), PAIRS[1]])
        artifact(folder / "manifest.json", {"groups.parquet": (groups | {"doc_id": documents}, schema)})
        known = ["--known", str(shallow), str(deep)]
        output = world / f"labels-{name}/manifest.json"
        command = [
            '--spec={"precision": "auto"}',
            f"--groups={folder / 'manifest.json'}",
            *arguments,
            f"--output={output}",
        ]
        with monkeypatch.context() as patch:
            if name == "known":  # nothing to score: the model stays on the disk
                patch.setattr(label_groups, "_score", None)
            call(label_groups.label_groups, [*command, *known])
        labels = read_table(world / f"labels-{name}/labels.parquet")
        assert labels[["query_id", "position", "doc_id"]].to_dict("list") == groups | {"doc_id": documents}
        pairs = zip(groups["query_id"], documents, strict=True)
        np.testing.assert_allclose(labels["score"], one_by_one(world, "cross-encoder", pairs), atol=1e-5)
        counts = Artifact(output).counts
        assert counts["pairs"] == 4 and counts["looked_up"] + counts["scored"] == 4
        # The entropy of each group's labels, in each of its rows.
        entropy = pairwise_entropy(labels["score"].to_numpy().reshape(2, 2))
        assert labels["entropy"].tolist() == np.repeat(entropy, 2).tolist()
        # And the same where another job has looked the pairs up.
        found, again = (world / f"{what}-{name}/manifest.json" for what in ("found", "again"))
        call(look_up_labels, [*command[:-1], f"--output={found}", *known])
        call(label_groups.label_groups, [*command[:-1], f"--output={again}", f"--looked-up={found}"])
        assert read_table(again.with_name("labels.parquet")).equals(labels) and Artifact(again).counts == counts


def _known(first, second, number):
    both = pd.concat([first, second])
    for query in ("q0", "q1"):
        yield from both[both["query_id"] == query]["doc_id"].iloc[:number]


def test_a_killed_pool_goes_on_after_its_finished_parts(world, monkeypatch, capsys):
    manifest = {name: world / name / "manifest.json" for name in ("cross-encoder", "queries", "documents", "ranking")}
    inputs = [manifest["cross-encoder"]], manifest["queries"], manifest["documents"], [manifest["ranking"]]
    monkeypatch.setattr(scored_parts, "PART", 3)
    whole, killed = world / "whole/manifest.json", world / "killed/manifest.json"
    score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, whole)
    pairs = Artifact(whole).counts["pairs"]
    assert pairs > 8 and not (whole.parent / ".checkpoint").exists()
    score_pairs, calls = scoring.score_pairs, []

    def counted(*arguments, **options):
        calls.append(len(arguments[3]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score_pairs(*arguments, **options)

    monkeypatch.setattr(scoring, "score_pairs", counted)
    with pytest.raises(KeyboardInterrupt):
        score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, killed)
    assert not killed.exists()
    kept = sorted((killed.parent / ".checkpoint").rglob("*.npy"))
    assert len(kept) == 2
    content = bytearray(kept[1].read_bytes())
    content[-DIGEST - 2] ^= 1  # one bit of a score
    kept[1].write_bytes(content)
    calls.extend([0])  # past the call that is interrupted
    before = len(calls)
    score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, killed)
    assert sum(calls[before:]) == pairs - 3 and "part 1 is scored again" in capsys.readouterr().err
    assert (killed.parent / "scores.parquet").read_bytes() == (whole.parent / "scores.parquet").read_bytes()
    assert not (killed.parent / ".checkpoint").exists()
    monkeypatch.setattr(scored_parts, "PART", 4)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, killed)
    calls.extend([0])
    before = len(calls)
    score_pool.score_pool({"depth": 3, "precision": "bf16"}, *inputs, killed)  # another spec: nothing is taken over
    assert sum(calls[before:]) == pairs


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_shards_make_up_the_pool_byte_for_byte(world, tmp_path, monkeypatch, count):
    for module in (scored_parts, score_shard, merge_pool):
        monkeypatch.setattr(module, "PART", 2)
    made = {name: tmp_path / name / "manifest.json" for name in ("shallow", "listed", "whole", "pairs", "merged")}
    model, queries, documents, ranking, train = (
        world / name / "manifest.json" for name in ("cross-encoder", "queries", "documents", "ranking", "train")
    )
    listing = [f"--queries={queries}", f"--documents={documents}"]
    scoring_them = [*listing, f"--models={model}"]
    shallow, deep = (json.dumps({"depth": depth, "precision": "auto"}) for depth in (1, 4))
    ranked, positives = f"--rankings={ranking}", f"--collection={train}"

    def make(script, name, spec, *arguments):
        call(script, ["--spec", spec, f"--output={made[name]}", *arguments])
        return made[name]

    # The pool that the deep one knows, scored and, where nothing waits for its scores, listed.
    known = make(score_pool.score_pool, "shallow", shallow, *scoring_them, ranked, positives)
    whole = make(score_pool.score_pool, "whole", deep, *scoring_them, ranked, f"--known={known}")
    listed = make(list_pairs, "listed", '{"depth": 1}', *listing, ranked, positives)
    pairs = make(list_pairs, "pairs", '{"depth": 4}', *listing, ranked, f"--known={listed}")
    made |= {shard: tmp_path / shard / "manifest.json" for shard in shard_names(count)}
    shards = [
        make(
            score_shard.score_shard,
            shard,
            json.dumps({"shard": shard, "precision": "auto"}),
            *scoring_them,
            f"--pairs={pairs}",
        )
        for shard in shard_names(count)
    ]
    merging = [*scoring_them, f"--pairs={pairs}", "--shards"]
    merged = Artifact(make(merge_pool.merge_pool, "merged", deep, *merging, *map(str, shards)))
    assert merged.identity == Artifact(whole).identity
    assert merged.file("scores.parquet").read_bytes() == whole.with_name("scores.parquet").read_bytes()
    assert merged.counts == {"pairs": 7, "known": 5}
    scored = [Artifact(shard).counts["scored"] for shard in shards]
    assert sum(scored) == merged.counts["pairs"] and (count > 4 or min(scored) > 1)
    if count == 2:
        with pytest.raises(InputError, match=r"shards 2-of-2, 1-of-2 are not all of some work, in order"):
            make(merge_pool.merge_pool, "merged", deep, *merging, *map(str, reversed(shards)))
        with pytest.raises(InputError, match=r"the shards hold \d+ scores of .*'s \d+ pairs"):
            make(
                merge_pool.merge_pool, "merged", deep, *scoring_them, f"--pairs={listed}", "--shards", *map(str, shards)
            )


def test_pool_of_another_teacher_is_refused(world):
    manifest = {name: world / name / "manifest.json" for name in ("cross-encoder", "queries", "documents", "ranking")}
    inputs = manifest["queries"], manifest["documents"], [manifest["ranking"]]
    pool = world / "pool/manifest.json"
    score_pool.score_pool({"depth": 1, "precision": "auto"}, [manifest["cross-encoder"]], *inputs, pool)
    with pytest.raises(InputError, match="scored by another model"):
        score_pool.score_pool(
            {"depth": 2, "precision": "auto"},
            [world / "bi-encoder/manifest.json"],
            *inputs,
            world / "x.json",
            known=[pool],
        )


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_rerank_writes_a_run_for_each_collection(world, architecture):
    made = {name: str(world / name / "manifest.json") for name in ("collection", "corpus", "ranking", "evaluation")}
    stores, both = str(world / "tokens/manifest.json"), ["--collections", "one", "two"]
    add_qrels(world)
    listed = ["--tests", *[made["collection"]] * 2]
    spec, rankings = json.dumps({"depth": 4, "tag": "bm25"}), [made["ranking"]] * 2
    call(
        gather_evaluation,
        ["--spec", spec, *both, *listed, "--rankings", *rankings, "--output", made["evaluation"]],
    )
    command = ["--backbone", str(world / "backbone/manifest.json"), "--evaluation", made["evaluation"], *both, *listed]
    spec, corpora = json.dumps({"query_tokens": 3, "document_tokens": 10}), [made["corpus"]] * 2
    call(tokenise_evaluation, [*command, "--spec", spec, "--corpora", *corpora, "--output", stores])
    assert len(TokenStore(stores, "two.documents")) < 12  # what is never re-ranked is not tokenised
    with pytest.raises(InputError, match=r"has no token store 'three\.documents': it has one\.documents, one\.queries"):
        TokenStore(stores, "three.documents")
    spec = json.dumps({"architecture": architecture, "tag": "student", "precision": "auto"})
    command = ["--spec", spec, "--model", str(world / architecture / "manifest.json"), *both]
    command += ["--evaluation", made["evaluation"], "--tokens", stores]
    call(rerank_candidates, [*command, "--output", str(world / "run/manifest.json")])
    listed = read_table(world / "ranking/ranking.parquet")
    listed = listed[listed["rank"] <= 4].sort_values(["query_id", "doc_id"])
    pairs = list(zip(listed["query_id"], listed["doc_id"], strict=True))
    expected = one_by_one(world, architecture, pairs)
    for name in ("one", "two"):
        run = read_run(world / "run" / f"{name}.run.gz").sort_values(["query_id", "doc_id"])
        assert list(zip(run["query_id"], run["doc_id"], strict=True)) == pairs
        np.testing.assert_allclose(run["score"], expected, atol=1e-5)
    # A run's bytes do not depend on what else the process scores.
    alone = [word for word in command if word != "one"]
    call(rerank_candidates, [*alone, "--output", str(world / "alone/manifest.json")])
    assert (world / "alone/two.run.gz").read_bytes() == (world / "run/two.run.gz").read_bytes()


def add_qrels(world):
    """Make the world's collection one to evaluate on."""
    judged = {"query_id": ["q0"], "doc_id": ["d00"], "relevance": [1]}, pa.schema([*PAIRS, ("relevance", pa.int32())])
    files = {"queries.parquet": (world / "collection/queries.parquet").read_bytes(), "qrels.parquet": judged}
    artifact(world / "collection/manifest.json", files)


def test_a_candidate_that_the_corpus_lacks_is_told(world):
    add_qrels(world)
    manifest = {name: world / name / "manifest.json" for name in ("collection", "corpus", "ranking", "backbone")}
    tests = {"collections": ["one"], "tests": [manifest["collection"]]}
    evaluation, output = world / "evaluation/manifest.json", world / "tokens/manifest.json"
    gather_evaluation(spec={"depth": 6, "tag": "bm25"}, rankings=[manifest["ranking"]], output=evaluation, **tests)
    write_collection(world / "other", {"d00": ("", "red")}, {"q0": "red"})
    arguments = {"backbone": manifest["backbone"], "evaluation": evaluation, "output": output, **tests}
    spec = {"query_tokens": 3, "document_tokens": 10}
    with pytest.raises(InputError, match=r"candidates of one are not in .*other/corpus"):
        tokenise_evaluation(spec=spec, corpora=[world / "other/corpus/manifest.json"], **arguments)
    assert not output.exists()


def test_a_text_that_does_not_fit_is_refused_before_anything_is_scored(world, monkeypatch):
    queries, documents = TokenStore(world / "queries/manifest.json"), TokenStore(world / "documents/manifest.json")
    monkeypatch.setattr(scoring, "pack", lambda *_: pytest.fail("something is scored"))
    model = scoring.scoring_ranker(world / "cross-encoder", "cross-encoder", queries, documents)
    model.shape = dataclasses.replace(model.shape, positions=11)
    with pytest.raises(InputError, match="a sequence of 16 tokens does not fit the model's 11 positions"):
        scoring.score_pairs(model, queries, documents, np.array([2, 2]), np.array([0, 11]))


def test_nan_names_the_pair(world):
    queries, documents = TokenStore(world / "queries/manifest.json"), TokenStore(world / "documents/manifest.json")
    model = scoring.scoring_ranker(world / "cross-encoder", "cross-encoder", queries, documents)
    model.head.out.bias.fill_(float("nan"))
    with pytest.raises(InputError, match="query q1, document d03 as nan"):
        scoring.score_pairs(model, queries, documents, np.array([1]), np.array([3]))
    # An encoder alone has no head to score by, and no random one is made up for it.
    with pytest.raises(InputError, match=r"bi-encoder: weight bert\.pooler\.dense\.\w+ is missing"):
        scoring.scoring_ranker(world / "bi-encoder", "cross-encoder", queries, documents)


def test_fetch_a_local_backbone(world):
    source = {"source": str(world / "bi-encoder"), "revision": None}
    output = world / "fetched/manifest.json"
    call(fetch_backbone, ["--spec", json.dumps(source), "--output", str(output)])
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(Artifact(output).manifest["files"])
    fetched = load_ranker(world / "fetched", "bi-encoder", initialise_seed=0)
    assert Artifact(output).counts["parameters"] == sum(parameter.numel() for parameter in fetched.parameters())
    weights = world / "bi-encoder/model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    for source, message in ((str(world / "bi-encoder"), "pickled weights"), (str(world / "nowhere"), "no folder")):
        with pytest.raises(InputError, match=message):
            fetch_backbone({"source": source}, world / "refused/manifest.json")
    assert not (world / "refused/manifest.json").exists()
