"""Tokenizers built from a collection's own text, for backbones trained from scratch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.models.model_folders import write_json
from workflow_scripts.models.tokenizer import SETTINGS, TOKENIZER
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
KINDS = ("words", "wordpiece")


def build_tokenizer(texts: Sequence[str], *, kind: str, size: int) -> Tokenizer:
    """A lower-casing BERT tokenizer of at most ``size`` entries, the five special ones included.

    ``words``: one entry a word, the most frequent first, ties by the word. ``wordpiece``: learnt by merging.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    if kind not in KINDS:
        raise InputError(f"there is no vocabulary kind {kind!r}: use {' or '.join(KINDS)}")
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    ordered = sorted(words, key=lambda word: (-words[word], word))
    if kind == "words":
        entries = [*SPECIAL, *ordered[: size - len(SPECIAL)]]
        model = models.WordLevel({word: row for row, word in enumerate(entries)}, unk_token="[UNK]")
    else:
        model = models.WordPiece(_wordpieces(words, ordered, size), unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, positions: int) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``; ``positions``: the longest sequence the model takes."""
    tokenizer.save(str(folder / TOKENIZER))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    } | {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    write_json(folder / SETTINGS, config)


def _wordpieces(words: Counter[str], ordered: Sequence[str], size: int) -> dict[str, int]:
    """Learn a WordPiece vocabulary: byte-pair merges of the most frequent pair of pieces, counted by word."""
    from tokenizers import Tokenizer, models, trainers

    # The trainer numbers inner characters as a hash table yields them and breaks ties by number, so that no two runs
    # agree. Listed beforehand their numbers are given.
    inner = sorted({f"##{character}" for word in ordered for character in word[1:]})
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[*SPECIAL, *inner], show_progress=False, continuing_subword_prefix="##"
    )
    # Without a pre-tokenizer each text is one word: repetition is its count.
    learner.train_from_iterator((word for word in ordered for _ in range(words[word])), trainer)
    return learner.get_vocab()


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> list[np.ndarray]:
    """Token ids of each text, int32, without special tokens, cut after ``max_tokens``."""
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [np.asarray(encoding.ids[:max_tokens], dtype=np.int32) for encoding in encodings]
