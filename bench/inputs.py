"""What every method of the comparison reads: texts, pairs, groups and two models, as files in one folder.

``texts.json``: queries and documents ([id, text] sorted by id), pairs and groups by row, the teacher's scores.
``cross/`` and ``bi/``: Hugging Face folders of a cross-encoder and a bi-encoder with random weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed

VOCABULARY = 30522
TOKENIZER = 8000  # entries that are learnt; the embedding table has BERT's size all the same
WORDS = 20000
QUERY = (4, 12)  # shortest and longest query in tokens
# Log-normal document lengths that give pairs of 82 tokens on average and 143 at the 95th percentile.
MEDIAN, SPREAD, SHORTEST, LONGEST = 65.6, 0.43, 12, 200
GROUP = 16
BATCH_GROUPS = 4


@dataclass(frozen=True)
class Shape:
    """An encoder's sizes and how much of it one round measures."""

    layers: int
    hidden: int
    heads: int
    feed_forward: int
    pairs: int
    steps: int
    vocabulary: int = VOCABULARY

    @property
    def name(self) -> str:
        return f"{self.layers} layers/{self.hidden}"

    def config(self) -> dict:
        """The BERT configuration, with the usual dropout of 0.1."""
        return {
            "model_type": "bert",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.feed_forward,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            # Every layer keeps its input's scale, so that scores differ between pairs and equality means something.
            "initializer_range": self.hidden**-0.5,
            "pad_token_id": 0,
        }


SHAPES = {
    "4x256": Shape(4, 256, 4, 1024, pairs=512, steps=4),
    "12x768": Shape(12, 768, 12, 3072, pairs=128, steps=1),
    "2x32": Shape(2, 32, 2, 64, pairs=48, steps=1),  # for the tests
}


def make_inputs(folder: str | Path, shape: Shape, *, seed: int = 0) -> None:
    """Write models and, last, texts into ``folder``. Every document stands in one pair and group, so none is cached."""
    from workflow_scripts.backbone.vocabulary import build_tokenizer, save_tokenizer
    from workflow_scripts.models.rankers import new_ranker, save_ranker

    folder = Path(folder)
    draw = np.random.default_rng(derive_seed(seed, "bench", shape.name))
    words = _make_words(draw)
    weights = 1 / np.arange(3, WORDS + 3)
    weights /= weights.sum()
    sample = [" ".join(row) for row in draw.choice(words, (400, 100), p=weights)]
    tokenizer = build_tokenizer([" ".join(words), *sample], kind="wordpiece", size=TOKENIZER)
    number = max(shape.pairs, shape.steps * BATCH_GROUPS * GROUP)
    sizes = np.exp(draw.normal(np.log(MEDIAN), SPREAD, number)).round().clip(SHORTEST, LONGEST).astype(int)
    documents = _make_texts(draw, tokenizer, words, weights, sizes)
    queries = _make_texts(draw, tokenizer, words, weights, draw.integers(QUERY[0], QUERY[1] + 1, -(-number // GROUP)))
    groups = np.arange(shape.steps * BATCH_GROUPS * GROUP).reshape(-1, GROUP)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer_folder = folder / "tokenizer"
    tokenizer_folder.mkdir(exist_ok=True)
    save_tokenizer(tokenizer, tokenizer_folder, positions=512)
    for name, architecture in (("cross", "cross-encoder"), ("bi", "bi-encoder")):
        model = new_ranker(shape.config(), architecture, initialise_seed=derive_seed(seed, "bench", "weights"))
        if architecture == "bi-encoder":
            # Dot products of as many features would saturate the softmax: gradients would tell rounding, not equality.
            model.encoder.encoder.layer[-1].output.LayerNorm.weight.data.mul_(shape.hidden**-0.25)
        save_ranker(model, folder / name, tokenizer_folder)
    texts = {
        "queries": [[f"q{row:07d}", text] for row, text in enumerate(queries)],
        "documents": [[f"d{row:07d}", text] for row, text in enumerate(documents)],
        "pairs": [[row // GROUP, row] for row in draw.permutation(shape.pairs).tolist()],
        "groups": [[int(row[0]) // GROUP, row.tolist()] for row in groups],
        "teacher": draw.normal(0, 3, groups.shape).round(4).tolist(),
    }
    with atomic_path(folder / "texts.json") as part:
        part.write_text(json.dumps(texts))


def read_texts(folder: str | Path) -> dict:
    """``texts.json`` as it was written."""
    return json.loads((Path(folder) / "texts.json").read_text())


def read_shape(folder: str | Path) -> Shape:
    """The sizes of the folder's models; pairs and steps are those of its texts."""
    config = json.loads((Path(folder) / "cross/config.json").read_text())
    texts = read_texts(folder)
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
    sizes = [config[name] for name in names]
    return Shape(*sizes, pairs=len(texts["pairs"]), steps=len(texts["groups"]) // BATCH_GROUPS)


def choose_shapes(names: list[str]) -> list[Shape]:
    """Shapes by name; :class:`InputError` for an unknown one."""
    for name in names:
        if name not in SHAPES:
            raise InputError(f"there is no shape {name!r}: choose {', '.join(SHAPES)}")
    return [SHAPES[name] for name in names]


def _make_words(draw: np.random.Generator) -> np.ndarray:
    """Distinct words of two to four syllables, the shorter ones first, as frequent words are."""
    found: dict[str, None] = {}
    consonants, vowels = list("bcdfghklmnprstvwz"), list("aeiou")
    while len(found) < WORDS:
        syllables = 2 + (len(found) > WORDS // 20) + (len(found) > WORDS // 3)
        found["".join(draw.choice(consonants) + draw.choice(vowels) for _ in range(syllables))] = None
    return np.array(list(found), dtype=object)


def _make_texts(
    draw: np.random.Generator, tokenizer: object, words: np.ndarray, weights: np.ndarray, sizes: np.ndarray
) -> list[str]:
    """Texts of about as many tokens as ``sizes`` says, at most a word over it and never above the longest."""
    pieces = np.array([len(encoding) for encoding in _encode(tokenizer, words)])
    texts = []
    for size in sizes:
        rows = draw.choice(len(words), size, p=weights)
        kept = max(1, int(np.searchsorted(np.cumsum(pieces[rows]), size, side="right")))
        texts.append(" ".join(words[rows[:kept]]))
    return texts


def _encode(tokenizer: object, texts: np.ndarray) -> list:
    return tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
