"""Fetched backbones make the tokens of transformers' AutoTokenizer, in token stores and when saved, or are refused."""

import json
import re

import numpy as np
import pytest
import torch
import transformers
from factories import scratch_spec, write_collection, write_corpus
from safetensors.torch import load_file, save_file
from scored_world import tokenise
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.backbone.pretrain_backbone import pretrain_backbone
from workflow_scripts.backbone.tokenise_queries import tokenise_queries
from workflow_scripts.models.model_folders import copy_tokenizer
from workflow_scripts.models.token_store import TokenStore, pair_sequences, single_sequences
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

WORDS = "wing lift drag flow heat shock plate cone nozzle jet boundary layer Wing école"
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
NAMED = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), BERT, strict=True))
GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast"}
QUERIES = {"q1": "Wing FLOW", "q2": "École lift 中文", "q3": "XY-1 and [Q] 😀", "q4": "shock's 12,5"}
DOCUMENTS = {
    "d1": "lift, DRAG and école's heat",
    "d2": "[SEP] jet <mask> nozzle </s> XY-1",
    "d3": "中文 cone 😀 ﬁne \x01 1.5",
    "d4": "",
}


def learn(model, trainer, special, *, pre_tokenizer, normalizer=None, **options):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainer(vocab_size=300, special_tokens=special, show_progress=False, **options)
    tokenizer.train_from_iterator([WORDS, "abcdefghijklmnopqrstuvwxyz 0123456789 .,;:-'[]</>"] * 3, trainer)
    return tokenizer


def wordpiece(lower=True, *added, template=("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")):
    tokenizer = learn(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer,
        BERT,
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        normalizer=normalizers.BertNormalizer(lowercase=lower),
    )
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(*template, special_tokens=special)
    tokenizer.add_tokens(list(added))
    return tokenizer


def bytes_pairs():
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = {"initial_alphabet": level.alphabet()}
    tokenizer = learn(models.BPE(), trainers.BpeTrainer, ROBERTA, pre_tokenizer=level, **alphabet)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def sentence_pieces(unigram=True):
    kinds = (
        (models.Unigram(), trainers.UnigramTrainer) if unigram else (models.BPE(unk_token="<unk>"), trainers.BpeTrainer)
    )
    options = {"unk_token": "<unk>"} if unigram else {}
    pieces = pre_tokenizers.Metaspace()
    tokenizer = learn(*kinds, ROBERTA, pre_tokenizer=pieces, normalizer=normalizers.NFKC(), **options)
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def limited():
    tokenizer = wordpiece()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=8)
    return tokenizer


def save(folder, family, tokenizer, settings=None, special=None, **changes):
    """A random model folder with the tokenizer's own tokenizer.json beside ``settings`` and special_tokens_map.json."""
    roberta = family in ("roberta", "xlm-roberta", "camembert", "mpnet")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 42}
    shape |= {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 1 if roberta else 0, "intermediate_size": 16}
    shape |= {"type_vocab_size": 1} if roberta else {}
    config = transformers.AutoConfig.for_model(family, **shape | changes)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in (("tokenizer_config", settings), ("special_tokens_map", special)):
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


ONE_WORD = AddedToken("XY-1", lstrip=True, single_word=True, normalized=False)
ACCEPTED = {
    # What says that a model is cased, or keeps accents, is not tokenizer.json.
    "a cased file, an uncased family": ("bert", lambda: wordpiece(False), None),
    "a lower-casing file, cased settings": ("bert", wordpiece, {"do_lower_case": False}),
    "accents kept": ("bert", wordpiece, {"strip_accents": False, "tokenize_chinese_chars": False}),
    "cased distilbert": ("distilbert", wordpiece, {"do_lower_case": False}),
    "electra without settings": ("electra", wordpiece, None),
    "the file as it is": ("bert", lambda: wordpiece(False), GENERIC | NAMED),
    "a file that cuts and pads": ("bert", limited, GENERIC | NAMED),
    "added tokens": ("bert", lambda: wordpiece(True, ONE_WORD), None),
    "tokens added by settings": ("bert", wordpiece, {"additional_special_tokens": ["[Q]"]}, {"vocab_size": 400}),
    "segments of one number": (
        "bert", lambda: wordpiece(template=("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]")), GENERIC | NAMED
    ),
    "albert": ("albert", wordpiece, GENERIC | NAMED),
    "deberta": ("deberta-v2", wordpiece, GENERIC | NAMED),
    "modernbert": ("modernbert", wordpiece, GENERIC | NAMED),
    # As the hub ships them: no name of a special token anywhere.
    "roberta, bare": ("roberta", bytes_pairs, {"model_max_length": 64}),
    "roberta, no settings": ("roberta", bytes_pairs, None),
    "roberta, blank in front": ("roberta", bytes_pairs, {"add_prefix_space": True}),
    "xlm-roberta, bare": ("xlm-roberta", sentence_pieces, {"model_max_length": 64}),
    "xlm-roberta of merges": ("xlm-roberta", lambda: sentence_pieces(False), GENERIC | {"cls_token": "<s>"}),
    "camembert, bare": ("camembert", sentence_pieces, {"model_max_length": 64}),
    "mpnet": ("mpnet", bytes_pairs, GENERIC | {"mask_token": "<mask>"}),
}  # fmt: skip


def joined(lists):
    return [number for each in lists for number in each]


@pytest.mark.parametrize("case", ACCEPTED)
def test_tokens_are_the_library_s_in_stores_and_in_what_is_saved(case, tmp_path):
    family, tokenizer, settings, *changes = ACCEPTED[case]
    source = save(tmp_path / "source", family, tokenizer(), settings, **(changes[0] if changes else {}))
    backbone = tmp_path / "backbone" / "manifest.json"
    fetch_backbone({"source": str(source)}, backbone)
    write_corpus(tmp_path / "corpus", DOCUMENTS)
    write_collection(tmp_path / "collection", QUERIES)
    queries, documents = map(TokenStore, tokenise(tmp_path, backbone.parent, query_tokens=30, document_tokens=50))
    rows = np.repeat(np.arange(len(QUERIES)), len(DOCUMENTS)), np.tile(np.arange(len(DOCUMENTS)), len(QUERIES))
    pairs, single = (
        pair_sequences(queries, rows[0], documents, rows[1], 99, 99),
        single_sequences(documents, rows[1], 99),
    )
    texts = [list(QUERIES.values())[row] for row in rows[0]], [list(DOCUMENTS.values())[row] for row in rows[1]]
    student = tmp_path / "student"
    student.mkdir()
    (student / "config.json").write_text((backbone.parent / "config.json").read_text())
    copy_tokenizer(backbone.parent, student)
    for folder in (source, student):
        library = transformers.AutoTokenizer.from_pretrained(folder)
        expected = library(*texts, return_token_type_ids=True, verbose=False)
        assert pairs.input_ids.tolist() == joined(expected["input_ids"]), folder
        assert pairs.token_type_ids.tolist() == joined(expected["token_type_ids"]), folder
        assert single.input_ids.tolist() == joined(library(texts[1], verbose=False)["input_ids"]), folder
    queries.check_vocabulary(student)
    # A cross-encoder reads segments: the saved tokenizer gives them without being asked.
    segments = json.loads((source / "config.json").read_text()).get("type_vocab_size", 0) > 1
    assert ("token_type_ids" in library("a", "b")) == (segments and family != "distilbert")


WORDPIECES = wordpiece().get_vocab_size()
REFUSED = {
    "an added token": ("bert", lambda: wordpiece(True, "xy"), GENERIC | NAMED, {"vocab_size": WORDPIECES}, "'xy' is"),
    "a word": ("bert", wordpiece, None, {"vocab_size": 50}, "tokens without an embedding"),
    "a token of the settings": (
        "bert", wordpiece, {"additional_special_tokens": ["[Q]"]}, {}, r"'\[Q\]' is number \d+, the model has \d+ embed"
    ),
    "special tokens of the family": ("mpnet", wordpiece, None, {}, "'</?[a-z]+>' is number"),
    "no [CLS]": (
        "bert", lambda: wordpiece(template=("$A [SEP]", "$A [SEP] $B [SEP]")), GENERIC, {}, "does not put texts"
    ),
    "[CLS] at the end": (
        "bert",
        lambda: wordpiece(template=("$A [SEP] [CLS]", "$A [SEP] $B [SEP] [CLS]")),
        GENERIC,
        {},
        r"does not put texts as \[CLS\] x \[SEP\]",
    ),
    "special tokens as text": (
        "bert", wordpiece, GENERIC | NAMED | {"split_special_tokens": True}, {}, "transformers makes the tokens"
    ),
    "code": ("bert", wordpiece, {"auto_map": {"AutoTokenizer": ["own.Own", None]}}, {}, "asks to run code"),
    "another kind": ("bert", wordpiece, {"tokenizer_class": "BertJapaneseTokenizer"}, {}, "its tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_tokenizer_that_cannot_be_the_library_s_is_refused_in_one_line(case, tmp_path):
    family, tokenizer, settings, changes, message = REFUSED[case]
    tokenizer = tokenizer()
    source = save(tmp_path / "source", family, tokenizer, settings, **changes)
    with pytest.raises(InputError, match=message) as caught:
        fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")
    assert "\n" not in str(caught.value) and str(source) in str(caught.value)
    assert not (tmp_path / "backbone/manifest.json").exists()


@pytest.mark.parametrize("family", ["convbert", "fnet", "nystromformer", "yoso"])
def test_an_encoder_whose_vectors_depend_on_padding_is_refused(family, tmp_path):
    torch.manual_seed(0)
    shape = {"num_hidden_layers": 3, "initializer_range": 0.3}
    source = save(tmp_path / "source", family, wordpiece(), GENERIC | NAMED, **shape)
    message = f"{source}: a text's vector depends on the padding beside it; choose another encoder"
    with pytest.raises(InputError, match=re.escape(message)):
        fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_vocabulary_alone_is_the_library_s_to_make_a_tokenizer_of(family, tmp_path):
    tokenizer = wordpiece() if family == "bert" else bytes_pairs()
    source = save(tmp_path / "source", family, tokenizer, {"do_lower_case": False})
    (source / "tokenizer.json").unlink()
    tokenizer.model.save(str(source))
    fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")
    library, saved = map(transformers.AutoTokenizer.from_pretrained, (source, tmp_path / "backbone"))
    for text in DOCUMENTS.values():
        assert library(text, text)["input_ids"] == saved(text, text)["input_ids"]
    assert sorted(path.name for path in (tmp_path / "backbone").glob("[!.]*")) == [
        "config.json", "manifest.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    ]  # fmt: skip


def test_names_only_in_special_tokens_map(tmp_path):
    source = save(tmp_path / "source", "bert", wordpiece(), GENERIC, NAMED)
    fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "backbone").mask_token == "[MASK]"


def test_files_that_are_broken_are_named(tmp_path):
    source = save(tmp_path / "source", "bert", wordpiece(), GENERIC | NAMED)
    good = {path.name: path.read_bytes() for path in source.iterdir()}
    for name, content in [
        ("tokenizer.json", b'{"version": "1.0"}'),
        ("tokenizer.json", b"\xff\x00"),
        ("tokenizer_config.json", b"["),
        ("tokenizer_config.json", b"[" * 100_000),
        ("config.json", b"\xff{}"),
        ("config.json", b"[]"),
        ("model.safetensors", good["model.safetensors"][:100]),
        ("model.safetensors", b""),
    ]:
        (source / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")
        assert "\n" not in str(caught.value) and str(source) in str(caught.value), name
        assert ".partial" not in str(caught.value)
        (source / name).write_bytes(good[name])
    fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("family", "weight"), [("bert", "embeddings.word_embeddings"), ("modernbert", "layers.0.mlp.Wo")]
)
def test_weights_that_are_no_numbers_are_refused(family, weight, value, tmp_path):
    """One row of one weight: most texts do not meet it, a training does."""
    source = save(tmp_path / "source", family, wordpiece(), GENERIC | NAMED)
    weights = load_file(source / "model.safetensors")
    weights[f"{weight}.weight"][7] = value
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"source: weight {weight}.weight holds NaN or infinity: fetch or save"):
        fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")


@pytest.mark.parametrize(
    ("family", "change"),
    [("roberta", {"pad_token_id": 42}), ("modernbert", {"max_position_embeddings": -5})],
)
def test_positions_without_room_are_said_in_one_line(family, change, tmp_path):
    source = save(tmp_path / "source", family, bytes_pairs() if family == "roberta" else wordpiece(), GENERIC | NAMED)
    described = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(described | change))
    with pytest.raises(
        InputError, match=r"source: its positions have no room for 4 tokens: mend config.json"
    ) as caught:
        fetch_backbone({"source": str(source)}, tmp_path / "backbone/manifest.json")
    assert "\n" not in str(caught.value)


def test_another_tokenizer_of_the_same_vocabulary_is_refused(tmp_path):
    collection, corpus = (
        write_collection(tmp_path / "asked", {"q": "lift"}),
        write_corpus(tmp_path / "texts", {"d": "lift"}),
    )
    for name, settings in (("lower", None), ("cased", {"do_lower_case": False})):
        source = save(tmp_path / f"{name}-source", "bert", wordpiece(), settings)
        fetch_backbone({"source": str(source)}, tmp_path / name / "manifest.json")
    output = tmp_path / "tokens/manifest.json"
    tokenise_queries({"max_tokens": 9}, tmp_path / "lower/manifest.json", collection, output)
    TokenStore(output).check_vocabulary(tmp_path / "lower")
    with pytest.raises(InputError, match=r"cased has another vocabulary .* or treats text otherwise"):
        TokenStore(output).check_vocabulary(tmp_path / "cased")
    # Found when the second is fetched, or before it is pretrained, not by the student that is to learn from it.
    lower = tmp_path / "lower/manifest.json"
    fetch_backbone({"source": str(tmp_path / "lower-source")}, tmp_path / "same/manifest.json", first=[lower])
    assert Artifact(tmp_path / "same/manifest.json").manifest["files"] == Artifact(lower).manifest["files"]
    message = "backbones.other.vocabulary: the tokenizer of lower, .* makes other tokens .* give other a vocabulary"
    made = {"output": tmp_path / "other/manifest.json", "first": [lower]}
    with pytest.raises(InputError, match=message):
        fetch_backbone({"source": str(tmp_path / "cased-source")}, **made)
    with pytest.raises(InputError, match=message):
        pretrain_backbone(corpora=[corpus], spec=scratch_spec(), **made)
