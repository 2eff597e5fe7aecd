"""What an experiment asks of a backbone is tried when it is fetched: its length, its head, its embedding."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import transformers
from factories import shipped

from tests.unit.backbone.test_library_tokenizer import GENERIC, NAMED, bytes_pairs, save, wordpiece
from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.experiment.backbone_uses import COUNT_FROM_PADDING, asked_of, head_problems, position_problems
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import overlaid
from workflow_scripts.models.rankers import load_ranker
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

PAPER = shipped("paper")


def refused(source: Path, asked: dict, message: str) -> None:
    """The model is fetched where nothing is asked of it, and refused in one line that names it where this is."""
    output = source.parent / "backbone/manifest.json"
    shutil.rmtree(output.parent, ignore_errors=True)
    with pytest.raises(InputError, match=message) as raised:
        fetch_backbone({"source": str(source), **asked}, output)
    assert str(raised.value).startswith(str(source)) and "\n" not in str(raised.value)
    assert not output.exists()


def fetched(source: Path, asked: dict) -> dict:
    """Checksums of a backbone's files, but for its manifest."""
    output = source.parent / "backbone/manifest.json"
    shutil.rmtree(output.parent, ignore_errors=True)
    fetch_backbone({"source": str(source), **asked}, output)
    return Artifact(output).manifest["files"]


@pytest.mark.parametrize(
    ("family", "tokenizer", "texts", "room"),
    [("bert", wordpiece, 1, 40), ("bert", wordpiece, 2, 39), ("roberta", bytes_pairs, 2, 36)],
)
def test_the_longest_sequence_fits_to_the_token(tmp_path, family, tokenizer, texts, room):
    source = save(tmp_path / "source", family, tokenizer())  # 42 rows of positions, of which RoBERTa reads from row 2
    asked = {"longest": {"texts": texts, "tokens": room}}
    assert fetched(source, asked) == fetched(source, {})
    asked["longest"]["tokens"] += 1
    refused(source, asked, f"of {room + 1} tokens, and . special ones, exceed the model's 4. positions; lower the con")


def test_a_model_that_shall_rank_as_it_is_has_a_head(tmp_path):
    source = save(tmp_path / "source", "electra", wordpiece())
    pair = {"longest": {"texts": 2, "tokens": 9}}
    assert fetched(source, pair)
    message = r"weight classifier\.\S+ is missing: scoring needs a trained cross.* \(its teacher has trained: f"
    refused(source, pair | {"ranks": True}, message)
    config = transformers.AutoConfig.from_pretrained(source, num_labels=1)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(source)
    assert fetched(source, pair | {"ranks": True})
    # As sentence-transformers' CrossEncoder writes it: there the default prompt stands before every query.
    (source / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer", "path": ""}]))
    asks = {"prompts": {"web": "query: ", "other": "text: "}, "default_prompt_name": None}
    (source / "config_sentence_transformers.json").write_text(json.dumps(asks))
    assert fetched(source, pair | {"ranks": True})
    (source / "config_sentence_transformers.json").write_text(json.dumps(asks | {"default_prompt_name": "web"}))
    assert fetched(source, pair)
    refused(source, pair | {"ranks": True}, "is no teacher as it is: sentence-transformers would .* prompt 'query: '")


@pytest.mark.parametrize("family", COUNT_FROM_PADDING)
def test_the_room_of_a_local_folder_is_known_before_it_is_fetched(tmp_path, family):
    shape = {"pad_token_id": 1, "type_vocab_size": 1} | ({"languages": ["a"]} if family == "xmod" else {})
    source = save(tmp_path / "source", family, bytes_pairs(), **shape)
    assert load_ranker(source, "bi-encoder", initialise_seed=0).longest == 40
    assert not fits(source, "bi-encoder", 39) and fits(source, "bi-encoder", 38)
    # <s> x </s> </s> y </s>
    assert not fits(source, "cross-encoder", 37) and fits(source, "cross-encoder", 36)


def fits(source: Path, architecture: str, tokens: int) -> bool:
    """Whether a plan accepts a local folder for texts of so many tokens in all."""
    config = {
        "lengths": {"query": 1, "document": tokens - (architecture == "cross-encoder")},
        "backbones": {"own": {"source": str(source)}},
        "students": {"x": {"backbone": "own", "architecture": architecture}},
        "analysis": {"locality": {"embedding": "x"}},
        "teachers": {},
        "systems": {},
    }
    return not list(position_problems(config))


def test_a_local_teacher_without_a_head_is_refused_in_the_plan(tmp_path):
    config = {"backbones": {"own": {"source": str(tmp_path / "source")}}, "teachers": {}}
    save(tmp_path / "source", "electra", wordpiece())
    for trained in (True, False):
        config["teachers"] = {"base": {"backbone": "own", "trained": trained}}
        found = list(head_problems(config))
        assert bool(found) != trained
    assert re.match(
        r"teachers.base.trained: \S+source was saved as ElectraModel, not as a cross-encoder with one label; ", found[0]
    )
    for labels, refusals in ((1, 0), (3, 1)):
        described = transformers.AutoConfig.from_pretrained(tmp_path / "source", num_labels=labels)
        model = transformers.AutoModelForSequenceClassification.from_config(described)
        model.save_pretrained(tmp_path / "source")
        assert len(list(head_problems(config))) == refusals


def test_a_model_without_cross_encoders_is_one_of_bi_encoders_alone(tmp_path):
    source = save(tmp_path / "source", "bert-generation", wordpiece(), GENERIC | NAMED)
    assert fetched(source, {"longest": {"texts": 1, "tokens": 9}})
    refused(source, {"longest": {"texts": 2, "tokens": 9}}, "cannot be loaded as a cross-encoder")


def test_a_dense_encoder_embeds_as_its_folder_asks(tmp_path):
    source = save(tmp_path / "source", "bert", wordpiece())
    (source / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense", "path": "2"}]))
    chosen = [{"pooling": "mean", "similarity": None}]
    assert fetched(source, {})
    refused(source, {"encodes": chosen}, "is no dense encoder as it is: .*module Dense.*; train a bi-encoder")


@pytest.mark.parametrize(("family", "noise"), [("flaubert", "layerdrop"), ("mixtral", "router_jitter_noise")])
def test_a_model_trained_without_dropout_is_not_random(tmp_path, family, noise):
    """Layers that FlauBERT drops are turned off; the noise of a mixture's router is beyond reach."""
    source = save(tmp_path / "source", family, wordpiece(), GENERIC | NAMED, num_key_value_heads=2, **{noise: 0.5})
    text = {"longest": {"texts": 1, "tokens": 9}}
    assert fetched(source, text)
    if family == "flaubert":
        assert fetched(source, text | {"still": True})
    else:
        refused(source, text | {"still": True}, "is random in training where training.dropout is 0")


def test_what_is_asked_follows_from_the_config():
    config = Experiment(PAPER).config
    pair, text = ({"longest": {"texts": texts, "tokens": tokens}} for texts, tokens in ((2, 230), (1, 200)))
    assert asked_of(config, "electra") == pair and asked_of(config, "bert") == text
    # Pretrained teacher, dense miner and space of locality.
    more = {"backbones": dict.fromkeys(("ranker", "miner", "space", "unused"), PAPER["backbones"]["bert"])}
    more |= {"teachers": {"other": {"backbone": "ranker", "trained": False, "in_grid": False}}}
    more |= {"systems": {"dense": {"encoder": "miner", "pooling": "mean"}}}
    more |= {"analysis": {"locality": {"embedding": "space"}}}
    config = Experiment(overlaid(PAPER, more)).config
    assert asked_of(config, "ranker") == pair | {"ranks": True}
    assert asked_of(config, "miner") == text | {"encodes": [{"pooling": "mean", "similarity": None}]}
    config["training"]["dropout"] = 0.0
    assert asked_of(config, "bert") == text | {"still": True}
    assert asked_of(config, "space") == text and asked_of(config, "unused") == {}
