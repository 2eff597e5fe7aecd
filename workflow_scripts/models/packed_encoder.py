"""A BERT-like encoder that never pads: the tokens of all sequences of a batch lie end to end.

Linear layers, norms and embeddings see (tokens, features); only attention looks at sequences one by one. A ranker reads
position [CLS] alone, so the last layer computes its queries, projections and feed-forward there only, and on a CPU no
keys and values at all; a mean-pooled bi-encoder reads every position.

The modules carry the parameter names of Hugging Face's BERT, ELECTRA and RoBERTa encoders: the checkpoint format is the
interface, and the tests hold scores and gradients to the library's own forward. Not importing ``transformers`` takes
four seconds off the start of every training and scoring process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.models.arithmetic import attention, linear
from workflow_scripts.models.dropout import dropout, dropout_add
from workflow_scripts.models.ragged_attention import attend
from workflow_scripts.models.token_store import Sequences, require_room, spans

# What a CPU computes at a time should stay in its cache: the bytes of the widest layer's activations.
CPU_CACHE_BYTES = 2**23
ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class EncoderShape:
    """Sizes and constants of an encoder; ``position_offset`` is the position id of the first token."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    positions: int
    token_types: int
    embedding: int
    epsilon: float
    activation: str
    dropout: float
    attention_dropout: float
    position_offset: int = 0

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence the position table holds."""
        return self.positions - self.position_offset


@dataclass(frozen=True)
class PackedBatch:
    """Ragged sequences on a device, sorted by length (stable), so that equally long ones lie together.

    input_ids, token_type_ids, positions  # (tokens,) int32
    offsets                               # (sequences + 1,) int32: where each sequence starts, and the end
    inverse                               # (sequences,) int64 from input order to place here; None where sorted already
    token_inverse                         # (tokens,) the same for tokens
    runs                                  # on the host: (length, sequences) of each stretch of equally long sequences
    """

    input_ids: Tensor
    token_type_ids: Tensor
    positions: Tensor
    offsets: Tensor
    inverse: Tensor | None
    token_inverse: Tensor | None
    runs: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def longest(self) -> int:
        return self.runs[-1][0]

    @property
    def starts(self) -> Tensor:
        return self.offsets.narrow(0, 0, len(self))


def pack(sequences: Sequences, device: torch.device | str = "cpu") -> PackedBatch:
    """Sort ragged sequences by length and put them on a device; everything the host must know is worked out here."""
    lengths = np.asarray(sequences.lengths, np.int64)
    ids, types = np.asarray(sequences.input_ids), np.asarray(sequences.token_type_ids)
    inverse = token_inverse = None
    if len(lengths) and (lengths[1:] < lengths[:-1]).any():
        order = np.argsort(lengths, kind="stable")
        starts = np.cumsum(lengths) - lengths
        lengths = lengths[order]
        source = spans(starts[order], lengths)
        ids, types = ids[source], types[source]
        inverse, token_inverse = _inverse(order), _inverse(source)
    ends = np.cumsum(lengths)
    positions = np.arange(len(ids)) - np.repeat(ends - lengths, lengths)
    values, counts = np.unique(lengths, return_counts=True)

    def send(array: np.ndarray | None, dtype: type = np.int32) -> Tensor | None:
        if array is None:
            return None
        tensor = torch.from_numpy(np.array(array, dtype))
        return tensor if str(device) == "cpu" else tensor.pin_memory().to(device, non_blocking=True)

    return PackedBatch(
        input_ids=send(ids),
        token_type_ids=send(types),
        positions=send(positions),
        offsets=send(np.concatenate(([0], ends))),
        inverse=send(inverse, np.int64),
        token_inverse=send(token_inverse, np.int64),
        runs=tuple(zip(values.tolist(), counts.tolist(), strict=True)),
    )


def _inverse(permutation: np.ndarray) -> np.ndarray:
    inverse = np.empty_like(permutation)
    inverse[permutation] = np.arange(len(permutation))
    return inverse


class PackedEncoder(nn.Module):
    """Transformer encoder over packed batches."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        if shape.embedding != shape.hidden:
            self.embeddings_project = Linear(shape.embedding, shape.hidden)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))

    def forward(self, batch: PackedBatch) -> Tensor:
        """Hidden states of the first token of each sequence, in the input's order  # (sequences, hidden)."""
        hidden = self._embed(batch)
        for layer in self.encoder.layer[:-1]:
            hidden = layer(hidden, batch)
        hidden = self.encoder.layer[-1].first_tokens(hidden, batch)
        return hidden if batch.inverse is None else hidden.index_select(0, batch.inverse)

    def every_token(self, batch: PackedBatch) -> Tensor:
        """Hidden states of every token, in the input's order  # (tokens, hidden): what pretraining needs."""
        hidden = self._all_layers(batch)
        return hidden if batch.token_inverse is None else hidden.index_select(0, batch.token_inverse)

    def mean_token(self, batch: PackedBatch) -> Tensor:
        """Mean over the tokens of each sequence, float32, in the input's order  # (sequences, hidden)."""
        hidden = self._all_layers(batch)
        parts = hidden.split([length * count for length, count in batch.runs])
        # A mean for each length: no padding, and a sum whose order is the same each time.
        means = torch.cat(
            [
                part.view(count, length, -1).mean(1, dtype=torch.float32)
                for (length, count), part in zip(batch.runs, parts, strict=True)
            ]
        )
        return means if batch.inverse is None else means.index_select(0, batch.inverse)

    def _all_layers(self, batch: PackedBatch) -> Tensor:
        hidden = self._embed(batch)
        for layer in self.encoder.layer:
            hidden = layer(hidden, batch)
        return hidden

    def _embed(self, batch: PackedBatch) -> Tensor:
        require_room(batch.longest, self.shape.longest)
        hidden = self.embeddings(batch)
        return self.embeddings_project(hidden) if hasattr(self, "embeddings_project") else hidden


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`~.arithmetic.linear`, its weights not drawn: they are loaded, or drawn from our seed."""

    def reset_parameters(self) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class Embedding(nn.Embedding):
    """``nn.Embedding`` without its random initialisation, as :class:`Linear`."""

    def reset_parameters(self) -> None:
        pass


class _Embeddings(nn.Module):
    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.word_embeddings = Embedding(shape.vocabulary, shape.embedding)
        self.position_embeddings = Embedding(shape.positions, shape.embedding)
        self.token_type_embeddings = Embedding(shape.token_types, shape.embedding)
        self.LayerNorm = nn.LayerNorm(shape.embedding, eps=shape.epsilon)
        self.dropout, self.offset, self.types = shape.dropout, shape.position_offset, shape.token_types
        self.sparse = False  # sparse gradient: only rows of tokens in the batch

    def forward(self, batch: PackedBatch) -> Tensor:
        # A model of one token type ignores segments.
        types = batch.token_type_ids if self.types > 1 else torch.zeros_like(batch.token_type_ids)
        words = F.embedding(batch.input_ids, self.word_embeddings.weight, sparse=self.sparse)
        hidden = words + self.token_type_embeddings(types)
        hidden = hidden + self.position_embeddings(batch.positions + self.offset)
        return dropout(self.LayerNorm(hidden), self.dropout if self.training else 0.0)


class _Layer(nn.Module):
    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.attention = nn.Module()
        self.attention.self = nn.Module()
        for name in ("query", "key", "value"):
            self.attention.self.add_module(name, Linear(shape.hidden, shape.hidden))
        self.attention.output = _Residual(shape.hidden, shape)
        self.intermediate = nn.Module()
        self.intermediate.dense = Linear(shape.hidden, shape.feed_forward)
        self.output = _Residual(shape.feed_forward, shape)
        self.activation = ACTIVATIONS[shape.activation]
        self.heads, self.attention_dropout = shape.heads, shape.attention_dropout

    def forward(self, hidden: Tensor, batch: PackedBatch) -> Tensor:
        return self._feed_forward(self._attend(hidden, hidden, batch, first=False), hidden)

    def first_tokens(self, hidden: Tensor, batch: PackedBatch) -> Tensor:
        """(tokens, hidden) to (sequences, hidden): the layer's output at each sequence's first token alone."""
        first = hidden.index_select(0, batch.starts)
        if hidden.is_cuda:  # one kernel for ragged attention; the small products of the other way were not tried there
            return self._feed_forward(self._attend(first, hidden, batch, first=True), first)
        return self._feed_forward(self._attend_unprojected(first, hidden, batch), first)

    def _attend(self, asking: Tensor, hidden: Tensor, batch: PackedBatch, first: bool) -> Tensor:
        part, p = self.attention.self, self.attention_dropout if self.training else 0.0
        shape = (-1, self.heads, hidden.shape[-1] // self.heads)
        query, key, value = part.query(asking), part.key(hidden), part.value(hidden)
        mixed = attend(query.view(shape), key.view(shape), value.view(shape), batch, p, first)
        return mixed.reshape(-1, hidden.shape[-1])

    def _attend_unprojected(self, first: Tensor, hidden: Tensor, batch: PackedBatch) -> Tensor:
        """As :meth:`_attend` of the first tokens, without the key or the value of any token.

        With one query a sequence it is the query and the mixture that are projected, not the tokens: a head's logits
        are q . (W_k x + b_k) = (W_k^T q) . x + q . b_k, whose second term is the same for all tokens and cancels in the
        softmax; it mixes sum_j a_j (W_v x_j + b_v) = W_v (sum_j a_j x_j) + b_v sum_j a_j. Of 12 h^2 products a token
        and layer this saves the last layer's last 2 h^2.
        """
        part, p = self.attention.self, self.attention_dropout if self.training else 0.0
        width, size = hidden.shape[-1], hidden.shape[-1] // self.heads
        query = part.query(first).view(-1, self.heads, size).transpose(0, 1) * size**-0.5  # (heads, sequences, size)
        asked = torch.bmm(query, part.key.weight.view(self.heads, size, width)).transpose(0, 1)
        tokens = hidden.unsqueeze(1)  # to the heads of a sequence its tokens are what they ask, all of one head
        mixture, total = attention(
            asked.reshape(-1, 1, width), tokens, tokens, batch.runs, queries=self.heads, p=p
        )  # (sequences * heads, 1, width)
        mixture = mixture.view(-1, self.heads, width).transpose(0, 1)
        value = torch.bmm(mixture, part.value.weight.view(self.heads, size, width).transpose(1, 2)).transpose(0, 1)
        bias = part.value.bias.view(self.heads, size)
        return (value + (bias if total is None else total.view(-1, self.heads, 1) * bias)).reshape(-1, width)

    def _feed_forward(self, mixed: Tensor, hidden: Tensor) -> Tensor:
        hidden = self.attention.output(mixed, hidden)
        return self.output(self.activation(self.intermediate.dense(hidden)), hidden)


class _Residual(nn.Module):
    def __init__(self, width: int, shape: EncoderShape) -> None:
        super().__init__()
        self.dense = Linear(width, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=shape.epsilon)
        self.dropout = shape.dropout

    def forward(self, inner: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(dropout_add(self.dense(inner), self.dropout if self.training else 0.0, residual))
