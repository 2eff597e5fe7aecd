"""Scoring: the order of texts, and their scores against one pair at a time through the model."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from factories import run_script
from scored_world import make_world, one_by_one

from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.models import scoring
from workflow_scripts.models.embedding import embed_texts
from workflow_scripts.models.rankers import load_ranker
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table


@pytest.fixture
def world(tmp_path):
    return make_world(tmp_path)


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
        monkeypatch.setattr(scoring, "token_budget", lambda model, budget=budget: budget)
        monkeypatch.setattr(scoring, "CHUNK_PAIRS", chunk)
        monkeypatch.setattr(scoring, "EMBEDDING_BYTES", 4 * 16 * chunk)
        progress = scoring.scoring_progress(model, queries, documents, *pairs, name="test")
        scores = scoring.score_pairs(model, queries, documents, *pairs, progress=progress)
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
    def budget(device, widest, *dtypes):
        weights = [torch.zeros(1, dtype=dtype) for dtype in (torch.float32, *dtypes)]
        return scoring.token_budget(
            SimpleNamespace(device=torch.device(device), widest=widest, parameters=lambda: weights)
        )

    assert [budget("cpu", widest) for widest in (64, 1024, 3072, 10**8)] == [4096, 2048, 682, 1]
    assert budget("cpu", 3072, torch.bfloat16) == 1365
    assert budget("cuda", 3072) == 131072


def test_a_batch_has_no_more_sequences_than_a_gpu_s_grid():
    lengths = np.full(200_000, 2)
    batches = list(scoring.token_batches(lengths, np.arange(200_000), scoring.MOST_TOKENS["cuda"] * 2))
    assert [len(batch) for batch in batches] == [65535, 65535, 65535, 3395]
    assert np.array_equal(np.concatenate(batches), np.arange(200_000))


def test_batches_hold_the_budget_and_everything():
    lengths = np.array([5, 3, 9, 4, 4, 20])
    order = np.argsort(lengths, kind="stable")
    batches = list(scoring.token_batches(lengths, order, 10))
    assert [lengths[batch].tolist() for batch in batches] == [[3, 4], [4, 5], [9], [20]]


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_batches_that_a_gpu_has_no_room_for_are_halved(world, architecture, monkeypatch, capsys):
    queries, documents = TokenStore(world / "queries/manifest.json"), TokenStore(world / "documents/manifest.json")
    generator = np.random.default_rng(1)
    pairs = generator.integers(0, 3, 40), generator.integers(0, 12, 40)
    model = scoring.scoring_ranker(world / architecture, architecture, queries, documents)
    expected = scoring.score_pairs(model, queries, documents, *pairs)
    vectors = embed_texts(model, documents, np.arange(12)) if architecture == "bi-encoder" else None
    forward, sizes, room = model.forward, [], 30

    def short(batch):
        sizes.append(len(batch.input_ids))
        if sizes[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.25 GiB.")
        return forward(batch)

    monkeypatch.setattr(model, "forward", short)
    np.testing.assert_allclose(scoring.score_pairs(model, queries, documents, *pairs), expected, atol=1e-5)
    said = capsys.readouterr().err
    assert "the GPU's memory is short: batches hold" in said and max(size for size in sizes if size <= room) > 15
    if vectors is not None:
        np.testing.assert_allclose(embed_texts(model, documents, np.arange(12)), vectors, atol=1e-5)
    room = 2  # not even one text
    with pytest.raises(torch.OutOfMemoryError):
        scoring.score_pairs(model, queries, documents, *pairs)


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
    run_script(fetch_backbone, source, output=output)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(Artifact(output).manifest["files"])
    fetched = load_ranker(world / "fetched", "bi-encoder", initialise_seed=0)
    assert Artifact(output).counts["parameters"] == sum(parameter.numel() for parameter in fetched.parameters())
    weights = world / "bi-encoder/model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    for source, message in ((str(world / "bi-encoder"), "pickled weights"), (str(world / "nowhere"), "no folder")):
        with pytest.raises(InputError, match=message):
            fetch_backbone({"source": source}, world / "refused/manifest.json")
    assert not (world / "refused/manifest.json").exists()
