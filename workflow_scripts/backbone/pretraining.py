"""A small BERT from scratch: embeddings from co-occurrence, then one short pretraining on the collection's own text.

A randomly initialised cross-encoder stays at chance for hundreds of steps, since attention must first discover that
equal and related tokens belong together. So word vectors come from the corpus' co-occurrence counts, the first layer
attends by their similarity from the start, and the pretraining's second task is a query's: do these few words belong to
that text?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.backbone.vocabulary import SPECIAL
from workflow_scripts.models.optimiser import AdamW, learning_rate_at
from workflow_scripts.models.packed_encoder import pack
from workflow_scripts.models.rankers import CrossEncoder, new_ranker
from workflow_scripts.models.token_store import Sequences
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.seeds import derive_seed

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PAD, UNK, CLS, SEP, MASK = range(len(SPECIAL))
MASKED = 0.15
EASY = 0.5  # share of the steps until the full removal
WARMUP = 0.1
WEIGHT_DECAY = 0.01
OVERSAMPLING = 16
SUBSPACE_ITERATIONS = 6


def cooccurrence_vectors(texts: Sequence[np.ndarray], *, vocabulary: int, size: int, seed: int) -> np.ndarray:
    """Word vectors (vocabulary, size), unit length: truncated SVD of the positive PMI of words sharing a text.

    ``PPMI_ij = max(0, log(n_ij n / (n_i n_j)))`` with n_ij the texts that hold both words, n_i = sum_j n_ij (Levy and
    Goldberg, 2014); rows are ``U sqrt(S)``. A word of no text gets a random direction. Memory: one sparse
    vocabulary x vocabulary matrix.
    """
    from scipy.sparse import csr_matrix, diags

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
    entries = (pmi[kept].astype(np.float32), (counts.row[kept], counts.col[kept]))
    ppmi = csr_matrix(entries, shape=(vocabulary, vocabulary))
    generator = np.random.default_rng(derive_seed(seed, "word-vectors"))
    vectors = generator.normal(scale=1e-3, size=(vocabulary, size))
    rank = min(size, vocabulary)
    vectors[:, :rank] += _scaled_left_vectors(ppmi, rank, generator)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _scaled_left_vectors(matrix: csr_matrix, rank: int, generator: np.random.Generator) -> np.ndarray:
    """``U sqrt(S)`` of a symmetric matrix (n, n), (n, rank): randomised subspace iteration (Halko et al., 2011).

    A fixed number of products with the matrix, whatever its spectrum; word vectors need no more accuracy.
    """
    basis = generator.normal(size=(matrix.shape[0], min(rank + OVERSAMPLING, matrix.shape[0]))).astype(np.float32)
    for _ in range(SUBSPACE_ITERATIONS):
        basis, _ = np.linalg.qr(matrix @ basis)
    left, strength, _ = np.linalg.svd((matrix @ basis).T, full_matrices=False)
    return (basis @ left)[:, :rank] * np.sqrt(strength[:rank])


def build_backbone(texts: Sequence[np.ndarray], architecture: Mapping, *, vocabulary: int, seed: int) -> CrossEncoder:
    """A BERT with one output, word vectors from ``texts`` and a first layer that attends by similarity."""
    config = {
        "model_type": "bert",
        "vocab_size": vocabulary,
        "hidden_size": architecture["hidden"],
        "num_hidden_layers": architecture["layers"],
        "num_attention_heads": architecture["heads"],
        "intermediate_size": architecture["feed_forward"],
        "max_position_embeddings": architecture["positions"],
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "type_vocab_size": 2,
        "pad_token_id": PAD,
    }
    model = new_ranker(config, "cross-encoder", initialise_seed=seed)
    vectors = cooccurrence_vectors(texts, vocabulary=vocabulary, size=architecture["hidden"], seed=seed)
    with torch.no_grad():
        model.encoder.embeddings.word_embeddings.weight.copy_(torch.from_numpy(vectors))
        attention = model.encoder.encoder.layer[0].attention.self
        for projection in (attention.query, attention.key):
            # Identity plus the usual noise: a token attends to its like before anything is learnt.
            projection.weight.add_(torch.eye(architecture["hidden"]))
    return model


@dataclass(frozen=True)
class PretrainingBatch:
    """Pairs of a few words and a text, with some of the text's tokens masked.

    sequences  # [CLS] words [SEP] text [SEP]
    masked     # (masked tokens,) int64: where in the sequences' tokens they stand
    answers    # (masked tokens,) int64: what stood there
    belongs    # (sequences,) float32: 1 where the words are the text's
    """

    sequences: Sequences
    masked: Tensor
    answers: Tensor
    belongs: Tensor


class PretrainingBatches:
    """Batches of (words of a text, text) pairs, half of them with another text; batch ``step`` depends on it alone."""

    def __init__(
        self, texts: Sequence[np.ndarray], *, vocabulary: int, batch: int, removal: float, steps: int, seed: int
    ) -> None:
        self.texts, self.vocabulary, self.pairs, self.seed = texts, vocabulary, batch // 2, seed
        self.removal, self.removal_full_at = removal, EASY * steps
        self.words = [np.unique(text) for text in texts]
        presence = np.bincount(np.concatenate(self.words), minlength=vocabulary)
        self.rarity = np.log((len(texts) + 1) / (presence + 0.5)).clip(min=1e-3)  # inverse document frequency
        self.rarity[UNK] = 1e-3

    def __call__(self, step: int) -> PretrainingBatch:
        generator = np.random.default_rng(derive_seed(self.seed, "pretraining", step))
        chosen = generator.choice(len(self.texts), size=self.pairs, replace=False)
        removal = self.removal_at(step)
        pairs, belongs = [], []
        for place, number in enumerate(chosen):
            words = self._draw(number, generator)
            # Another text of the batch: each text is seen once with its own words and once with another's.
            pairs.append((words, _without(self.texts[number], words, removal, generator)))
            pairs.append((words, self.texts[chosen[(place + 1) % self.pairs]]))
            belongs += [1.0, 0.0]
        return self._mask(_join(pairs), torch.tensor(belongs), generator)

    def removal_at(self, step: int) -> float:
        """Chance that a drawn word is taken out of its own text: from 0 up to ``removal`` over the first half.

        Finding the same word in both segments is learnt first, and relatedness from there. With the full chance from
        the start, three of six runs on the demo's text stayed on a plateau through 500 steps; with this ramp none did.
        """
        return self.removal * min(1.0, step / self.removal_full_at) if self.removal_full_at else self.removal

    def _draw(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """2 to 4 different words of a text, drawn without replacement in proportion to their rarity."""
        words = self.words[number]
        weight = self.rarity[words]
        count = min(int(generator.integers(2, 5)), len(words))
        return generator.choice(words, size=count, replace=False, p=weight / weight.sum())

    def _mask(self, sequences: Sequences, belongs: Tensor, generator: np.random.Generator) -> PretrainingBatch:
        ids = sequences.input_ids
        asked = (generator.random(len(ids)) < MASKED) & (ids >= len(SPECIAL)) & (sequences.token_type_ids == 1)
        masked = np.flatnonzero(asked)
        answers = ids[masked].astype(np.int64)
        # Of the masked tokens 80% become [MASK], 10% a random token, 10% stay (Devlin et al., 2019).
        fate = generator.random(len(masked))
        ids[masked[fate < 0.8]] = MASK
        random = masked[fate >= 0.9]
        ids[random] = generator.integers(len(SPECIAL), self.vocabulary, size=len(random))
        return PretrainingBatch(sequences, torch.from_numpy(masked), torch.from_numpy(answers), belongs)


def _without(text: np.ndarray, words: np.ndarray, removal: float, generator: np.random.Generator) -> np.ndarray:
    """The text, each drawn word taken out of it with the chance ``removal``: what is left must tell by meaning."""
    left = text[~np.isin(text, words[generator.random(len(words)) < removal])]
    return left if len(left) else text


def _join(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Sequences:
    edge = np.array([[CLS], [SEP]], np.int32)
    parts = [part for words, text in pairs for part in (edge[0], words, edge[1], text, edge[1])]
    lengths = np.array([len(words) + len(text) + 3 for words, text in pairs], np.int64)
    first = np.array([len(words) + 2 for words, _ in pairs], np.int64)
    types = np.repeat(np.tile([0, 1], len(pairs)), np.stack([first, lengths - first], axis=1).ravel())
    return Sequences(np.concatenate(parts).astype(np.int32), types.astype(np.int32), lengths)


class MaskedTokenHead(nn.Module):
    """BERT's masked-token head: a transformed state against the word embeddings, computed only where it is asked."""

    def __init__(self, hidden: int, vocabulary: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Logits (masked tokens, vocabulary) of states (masked tokens, hidden)."""
        return functional.linear(self.transform(states), embeddings, self.bias)


def pretrain(
    model: CrossEncoder,
    batches: PretrainingBatches,
    *,
    steps: int,
    learning_rate: float,
    mlm_weight: float,
    device: str,
) -> list[tuple[float, float]]:
    """Train ``model`` in place; returns (masked-token loss, next-segment loss) by step.

    Loss: ``mlm_weight * masked-token cross-entropy + binary cross-entropy of "the words belong to the text"``. The
    model's one output is the second task's logit, so a cross-encoder starts from it. Bound by the encoder's products.
    """
    torch.manual_seed(derive_seed(batches.seed, "masked-token-head"))
    both = nn.ModuleList([model, MaskedTokenHead(model.shape.hidden, model.shape.vocabulary)]).to(device).train()
    optimiser = AdamW(both, weight_decay=WEIGHT_DECAY)
    losses, progress = [], Progress(steps, "steps")
    for step in range(steps):
        optimiser.learning_rate = learning_rate_at(step, steps=steps, peak=learning_rate, warmup=WARMUP)
        torch.manual_seed(derive_seed(batches.seed, "dropout", step))
        masked, belongs = _losses(*both, batches(step), device)
        optimiser.zero_grad()
        (mlm_weight * masked + belongs).backward()
        optimiser.clip()
        optimiser.step()
        losses.append((masked.item(), belongs.item()))
        if not np.isfinite(losses[-1]).all():
            raise InputError(f"the pretraining loss is not finite at step {step + 1}: lower its learning rate")
        masked_mean, belongs_mean = np.mean(losses[-50:], axis=0)
        progress.add(1, f"masked tokens {masked_mean:.3f}, next segment {belongs_mean:.3f}")
    return losses


def _losses(model: CrossEncoder, head: MaskedTokenHead, batch: PretrainingBatch, device: str) -> tuple[Tensor, Tensor]:
    states = model.encoder.every_token(pack(batch.sequences, device))  # (tokens, hidden)
    lengths = batch.sequences.lengths
    first = torch.from_numpy(np.cumsum(lengths) - lengths).to(device)
    logits = head(states.index_select(0, batch.masked.to(device)), model.encoder.embeddings.word_embeddings.weight)
    # Few short texts may have no token masked: nothing is asked of them, and a mean over nothing is NaN.
    masked = functional.cross_entropy(logits, batch.answers.to(device)) if len(logits) else logits.sum()
    belongs = model.head(states.index_select(0, first)).squeeze(-1)
    return masked, functional.binary_cross_entropy_with_logits(belongs, batch.belongs.to(device))
