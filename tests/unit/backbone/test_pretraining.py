"""Backbones from scratch: their tokenizer, word vectors, batches, and a folder that others can load."""

import numpy as np
import pytest
import torch
from factories import scratch_spec, write_corpus

from workflow_scripts.backbone.pretrain_backbone import pretrain_backbone, read_texts
from workflow_scripts.backbone.pretraining import CLS, MASK, SEP, PretrainingBatches, cooccurrence_vectors
from workflow_scripts.backbone.vocabulary import SPECIAL, build_tokenizer, encode
from workflow_scripts.models.rankers import load_ranker
from workflow_scripts.models.token_store import Sequences
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table

SPEC = scratch_spec()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    generator = np.random.default_rng(0)
    words = ["running", "runner", "Lake", "lakes", "a", "the", "stone", "stones", "river"]
    texts = [" ".join(generator.choice(words, size=9)) for _ in range(12)]
    titled = {f"d{number:02}": ("" if number else "Café", text) for number, text in enumerate(texts)}
    return write_corpus(tmp_path_factory.mktemp("corpus"), titled)


@pytest.mark.slow
def test_the_same_text_gives_the_same_bytes_in_a_folder_that_the_library_loads(corpus, tmp_path):
    for name in ("one", "two"):
        pretrain_backbone(corpora=[corpus], spec=SPEC, output=tmp_path / name / "manifest.json")
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path / "one"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(["lake river"], ["the stones"], return_tensors="pt")
    assert tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])[0] == "[CLS]"
    sequences = Sequences(
        inputs["input_ids"][0].int().numpy(),
        inputs["token_type_ids"][0].int().numpy(),
        np.array([inputs["input_ids"].shape[1]]),
    )
    library, report = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and library.config.num_labels == 1
    # The head comes along: the next-segment task's is where a cross-encoder starts.
    ours = load_ranker(folder, "cross-encoder", initialise_seed=0)
    with torch.no_grad():
        assert torch.allclose(library.eval()(**inputs).logits[0], ours(sequences), atol=1e-6)
        state = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[:, 0]
        assert torch.allclose(load_ranker(folder, "bi-encoder", initialise_seed=0)(sequences), state, atol=1e-5)


def test_word_tokenizer_keeps_the_most_frequent_and_lower_cases():
    tokenizer = build_tokenizer(["b B a, c", "a c"], kind="words", size=8)
    assert tokenizer.get_vocab() == {name: row for row, name in enumerate([*SPECIAL, "a", "b", "c"])}
    assert encode(tokenizer, ["C, b A b"], 3)[0].tolist() == [7, 1, 6]
    assert tokenizer.encode("a", "b").ids == [2, 5, 3, 6, 3] and tokenizer.encode("a", "b").type_ids == [0, 0, 0, 1, 1]


def test_word_pieces_cover_what_words_do_not():
    pieces, words = (build_tokenizer(["running runner run"] * 3, kind=kind, size=40) for kind in ("wordpiece", "words"))
    assert pieces.encode("runner", add_special_tokens=False).tokens == ["runner"]
    found = pieces.encode("runnerrun", add_special_tokens=False).tokens
    assert len(found) > 1 and "".join(token.removeprefix("##") for token in found) == "runnerrun"
    assert words.encode("runnerrun", add_special_tokens=False).tokens == ["[UNK]"]


def test_words_of_the_same_company_get_like_vectors():
    # 5 and 6 never meet, but share their neighbours 7 and 8; 9 and 10 live elsewhere; 11 is in no text.
    texts = [np.array(text) for text in ([5, 7, 8], [6, 7, 8], [9, 10, 12], [9, 12]) * 3]
    vectors = cooccurrence_vectors(texts, vocabulary=13, size=4, seed=0)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6) and np.isfinite(vectors).all()
    assert vectors[5] @ vectors[6] > 0.95 > 0.2 > abs(vectors[5] @ vectors[9])


def test_batches_pair_words_with_their_text_and_with_another():
    generator = np.random.default_rng(1)
    texts = [np.concatenate([generator.integers(10 * n, 10 * n + 10, size=12), [9]]) for n in range(1, 9)]
    batches = PretrainingBatches(texts, vocabulary=100, batch=8, removal=1.0, steps=10, seed=3)
    assert [batches.removal_at(step) for step in (0, 1, 5, 9)] == [0, 0.2, 1, 1]
    batch = batches(5)
    sequences = np.split(batch.sequences.input_ids, np.cumsum(batch.sequences.lengths)[:-1])
    types = np.split(batch.sequences.token_type_ids, np.cumsum(batch.sequences.lengths)[:-1])
    assert batch.belongs.tolist() == [1, 0] * 4
    unmasked = batch.sequences.input_ids.copy()
    unmasked[batch.masked] = batch.answers
    original = np.split(unmasked, np.cumsum(batch.sequences.lengths)[:-1])
    for sequence, segment, kind, belongs in zip(sequences, original, types, batch.belongs, strict=True):
        assert sequence[0] == CLS and sequence[-1] == SEP == sequence[kind == 0][-1]
        words, text = segment[kind == 0][1:-1], segment[kind == 1][:-1]
        assert 2 <= len(words) <= 4 and len(set(words)) == len(words)
        # Texts share only word 9; with removal 1 the drawn words are gone from their own text.
        own = {n // 10 for n in words if n != 9} == {n // 10 for n in text if n != 9}
        assert own == bool(belongs) and not (belongs and set(words) & set(text))
    assert 0 < (batch.sequences.input_ids == MASK).sum() < len(batch.sequences.input_ids) / 4
    again = batches(5)
    assert np.array_equal(again.sequences.input_ids, batch.sequences.input_ids)
    assert not np.array_equal(batches(6).sequences.input_ids, batch.sequences.input_ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokeniser": {}}, "no key 'tokeniser'"),
        ({"tokenizer": {"kind": "bytes", "size": 60}}, "no vocabulary kind 'bytes': use words or wordpiece"),
        ({"architecture": SPEC["architecture"] | {"hidden": 15}}, "hidden_size 15 is not a multiple of its 2"),
        ({"pretraining": SPEC["pretraining"] | {"batch": 64}}, "4 to 24 pairs here, not 64"),
    ],
)
def test_a_spec_that_cannot_work_is_one_line(corpus, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        pretrain_backbone(corpora=[corpus], spec=SPEC | change, output=tmp_path / "manifest.json")
    assert not list(tmp_path.iterdir())


def test_a_batch_without_a_masked_token_asks_for_none(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", {f"d{row:02}": f"lift drag wing{row % 5}" for row in range(50)})
    spec = SPEC | {"pretraining": SPEC["pretraining"] | {"steps": 8, "batch": 4}}
    pretrain_backbone(corpora=[corpus], spec=spec, output=tmp_path / "mini/manifest.json")
    losses = read_table(tmp_path / "mini/losses.parquet")
    assert (losses["masked_token_loss"] == 0).any() and (losses["masked_token_loss"] > 0).any()
    assert (losses["next_segment_loss"] > 0).all()


def test_of_many_texts_a_sample_is_read_in_order(tmp_path):
    corpora = [
        write_corpus(
            tmp_path / name, {f"d{row:03}": ("title" if row % 2 else "", f"{name} {row}") for row in range(60)}
        )
        for name in ("one", "two")
    ]
    everything = read_texts(corpora, most=120, seed=0)
    assert len(everything) == 120 and everything[:2] == ["one 0", "title one 1"] and everything[-1] == "title two 59"
    sample = read_texts(corpora, most=70, seed=0)
    assert sample == [text for text in everything if text in sample] and len(sample) == 70
    assert sample == read_texts(corpora, most=70, seed=0) != read_texts(corpora, most=70, seed=1)
