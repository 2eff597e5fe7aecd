"""Tokenizers built from a collection's own text, for backbones trained from scratch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.storage.artifacts import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
KINDS = ("words", "wordpiece")


def build_tokenizer(texts: Sequence[str], *, kind: str, size: int, positions: int) -> PreTrainedTokenizerBase:
    """A lower-casing BERT tokenizer of at most ``size`` entries, the five special ones included.

    ``words``: one entry a word, the most frequent first, ties by the word. ``wordpiece``: learnt by merging.
    ``positions``: the longest sequence that the backbone takes.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

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
        tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(entries)}, unk_token="[UNK]"))
    else:
        vocabulary = _wordpieces(words, ordered, size)
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=positions,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _wordpieces(words: Counter[str], ordered: Sequence[str], size: int) -> dict[str, int]:
    """Learn a WordPiece vocabulary; the words come sorted, so that the same text gives the same pieces."""
    from tokenizers import Tokenizer, models, trainers

    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=SPECIAL, show_progress=False, continuing_subword_prefix="##"
    )
    # Without a pre-tokenizer each text is one word: counts weigh by repetition.
    learner.train_from_iterator((word for word in ordered for _ in range(words[word])), trainer)
    return learner.get_vocab()


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int) -> list[np.ndarray]:
    """Token ids of each text, int32, without special tokens, cut after ``max_tokens``."""
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [np.asarray(encoding.ids[:max_tokens], dtype=np.int32) for encoding in encodings]
