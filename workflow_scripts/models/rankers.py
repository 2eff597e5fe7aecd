"""The two kinds of ranker: cross-encoders score a pair by its [CLS] position, bi-encoders embed a text.

Both wrap an encoder: the packed one for BERT, ELECTRA and RoBERTa checkpoints, the library's own padded forward else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.models import model_folders, sentence_transformers
from workflow_scripts.models.packed_encoder import ACTIVATIONS, Linear, PackedBatch, PackedEncoder, pack
from workflow_scripts.models.sentence_transformers import Embedding
from workflow_scripts.models.token_store import Sequences
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage
from workflow_scripts.storage.seeds import derive_seed

if TYPE_CHECKING:
    from workflow_scripts.models.padded import PaddedRanker

AnyRanker: TypeAlias = "RankerModel | PaddedRanker"


class RankerModel(nn.Module):
    """What cross-encoder and bi-encoder share: an encoder and the configuration it came with."""

    architecture: str
    embedding = Embedding()
    """A bi-encoder's."""

    def __init__(self, config: Mapping, dropout: float | None = None) -> None:
        super().__init__()
        self.config = dict(config)
        self.family = model_folders.packable(config)
        if self.family is None:
            raise InputError(
                f"the packed encoder computes {', '.join(model_folders.FAMILIES)}: {config['model_type']} is none"
            )
        self.untrained: dict[str, Tensor] = {}  # weights of the checkpoint that this ranker has no use for but keeps
        self.shape = model_folders.encoder_shape(config, dropout)
        self.encoder = PackedEncoder(self.shape)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def hidden_size(self) -> int:
        """Width of an embedding."""
        return self.shape.hidden

    @property
    def widest(self) -> int:
        """Features of the widest layer."""
        return self.shape.feed_forward

    @property
    def vocabulary_size(self) -> int:
        """Tokens that have an embedding."""
        return self.shape.vocabulary

    @property
    def segments(self) -> bool:
        """Whether the two texts of a pair may have embeddings of their own."""
        return self.shape.token_types > 1

    def collect_word_gradients(self, collect: bool) -> None:
        """Keep the word embeddings' gradient sparse until the step, or not: a dense one is filled for every part."""
        self.encoder.embeddings.sparse = collect

    def computable(self, precision: str, wanted: str, *, autocast: bool) -> str:
        """``precision``: the packed encoder computes in each."""
        return precision

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence that fits, special tokens included."""
        return self.shape.longest

    def encode(self, sequences: Sequences | PackedBatch) -> Tensor:
        """[CLS] hidden states  # (sequences, hidden)."""
        return self.encoder(self.packed(sequences))

    def packed(self, sequences: Sequences | PackedBatch) -> PackedBatch:
        """Sequences on the ranker's device."""
        return sequences if isinstance(sequences, PackedBatch) else pack(sequences, self.device)

    def checkpoint_name(self, name: str) -> str:
        """A parameter's name in a Hugging Face checkpoint of this kind of model."""
        raise NotImplementedError


class CrossEncoder(RankerModel):
    """f(q, d) = w . head([CLS] of the pair) + b, as the library's ``...ForSequenceClassification`` with one label."""

    architecture = "cross-encoder"

    def __init__(self, config: Mapping, dropout: float | None = None) -> None:
        super().__init__(config, dropout)
        self.head = _Head(self.shape.hidden, self.family, model_folders.head_dropout(config, dropout))

    def forward(self, sequences: Sequences | PackedBatch) -> Tensor:
        """Scores of query-document pairs, float32  # (sequences,)."""
        hidden = self.encode(sequences)
        # A score in half precision ties far too often to rank by: the head is float32 whatever the encoder computes in.
        with torch.autocast(hidden.device.type, enabled=False):
            return self.head(hidden.float()).squeeze(-1)

    def checkpoint_name(self, name: str) -> str:
        for own, theirs in (("head.dense", self.family.dense), ("head.out", self.family.out)):
            if name.startswith(f"{own}."):
                return theirs + name.removeprefix(own)
        return f"{self.family.prefix}.{name.removeprefix('encoder.')}"


class BiEncoder(RankerModel):
    """f(q, d) = E(q) . E(d) with one shared encoder, E the [CLS] or the mean hidden state, of length 1 for a cosine."""

    architecture = "bi-encoder"

    def forward(self, sequences: Sequences | PackedBatch) -> Tensor:
        """Embeddings of texts, float32  # (sequences, hidden)."""
        mean = self.embedding.pooling == "mean"
        vectors = self.encoder.mean_token(self.packed(sequences)) if mean else self.encode(sequences).float()
        return F.normalize(vectors) if self.embedding.similarity == "cosine" else vectors

    def checkpoint_name(self, name: str) -> str:
        return name.removeprefix("encoder.")


class _Head(nn.Module):
    def __init__(self, hidden: int, family: model_folders.Family, dropout: float) -> None:
        super().__init__()
        self.dense, self.out = Linear(hidden, hidden), Linear(hidden, 1)
        self.activation, self.dropout, self.drop_first = ACTIVATIONS[family.activation], dropout, family.drop_first

    def forward(self, hidden: Tensor) -> Tensor:
        if self.drop_first:
            hidden = F.dropout(hidden, self.dropout, self.training)
        hidden = self.activation(self.dense(hidden))
        return self.out(F.dropout(hidden, self.dropout, self.training))


KINDS = {kind.architecture: kind for kind in (CrossEncoder, BiEncoder)}


def new_ranker(
    config: Mapping, architecture: str, *, initialise_seed: int, dropout: float | None = None
) -> RankerModel:
    """A ranker with random weights from a configuration, in evaluation mode.

    Weights are normal with the configuration's ``initializer_range``, biases 0, norms 1: each tensor's draw is derived
    from the seed and its name.
    """
    model = _empty(config, architecture, dropout)
    for name, parameter in model.named_parameters():
        _initialise(name, parameter, config.get("initializer_range", 0.02), initialise_seed)
    return model.eval()


@torch.no_grad()
def _initialise(name: str, parameter: Tensor, deviation: float, seed: int) -> None:
    if name.endswith("bias"):
        parameter.zero_()
    elif "LayerNorm" in name:
        parameter.fill_(1.0)
    else:
        generator = torch.Generator().manual_seed(derive_seed(seed, "initialise", name) % 2**63)
        parameter.normal_(0.0, deviation, generator=generator)


def load_ranker(
    folder: str | Path,
    architecture: str,
    *,
    initialise_seed: int,
    dropout: float | None = None,
    new_head: bool = True,
    pooling: str | None = None,
    similarity: str | None = None,
) -> AnyRanker:
    """A ranker from a local model folder (safetensors only), float32 on the CPU, in evaluation mode.

    A part that the folder lacks may only be the head, where ``new_head`` allows it: it is drawn from
    ``initialise_seed`` and named on stderr. ``dropout`` replaces the configuration's dropout probabilities; a
    bi-encoder's ``pooling`` and ``similarity`` replace what the folder's own files say of them
    (:func:`~workflow_scripts.models.sentence_transformers.read_embedding`). Raises :class:`InputError` for missing,
    misshapen or pickled weights.
    """
    model = _load(folder, architecture, initialise_seed, dropout, new_head)
    if architecture == "bi-encoder":
        model.embedding = sentence_transformers.read_embedding(folder, pooling, similarity)
    return model


def _load(
    folder: str | Path, architecture: str, initialise_seed: int, dropout: float | None, new_head: bool
) -> AnyRanker:
    config = model_folders.read_config(folder)
    model_folders.weight_files(folder)
    try:
        model = _empty(config, architecture, dropout) if model_folders.packable(config) else None
    except (ArithmeticError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise_shortage(error)
        raise InputError(f"{folder}: config.json describes no encoder that can be made ({one_line(error)})") from None
    if model is None:
        from workflow_scripts.models.padded import load_padded

        return load_padded(
            folder, config, architecture, initialise_seed=initialise_seed, dropout=dropout, new_head=new_head
        )
    weights = model_folders.read_weights(folder)
    fresh, unread = [], set(weights)
    for name, parameter in model.state_dict().items():
        key = _find(weights, model, name)
        unread.discard(key)
        tensor = weights.get(key)
        if tensor is not None and tensor.shape == parameter.shape and tensor.is_floating_point():
            parameter.copy_(tensor)
        elif name.startswith("head.") and new_head:
            fresh.append(model.checkpoint_name(name))
            _initialise(name, parameter, config.get("initializer_range", 0.02), initialise_seed)
        else:
            problem = "is missing" if tensor is None else f"has shape {tuple(tensor.shape)} of {tensor.dtype}"
            if name.startswith("head."):
                raise InputError(model_folders.headless(folder, model.checkpoint_name(name), problem))
            raise InputError(
                f"{folder}: weight {model.checkpoint_name(name)} {problem}, "
                f"config.json asks for {tuple(parameter.shape)}"
            )
    model_folders.refuse_unread(folder, unread, model.family.prefix, dict(model.encoder.named_children()))
    if architecture == "bi-encoder":
        # The library's encoder has a pooler, which a [CLS] embedding does not pass through: it stays as it came.
        model.untrained = {
            name: weights[key]
            for name in ("pooler.dense.weight", "pooler.dense.bias")
            for key in (name, f"{model.family.prefix}.{name}")
            if key in weights
        }
    if fresh:
        print(f"{folder} brings no {', '.join(fresh)}: drawn at random", file=sys.stderr)
    return model.eval()


def _empty(config: Mapping, architecture: str, dropout: float | None) -> RankerModel:
    """A ranker whose weights are not set yet."""
    if architecture not in KINDS:
        raise InputError(f"no architecture {architecture!r}: choose {' or '.join(KINDS)}")
    return KINDS[architecture](config, dropout)


def _find(weights: Mapping[str, Tensor], model: RankerModel, name: str) -> str:
    """A parameter's name in a checkpoint: an encoder saved alone has no prefix, one saved with a head has."""
    theirs, prefix = model.checkpoint_name(name), f"{model.family.prefix}."
    keys = (theirs, theirs.removeprefix(prefix), prefix + theirs)
    return next((key for key in keys if key in weights), theirs)


def save_ranker(
    model: AnyRanker,
    folder: str | Path,
    tokenizer_folder: str | Path,
    *,
    max_tokens: int | None = None,
) -> None:
    """Write a folder that ``AutoModel``/``AutoModelForSequenceClassification`` and sentence-transformers load.

    ``max_tokens`` is the longest sequence sentence-transformers shall make, special tokens included; None for what the
    model's positions hold. Raises :class:`InputError` for a weight that is no number: the last step of a training
    can make one, and no loss shows it.
    """
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(f"the model's weight {name} is not finite: lower the learning rate or use fp32")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cross = model.architecture == "cross-encoder"
    if isinstance(model, RankerModel):
        state = {model.checkpoint_name(name): tensor for name, tensor in model.state_dict().items()} | model.untrained
        architecture = f"{model.family.library}{'ForSequenceClassification' if cross else 'Model'}"
        model_folders.write_weights(folder / model_folders.WEIGHTS, state)
    else:
        architecture = type(model.library).__name__
        model.library.save_pretrained(folder)
    model_folders.write_json(
        folder / model_folders.CONFIG, model_folders.saved_config(model.config, architecture, one_label=cross)
    )
    model_folders.share(folder)
    model_folders.copy_tokenizer(tokenizer_folder, folder)
    sentence_transformers.write_files(
        folder,
        model.architecture,
        model.embedding,
        hidden_size=model.hidden_size,
        max_tokens=max_tokens or model.longest,
    )
