"""Rankers against Hugging Face's own forward: the equality gate of the packed path, loading and saving."""

import copy
import functools
import json

import numpy as np
import pytest
import torch
import transformers
from small_models import CONFIGS, SMALL, library_twin
from torch.nn import functional

from workflow_scripts.models import arithmetic, devices, packed_encoder, ragged_attention, rankers, scoring
from workflow_scripts.models.scoring import for_inference
from workflow_scripts.models.token_store import Sequences
from workflow_scripts.storage import processor
from workflow_scripts.storage.errors import InputError


@pytest.fixture
def ragged():
    generator = np.random.default_rng(3)
    lengths = np.array([9, 30, 4, 9, 17, 30, 1, 12, 9])
    ids = generator.integers(5, 120, lengths.sum()).astype(np.int32)
    types = np.concatenate([np.arange(length) >= length // 2 for length in lengths]).astype(np.int32)
    return Sequences(ids, types, lengths)


def padded_forward(library, sequences, architecture):
    """Scores or embeddings by the library's padded forward, in the input's order."""
    rows, longest = len(sequences), int(sequences.lengths.max())
    ids, types, mask = (torch.zeros(rows, longest, dtype=torch.long) for _ in range(3))
    start = 0
    for row, length in enumerate(sequences.lengths):
        ids[row, :length] = torch.from_numpy(sequences.input_ids[start : start + length])
        types[row, :length] = torch.from_numpy(sequences.token_type_ids[start : start + length])
        mask[row, :length] = 1
        start += length
    inputs = {"input_ids": ids, "attention_mask": mask}
    if library.config.model_type == "roberta":
        # The library counts RoBERTa's positions by where the padding id is not.
        inputs["input_ids"] = ids.masked_fill(mask == 0, 1)
    elif library.config.model_type != "distilbert":
        inputs["token_type_ids"] = types
    output = library(**inputs)
    if architecture == "cross-encoder":
        return output.logits.squeeze(-1)
    if architecture == "mean":
        states = zip(output.last_hidden_state, sequences.lengths, strict=True)
        return torch.stack([functional.normalize(state[:length].mean(0), dim=0) for state, length in states])
    return output.last_hidden_state[:, 0]


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder", "mean"])
@pytest.mark.parametrize("family", ["bert", "electra", "roberta"])
def test_packed_equals_padded(family, architecture, saved, ragged):
    kind, chosen = architecture, {}
    if architecture == "mean":
        kind, chosen = "bi-encoder", {"pooling": "mean", "similarity": "cosine"}
    folder = saved(CONFIGS[family], kind)
    own = rankers.load_ranker(folder, kind, initialise_seed=0, **chosen)
    library = library_twin(None, kind, folder).eval()
    expected, found = padded_forward(library, ragged, architecture), own(ragged)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    theirs = {name: parameter.grad for name, parameter in library.named_parameters()}
    for name, parameter in own.named_parameters():
        # The key bias of the last layer has none: it is the same for all tokens that a query asks.
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradient, theirs[own.checkpoint_name(name)], atol=1e-4, rtol=1e-5)


def test_attention_by_length_equals_padded_attention(ragged):
    batch = packed_encoder.pack(ragged)
    query, key, value = torch.randn(3, len(batch.input_ids), 4, 8, generator=torch.Generator().manual_seed(0))
    found = ragged_attention.attend(query, key, value, batch, 0.0, False)
    torch.testing.assert_close(
        found, ragged_attention._attend_padded(query, key, value, batch, 0.0, False), atol=1e-6, rtol=0
    )
    first = ragged_attention._attend_padded(query[batch.starts], key, value, batch, 0.0, True)
    torch.testing.assert_close(first, found[batch.starts], atol=1e-6, rtol=0)


def test_last_layer_without_keys_and_values_is_the_one_with_them(saved, ragged, monkeypatch):
    # Biases and dropped weights too: a fixed pattern stands for dropout's draw.
    keep = lambda x, p: (torch.arange(x.numel()).view(x.shape) % 3 != 0) * (1 + p)  # noqa: E731
    monkeypatch.setattr(arithmetic, "keep", keep)
    layer = rankers.load_ranker(saved(CONFIGS["bert"], "bi-encoder"), "bi-encoder", initialise_seed=0).encoder.encoder
    layer = layer.layer[-1].train()
    part, batch = layer.attention.self, packed_encoder.pack(ragged)
    for linear in (part.query, part.key, part.value):
        torch.nn.init.normal_(linear.bias, generator=torch.Generator().manual_seed(1))
    hidden = torch.randn(len(batch.input_ids), 32, generator=torch.Generator().manual_seed(2))
    expected, start = [], 0
    for length, count in batch.runs:
        rows = hidden[start : start + length * count].view(count, length, 32)
        start += length * count
        query, key, value = (linear(rows).view(count, length, 4, 8) for linear in (part.query, part.key, part.value))
        weights = torch.einsum("bhd,blhd->bhl", query[:, 0], key).div(8**0.5).softmax(-1)
        expected.append(torch.einsum("bhl,blhd->bhd", weights * keep(weights, 0.1), value).reshape(count, 32))
    found = layer._attend_unprojected(hidden[batch.starts], hidden, batch)
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-6, rtol=1e-5)


def test_the_variable_length_kernel_asks_for_a_gpu_that_has_it(monkeypatch):
    for capability, built, there in (((7, 5), True, False), ((8, 0), True, True), ((9, 0), True, True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, answer=capability: answer)
        monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda answer=built: answer)
        ragged_attention._varlen_kernel.cache_clear()
        for p in (0.0, 0.1):
            assert (ragged_attention._varlen_kernel(torch.device("cuda"), p) is not None) == there
    ragged_attention._varlen_kernel.cache_clear()


def test_every_token_in_input_order(saved, ragged):
    folder = saved(CONFIGS["bert"], "bi-encoder")
    own = rankers.load_ranker(folder, "bi-encoder", initialise_seed=0)
    hidden = own.encoder.every_token(packed_encoder.pack(ragged))
    starts = np.cumsum(ragged.lengths) - ragged.lengths
    torch.testing.assert_close(hidden[starts], own(ragged), atol=1e-6, rtol=0)


def test_dropout_in_training_only(saved, ragged):
    folder = saved(CONFIGS["bert"], "cross-encoder")
    own = rankers.load_ranker(folder, "cross-encoder", initialise_seed=0)
    assert torch.equal(own(ragged), own(ragged))
    own.train()
    torch.manual_seed(5)
    first, second = own(ragged), own(ragged)
    torch.manual_seed(5)
    assert not torch.equal(first, second) and torch.equal(first, own(ragged))
    still = rankers.load_ranker(folder, "cross-encoder", initialise_seed=0, dropout=0.0).train()
    torch.testing.assert_close(still(ragged), own.eval()(ragged))


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_other_architectures_take_the_padded_path(architecture, saved, ragged, tmp_path, capsys):
    folder = saved(CONFIGS["distilbert"], architecture)
    own = rankers.load_ranker(folder, architecture, initialise_seed=0)
    assert "no packed path" in capsys.readouterr().err
    expected = padded_forward(library_twin(None, architecture, folder).eval(), ragged, architecture)
    torch.testing.assert_close(own(ragged), expected, atol=1e-5, rtol=0)
    rankers.save_ranker(own, tmp_path / "again", folder)
    again = rankers.load_ranker(tmp_path / "again", architecture, initialise_seed=0)
    assert torch.equal(again(ragged), own(ragged))


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
@pytest.mark.parametrize("family", ["bert", "electra", "roberta"])
def test_saved_folder_loads_in_the_library_with_nothing_missing(family, architecture, saved, ragged, tmp_path):
    # A backbone without a head, as hubs have them; the cross-encoder's is drawn from the seed.
    backbone = saved(CONFIGS[family], "bi-encoder")
    own = rankers.load_ranker(backbone, architecture, initialise_seed=4)
    rankers.save_ranker(own, tmp_path / "ranker", backbone, max_tokens=32)
    kind = (
        transformers.AutoModelForSequenceClassification if architecture == "cross-encoder" else transformers.AutoModel
    )
    library, report = kind.from_pretrained(tmp_path / "ranker", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    torch.testing.assert_close(padded_forward(library.eval(), ragged, architecture), own(ragged), atol=1e-5, rtol=0)
    again = rankers.load_ranker(tmp_path / "ranker", architecture, initialise_seed=9)
    assert torch.equal(again(ragged), own(ragged))


def test_new_head_depends_on_the_seed_alone(saved, ragged, capsys):
    folder = saved(CONFIGS["electra"], "bi-encoder")
    scores = [rankers.load_ranker(folder, "cross-encoder", initialise_seed=seed)(ragged) for seed in (1, 1, 2)]
    assert torch.equal(scores[0], scores[1]) and not torch.equal(scores[0], scores[2])
    assert "classifier.out_proj.weight" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("family", "weight"), [("electra", r"classifier\.dense"), ("distilbert", r"(pre_)?classifier")]
)
def test_a_model_that_scores_must_bring_its_head(family, weight, saved, tmp_path):
    load = functools.partial(rankers.load_ranker, architecture="cross-encoder", initialise_seed=0, new_head=False)
    folder = saved(CONFIGS[family], "bi-encoder")
    with pytest.raises(InputError, match=rf"{folder}: weight {weight}\.\w+ is missing.* cross-encoder"):
        load(folder)
    config = transformers.AutoConfig.for_model(**CONFIGS[family], num_labels=2)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "two")
    with pytest.raises(InputError, match=r"two: weight classifier\.\S+ has shape \(2"):
        load(tmp_path / "two")
    rankers.load_ranker(tmp_path / "two", "cross-encoder", initialise_seed=0)
    load(saved(CONFIGS[family], "cross-encoder"))


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_the_padded_path_refuses_an_encoder_that_is_not_whole(architecture, saved):
    folder = saved(CONFIGS["distilbert"], architecture)
    config = json.loads((folder / "config.json").read_text())
    for change, message in (
        ({"n_layers": 3}, r"weight \S*transformer\.layer\.2\.\S+ is missing"),
        ({"hidden_dim": 64}, r"weight \S*ffn\.lin1\.\S+ has shape \(48"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=message):
            rankers.load_ranker(folder, architecture, initialise_seed=0)


@pytest.mark.parametrize("autocast", [False, True])
def test_a_padded_model_s_head_is_float32_whatever_its_encoder_is(autocast, saved, ragged):
    own = rankers.load_ranker(saved(CONFIGS["distilbert"], "cross-encoder"), "cross-encoder", initialise_seed=0)
    expected = own(ragged)
    head = copy.deepcopy(own).library.classifier
    assert head.forward.args[0] is head
    low = own if autocast else for_inference(own, "bf16", torch.device("cpu"))
    assert autocast or low.library.distilbert.embeddings.word_embeddings.weight.dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        found = low(ragged)
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0.1)
    # Scores of a half precision are half-precision numbers, whatever they are stored in: so they would tie.
    assert not torch.equal(found, found.bfloat16().float())
    assert len(found.unique()) == len(expected.unique())


# Rotary encoders and albert, with the modules of their heads; a pooler lies in the encoder.
HEADS = {
    "modernbert": {"head", "classifier"},
    "nomic_bert": {"pooler", "classifier"},
    "eurobert": {"dense", "classifier"},
    "albert": {"pooler", "classifier"},
}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("family", HEADS)
def test_half_precision_rounds_neither_frequencies_nor_a_head(family, precision, saved, ragged, monkeypatch):
    monkeypatch.setattr(scoring, "settle_precision", lambda wanted, *_: wanted)  # a CPU computes no fp16
    config = SMALL | {"model_type": family, "pad_token_id": 0}
    own = rankers.load_ranker(saved(config, "cross-encoder"), "cross-encoder", initialise_seed=0)
    low = for_inference(own, precision, torch.device("cpu"))
    whole = dict(own.named_parameters()) | dict(own.named_buffers())
    for name, tensor in (*low.named_parameters(), *low.named_buffers()):
        if tensor.dtype == whole[name].dtype:
            assert torch.equal(tensor, whole[name]), name
    assert {buffer.dtype for name, buffer in low.named_buffers() if "inv_freq" in name} <= {torch.float32}
    wide = {name for name, weight in low.named_parameters() if weight.dtype == torch.float32}
    assert wide == {name for name, _ in low.named_parameters() if HEADS[family] & set(name.split("."))}
    assert {weight.dtype for _, weight in low.named_parameters()} == {torch.float32, scoring.DTYPES[precision]}
    assert torch.corrcoef(torch.stack([low(ragged), own(ragged)]))[0, 1] > 0.97


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_a_cpu_s_vectors_are_float32_though_it_scores_pairs_in_bf16(family, saved, ragged, monkeypatch):
    monkeypatch.setattr(processor, "_settled", dict(processor._settled))
    monkeypatch.setattr(processor, "multiplies_bf16", lambda: True)
    monkeypatch.setattr(devices, "BF16_PAYS", 0)
    for architecture, exact in (("bi-encoder", True), ("cross-encoder", False)):
        own = rankers.load_ranker(saved(CONFIGS[family], architecture), architecture, initialise_seed=0)
        assert torch.equal(for_inference(own, "auto", torch.device("cpu"))(ragged), own(ragged)) == exact


@pytest.mark.parametrize(("family", "autocast"), [("deberta", True), ("mra", False)])
def test_what_the_library_cannot_compute_in_half_precision_is_fp32(
    family, autocast, saved, ragged, capsys, monkeypatch
):
    monkeypatch.setattr(processor, "_settled", settled := dict(processor._settled))
    own = rankers.load_ranker(
        saved(SMALL | {"model_type": family}, "cross-encoder"), "cross-encoder", initialise_seed=0
    )
    capsys.readouterr()
    assert own.computable("bf16", "auto", autocast=not autocast) == "bf16"
    assert capsys.readouterr().err == ""
    assert own.computable("bf16", "auto", autocast=autocast) == "fp32"
    assert capsys.readouterr().err.startswith(f"computing in fp32: a {family} model cannot in bf16 (")
    with pytest.raises(
        InputError, match=f"^a {family} model cannot compute in bf16 .*: set training.precision to auto$"
    ):
        own.computable("bf16", "bf16", autocast=autocast)
    monkeypatch.setattr(processor, "multiplies_bf16", lambda: True)
    monkeypatch.setattr(devices, "BF16_PAYS", 0)
    low = for_inference(own, "auto", torch.device("cpu"))
    assert settled["products"] == ("torch, in bf16" if autocast else arithmetic.FP32_PRODUCTS)
    assert torch.equal(low(ragged), own(ragged)) != autocast
    # It says nothing of what fails in fp32 too.
    monkeypatch.setattr(own.library, "forward", lambda **inputs: 1 / 0)
    assert own.computable("bf16", "auto", autocast=autocast) == "bf16"


# Families whose dropouts lie in their modules, in their configuration alone, or in both; and whose position tables have
# rows for padding, further rows, or are none.
SHAPES = {
    "electra": {},
    "roberta": {"pad_token_id": 2},
    "deberta-v2": {},
    "distilbert": {},
    "flaubert": {},
    "ibert": {"pad_token_id": 1},
    "longformer": {"attention_window": 8, "pad_token_id": 1},
    "camembert": {"pad_token_id": 1},
    "modernbert": {"pad_token_id": 0},
    "mpnet": {"pad_token_id": 1},
    "xlm-roberta": {"pad_token_id": 3},
}
ROOM = {"roberta": 37, "ibert": 38, "longformer": 38, "camembert": 38, "mpnet": 38, "xlm-roberta": 36}


@pytest.mark.parametrize("family", SHAPES)
def test_every_family_trains_at_its_whole_length_with_the_dropout_that_is_set(family, saved):
    config = SMALL | {"model_type": family} | SHAPES[family]
    folder = saved(config, "cross-encoder")
    described = json.loads((folder / "config.json").read_text())
    names = [name for name in described if "drop" in name]  # FlauBERT's layerdrop too
    # A half of everything is dropped where the setting does not replace it.
    (folder / "config.json").write_text(json.dumps(described | dict.fromkeys(names, 0.5)))
    still, half = (
        rankers.load_ranker(folder, "cross-encoder", initialise_seed=0, dropout=value).train() for value in (0.0, None)
    )
    assert still.longest == half.longest == ROOM.get(family, 40)
    lengths = np.array([still.longest, 3, still.longest])
    ids = np.random.default_rng(0).integers(5, 120, lengths.sum()).astype(np.int32)
    exact = Sequences(ids, ids * 0, lengths)
    output = still(exact)
    output.sum().backward()
    assert torch.isfinite(next(still.parameters()).grad).all()
    gradients = {name: weight.grad.clone() for name, weight in still.named_parameters() if weight.grad is not None}
    still.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):  # as a CPU that multiplies bf16 trains
        still(exact).sum().backward()
    near = {name: weight.grad for name, weight in still.named_parameters() if weight.grad is not None}
    assert near.keys() == gradients.keys() and {each.dtype for each in near.values()} == {torch.float32}
    both = torch.stack([torch.cat([each.flatten() for each in of.values()]) for of in (near, gradients)])
    assert torch.corrcoef(both)[0, 1] > 0.8  # rounding takes some of DistilBERT's ReLUs over their kink
    torch.testing.assert_close(output, still.eval()(exact))
    assert not torch.allclose(half(exact), output)
    # What is saved keeps the dropouts that came with it.
    assert {name: still.config[name] for name in names} == dict.fromkeys(names, 0.5)
    with pytest.raises(InputError, match=f"a sequence of {still.longest + 1} tokens does not fit"):
        still(Sequences(ids[: still.longest + 1], ids[: still.longest + 1] * 0, np.array([still.longest + 1])))
