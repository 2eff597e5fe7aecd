"""A BERT-like encoder that never pads: the tokens of all sequences of a batch lie end to end.

The modules carry the parameter names of Hugging Face's BERT, ELECTRA and RoBERTa encoders, so their checkpoints load as
they are and what is saved loads there; the arithmetic is theirs (the tests hold both to each other). Linear layers,
norms and embeddings see (tokens, features) without padding; only attention looks at sequences one by one. A ranker
reads position [CLS] alone, so the last layer computes its queries, projections and feed-forward there only.

Being independent of ``transformers``, it starts in a third of the time: that import costs more than scoring a cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.ranking.tokens import Sequences

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class PackedBatch:
    """:class:`~workflow_scripts.ranking.tokens.Sequences` on a device, sorted by length.

    input_ids, token_type_ids, positions  # (tokens,) int32
    starts, lengths                       # (sequences,) int64: first token and number of tokens of each
    order                                 # (sequences,) int64: where the sorted sequence stood in the input
    runs                                  # host: (sequences, length) of each stretch of padded attention
    """

    input_ids: Tensor
    token_type_ids: Tensor
    positions: Tensor
    starts: Tensor
    lengths: Tensor
    order: Tensor
    longest: int
    slots: Tensor  # (tokens,) int64: row-major place of each token in the padded (sequences, longest) view

    def __len__(self) -> int:
        return len(self.lengths)


def pack(sequences: Sequences, device: torch.device | str) -> PackedBatch:
    """Put ragged sequences on a device."""
    lengths = np.asarray(sequences.lengths, np.int64)
    starts = np.cumsum(lengths) - lengths
    longest = int(lengths.max())
    tokens = len(sequences.input_ids)
    positions = np.arange(tokens) - np.repeat(starts, lengths)
    slots = positions + np.repeat(np.arange(len(lengths)) * longest, lengths)

    def send(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    return PackedBatch(
        input_ids=send(sequences.input_ids),
        token_type_ids=send(sequences.token_type_ids),
        positions=send(positions),
        starts=send(starts),
        lengths=send(lengths),
        order=send(np.arange(len(lengths))),
        longest=longest,
        slots=send(slots),
    )
