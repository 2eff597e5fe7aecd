"""A small BERT from scratch: embeddings from co-occurrence, then one short pretraining on the collection's own text.

A randomly initialised cross-encoder stays at chance for hundreds of steps, since attention must first discover that equal
and related tokens belong together. So word vectors come from the corpus' co-occurrence counts, the first layer attends by
their similarity from the start, and the pretraining's second task is a query's: does this handful of words belong to
that text?
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from workflow_scripts.ranking.optimiser import build_optimiser, learning_rate_at, set_learning_rate
from workflow_scripts.storage.artifacts import InputError, derive_seed

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification, PreTrainedTokenizerBase

MASKED = 0.15
IGNORE = -100


def cooccurrence_vectors(texts: Sequence[np.ndarray], *, vocabulary: int, size: int, seed: int) -> np.ndarray:
    """Word vectors (vocabulary, size), unit length: truncated SVD of the positive PMI of words sharing a text.

    ``PPMI_ij = max(0, log(n_ij n / (n_i n_j)))`` with n_ij the texts that hold both words, n_i = sum_j n_ij (Levy and
    Goldberg, 2014); rows are ``U sqrt(S)``. A word of no text gets a random direction. Memory: one sparse
    vocabulary x vocabulary matrix.
    """
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.linalg import svds

    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    columns = np.concatenate(texts)
    presence = csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(len(texts), vocabulary))
    presence.data[:] = 1  # (texts, vocabulary), a word once a text
    counts = (presence.T @ presence).tocsr()
    counts = (counts - diags(counts.diagonal())).tocoo()  # a word is no context of its own
    marginal = np.asarray(counts.sum(axis=1)).ravel().astype(np.float64)
    with np.errstate(divide="ignore"):
        pmi = np.log(counts.data * marginal.sum() / (marginal[counts.row] * marginal[counts.col]))
    kept = pmi > 0
    ppmi = csr_matrix((pmi[kept], (counts.row[kept], counts.col[kept])), shape=(vocabulary, vocabulary))
    generator = np.random.default_rng(derive_seed(seed, "word-vectors"))
    vectors = generator.normal(scale=1e-3, size=(vocabulary, size))
    rank = min(size, vocabulary - 1)
    left, strength, _ = svds(ppmi, k=rank, v0=generator.normal(size=vocabulary))
    vectors[:, :rank] += left * np.sqrt(strength)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def build_backbone(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[np.ndarray], architecture: Mapping, seed: int
) -> BertForSequenceClassification:
    """A BERT with one output, word vectors from ``texts`` and a first layer that attends by similarity."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=architecture["hidden"],
        num_hidden_layers=architecture["layers"],
        num_attention_heads=architecture["heads"],
        intermediate_size=architecture["feed_forward"],
        max_position_embeddings=architecture["positions"],
        hidden_dropout_prob=architecture["dropout"],
        attention_probs_dropout_prob=architecture["dropout"],
        pad_token_id=tokenizer.pad_token_id,
        num_labels=1,
    )
    torch.manual_seed(derive_seed(seed, "weights"))
    model = BertForSequenceClassification(config)
    vectors = cooccurrence_vectors(texts, vocabulary=len(tokenizer), size=config.hidden_size, seed=seed)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(torch.from_numpy(vectors))
        attention = model.bert.encoder.layer[0].attention.self
        for projection in (attention.query, attention.key):
            # Identity plus the usual noise: a token attends to its like before anything is learnt.
            projection.weight.add_(torch.eye(config.hidden_size))
    return model


class MaskedLanguageHead(nn.Module):
    """BERT's masked-token head: a transformed state against the word embeddings, computed where it is asked for only."""

    def __init__(self, model: BertForSequenceClassification) -> None:
        super().__init__()
        size = model.config.hidden_size
        self.transform = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.LayerNorm(size))
        self.bias = nn.Parameter(torch.zeros(model.config.vocab_size))

    def forward(self, states: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Logits (masked tokens, vocabulary) of states (masked tokens, hidden)."""
        return functional.linear(self.transform(states), embeddings, self.bias)


class PretrainingBatches:
    """Batches of (words of a text, text) pairs, half of them with another text; batch ``step`` depends on it alone."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[np.ndarray], *, batch: int, removal: float, seed: int
    ) -> None:
        self.cls, self.sep, self.pad, self.mask = (
            tokenizer.cls_token_id,
            tokenizer.sep_token_id,
            tokenizer.pad_token_id,
            tokenizer.mask_token_id,
        )
        self.vocabulary = len(tokenizer)
        self.special = max(tokenizer.all_special_ids) + 1
        self.texts, self.pairs, self.removal, self.seed = texts, batch // 2, removal, seed
        presence = np.bincount(np.concatenate([np.unique(text) for text in texts]), minlength=self.vocabulary)
        self.rarity = np.log((len(texts) + 1) / (presence + 0.5)).clip(min=1e-3)  # inverse document frequency
        self.rarity[tokenizer.unk_token_id] = 1e-3

    def __call__(self, step: int) -> dict[str, torch.Tensor]:
        """input_ids, token_type_ids, attention_mask, masked_labels: (pairs * 2, length); belongs: (pairs * 2,)."""
        generator = np.random.default_rng(derive_seed(self.seed, "pretraining", step))
        chosen = generator.choice(len(self.texts), size=self.pairs, replace=False)
        rows, belongs = [], []
        for place, number in enumerate(chosen):
            words = self._words(self.texts[number], generator)
            # Another text of the batch: each text is seen once with its own words and once with another's.
            other = self.texts[chosen[(place + 1) % self.pairs]]
            rows += [(words, self._without(self.texts[number], words, generator)), (words, other)]
            belongs += [1.0, 0.0]
        return self._collate(rows, generator) | {"belongs": torch.tensor(belongs)}

    def _words(self, text: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """2 to 4 different words of a text, drawn without replacement in proportion to their rarity."""
        words = np.unique(text)
        count = min(int(generator.integers(2, 5)), len(words))
        weight = self.rarity[words]
        return generator.choice(words, size=count, replace=False, p=weight / weight.sum())

    def _without(self, text: np.ndarray, words: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The text, each drawn word taken out of it with the chance ``removal``: what is left must tell by meaning."""
        left = text[~np.isin(text, words[generator.random(len(words)) < self.removal])]
        return left if len(left) else text

    def _collate(self, rows: list, generator: np.random.Generator) -> dict[str, torch.Tensor]:
        lengths = np.array([len(words) + len(text) + 3 for words, text in rows])
        shape = (len(rows), int(lengths.max()))
        ids = np.full(shape, self.pad, dtype=np.int64)
        types = np.zeros(shape, dtype=np.int64)
        for row, (words, text) in enumerate(rows):
            ids[row, : lengths[row]] = np.concatenate([[self.cls], words, [self.sep], text, [self.sep]])
            types[row, len(words) + 2 : lengths[row]] = 1
        labels = np.full(shape, IGNORE, dtype=np.int64)
        masked = (generator.random(shape) < MASKED) & (ids >= self.special) & (types == 1)
        labels[masked] = ids[masked]
        # Devlin et al. (2019): of the masked tokens 80% [MASK], 10% a random token, 10% left as they are.
        fate = generator.random(shape)
        ids[masked & (fate < 0.8)] = self.mask
        random = masked & (fate >= 0.9)
        ids[random] = generator.integers(self.special, self.vocabulary, size=int(random.sum()))
        attention = np.arange(shape[1]) < lengths[:, None]
        arrays = {"input_ids": ids, "token_type_ids": types, "attention_mask": attention, "masked_labels": labels}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def pretrain(
    model: BertForSequenceClassification,
    batches: PretrainingBatches,
    *,
    steps: int,
    learning_rate: float,
    mlm_weight: float,
    warmup: float,
    weight_decay: float,
    device: str,
) -> list[tuple[float, float]]:
    """Train ``model`` in place; returns (masked-token loss, next-segment loss) by step.

    Loss: ``mlm_weight * masked-token cross-entropy + binary cross-entropy of "the words belong to the text"``. The one
    output of the model is the second task's logit, so a cross-encoder starts from it. Bound by the encoder's products.
    """
    torch.manual_seed(derive_seed(batches.seed, "heads"))
    head = MaskedLanguageHead(model).to(device)
    model.to(device).train()
    both = nn.ModuleList([model, head])
    optimiser = build_optimiser(both, learning_rate=learning_rate, weight_decay=weight_decay)
    losses, said = [], time.monotonic()
    for step in range(steps):
        set_learning_rate(optimiser, learning_rate_at(step, steps=steps, peak=learning_rate, warmup=warmup))
        torch.manual_seed(derive_seed(batches.seed, "dropout", step))
        batch = {name: value.to(device) for name, value in batches(step).items()}
        masked, belongs = _losses(model, head, batch)
        optimiser.zero_grad(set_to_none=True)
        (mlm_weight * masked + belongs).backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimiser.step()
        losses.append((masked.item(), belongs.item()))
        if not np.isfinite(losses[-1]).all():
            raise InputError(f"the pretraining loss is not finite at step {step + 1}: lower its learning rate")
        if time.monotonic() - said > 10 or step + 1 == steps:
            said = time.monotonic()
            recent = np.mean(losses[-50:], axis=0)
            print(
                f"step {step + 1}/{steps}: masked tokens {recent[0]:.3f}, next segment {recent[1]:.3f}", file=sys.stderr
            )
    return losses


def _losses(
    model: BertForSequenceClassification, head: MaskedLanguageHead, batch: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    outputs = model.bert(
        batch["input_ids"], attention_mask=batch["attention_mask"], token_type_ids=batch["token_type_ids"]
    )
    asked = batch["masked_labels"] != IGNORE
    logits = head(outputs.last_hidden_state[asked], model.bert.embeddings.word_embeddings.weight)
    masked = functional.cross_entropy(logits, batch["masked_labels"][asked])
    belongs = model.classifier(model.dropout(outputs.pooler_output)).squeeze(1)
    return masked, functional.binary_cross_entropy_with_logits(belongs, batch["belongs"])
