"""Model folders: who may read them, and what is refused in them."""

import json
import os
from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import CONFIGS, SMALL

from workflow_scripts.models import rankers
from workflow_scripts.storage.errors import InputError


@pytest.mark.parametrize("family", ["bert", "distilbert"])
@pytest.mark.parametrize("umask", [0o022, 0o007])
def test_who_may_read_a_model_is_the_umask_s_to_say(family, umask, saved, tmp_path):
    own = rankers.load_ranker(saved(CONFIGS[family], "bi-encoder"), "bi-encoder", initialise_seed=0)
    before = os.umask(umask)
    try:
        rankers.save_ranker(own, tmp_path / "saved", tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "saved").iterdir() if path.is_file()}
    assert set(modes.values()) == {0o666 & ~umask} and "model.safetensors" in modes


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_a_model_with_a_weight_that_is_no_number_is_not_saved(family, saved, tmp_path):
    own = rankers.load_ranker(saved(CONFIGS[family], "bi-encoder"), "bi-encoder", initialise_seed=0)
    with torch.no_grad():
        next(own.parameters())[0, 0] = torch.inf
    with pytest.raises(InputError, match=r"the model's weight \S*word_embeddings.weight is not finite: lower"):
        rankers.save_ranker(own, tmp_path / "saved", tmp_path)
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "wide"},
        {"hidden_size": 0},
        {"num_attention_heads": 0},
        {"num_hidden_layers": None},
        {"vocab_size": -1},
        {"hidden_act": ["gelu"]},
        {"layer_norm_eps": "small"},
        {"model_type": 3},
        {"model_type": "no such family"},
        {"model_type": "gpt2", "n_embd": "wide"},
    ],
)
def test_a_configuration_that_describes_no_encoder_is_one_line(change, saved):
    folder = saved(CONFIGS["bert"], "bi-encoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=str(folder)) as caught:
        rankers.load_ranker(folder, "bi-encoder", initialise_seed=0)
    assert "\n" not in str(caught.value)


def test_random_weights_have_the_configured_spread():
    model = rankers.new_ranker(CONFIGS["bert"], "cross-encoder", initialise_seed=1)
    state = model.state_dict()
    assert state["encoder.embeddings.word_embeddings.weight"].std().item() == pytest.approx(0.3, rel=0.05)
    assert state["head.out.bias"].item() == 0 and bool((state["encoder.embeddings.LayerNorm.weight"] == 1).all())


def test_pickled_weights_are_refused(saved):
    folder = saved(CONFIGS["bert"], "bi-encoder")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled weights"):
        rankers.load_ranker(folder, "bi-encoder", initialise_seed=0)


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/model.safetensors", "..", "pytorch_model.bin"])
def test_shards_are_plain_safetensors_of_the_folder(name, saved):
    folder = saved(CONFIGS["bert"], "bi-encoder")
    (folder / "model.safetensors").rename(folder / "part-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "part-1.safetensors"}}))
    rankers.load_ranker(folder, "bi-encoder", initialise_seed=0)
    index.write_text(json.dumps({"weight_map": {"x": "part-1.safetensors", "y": name}}))
    with pytest.raises(InputError, match=rf"index\.json names '{name}'"):
        rankers.load_ranker(folder, "bi-encoder", initialise_seed=0)


def test_bad_folders_are_named(saved, tmp_path):
    folder = saved(CONFIGS["bert"], "bi-encoder")
    config = json.loads((folder / "config.json").read_text())
    for change, message in (
        ({"hidden_size": 64}, "has shape"),
        ({"num_hidden_layers": 4}, r"encoder\.layer\.3.* is missing"),
        ({"num_hidden_layers": 2}, r"weight encoder\.layer\.2\S+ has no place in the encoder"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "code that comes with the model"),
        ({"position_embedding_type": "relative_key"}, r"config\.json asks for relative positions"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=message):
            rankers.load_ranker(folder, "bi-encoder", initialise_seed=0)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds an adapter .*merge it"):
        rankers.load_ranker(folder, "bi-encoder", initialise_seed=0)
    with pytest.raises(InputError, match=r"config\.json is missing"):
        rankers.load_ranker(tmp_path, "bi-encoder", initialise_seed=0)
    with pytest.raises(InputError, match="choose cross-encoder or bi-encoder"):
        rankers.new_ranker(config, "late-interaction", initialise_seed=0)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
@pytest.mark.parametrize(
    ("family", "part"), [("bert", "encoder"), ("xlm-roberta", "encoder"), ("distilbert", "transformer")]
)
def test_weights_that_the_encoder_would_not_read_are_refused(family, part, architecture, saved):
    folder = saved(CONFIGS.get(family, SMALL | {"model_type": family, "pad_token_id": 1}), architecture)
    weights = load_file(folder / "model.safetensors")
    (first, *_) = (name for name in weights if f"{part}.layer.0.attention" in name)
    adapter = first.replace(".weight", ".lora_A.default.weight").replace(".bias", ".lora_A.default.weight")
    # What other heads and older libraries leave in a checkpoint is no part of the encoder.
    prefix = first[: first.index(part)]
    other = {"cls.predictions.bias": torch.zeros(3), f"{prefix}embeddings.position_ids": torch.arange(40)[None]}
    for more, fails in ((other, False), (other | {adapter: torch.zeros(2, 32)}, True)):
        save_file(weights | more, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(InputError, match=f"weight {adapter} has no place") if fails else nullcontext():
            rankers.load_ranker(folder, architecture, initialise_seed=0)
