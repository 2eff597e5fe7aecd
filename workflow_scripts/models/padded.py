"""Rankers of any other architecture: the library's own forward over padded, length-sorted batches.

Slower than the packed encoder (padding is computed, and every position of the last layer), but right for every encoder
of Hugging Face transformers whose attention mask hides padding; ``fetch_backbone`` tries it. That library is imported
here only.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.models.arithmetic import FP32_PRODUCTS, attention_by_operators
from workflow_scripts.models.devices import DTYPES
from workflow_scripts.models.model_folders import headless, refuse_unread
from workflow_scripts.models.packed_encoder import PackedBatch, pack
from workflow_scripts.models.sentence_transformers import Embedding
from workflow_scripts.models.token_store import Sequences, require_room
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage, shortage_of
from workflow_scripts.storage.processor import note_products
from workflow_scripts.storage.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

PADDED_TOKENS = {"cpu": 4096, "cuda": 65536}
SHORT = 4
"""Tokens of a text that a precision is tried with."""


class PaddedRanker(nn.Module):
    """A cross-encoder or bi-encoder around a library model; the interface of :class:`~.models.RankerModel`."""

    embedding = Embedding()

    def __init__(self, library: nn.Module, architecture: str, config: Mapping) -> None:
        super().__init__()
        self.library, self.architecture, self.config = library, architecture, dict(config)
        accepted = inspect.signature(library.forward).parameters
        # The library builds a model of one token type with a table of one row.
        self.segments = "token_type_ids" in accepted and getattr(library.config, "type_vocab_size", 0) > 1
        for module in self._heads():
            module.forward = functools.partial(_in_float32, module)

    @property
    def device(self) -> torch.device:
        return self.library.device

    @property
    def hidden_size(self) -> int:
        return self.library.config.hidden_size

    @property
    def widest(self) -> int:
        """Features of the widest layer; four times an embedding's where the configuration does not say."""
        return getattr(self.library.config, "intermediate_size", None) or 4 * self.hidden_size

    def collect_word_gradients(self, collect: bool) -> None:
        """Nothing to do: the library's embeddings have dense gradients."""

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence that fits, special tokens included.

        A position table that has a row for padding counts from the row behind it, as RoBERTa's family does: 514 rows
        are room for 512 tokens.
        """
        room = [getattr(self.library.config, "max_position_embeddings", None) or sys.maxsize]
        for name, table in self.library.named_modules():
            if "position" in name.rsplit(".", 1)[-1] and hasattr(table, "padding_idx"):
                room.append(len(table.weight) - (0 if table.padding_idx is None else table.padding_idx + 1))
        return min((rows for rows in room if rows > 0), default=0)

    @property
    def vocabulary_size(self) -> int:
        return self.library.get_input_embeddings().num_embeddings

    def computable(self, precision: str, wanted: str, *, autocast: bool) -> str:
        """``precision``, or fp32 where the library fails in it: DeBERTa by ``autocast``, as in training, MRA without.

        Says so on stderr, and raises :class:`InputError` where ``wanted`` is not ``auto``.
        """
        if precision == "fp32" or not (reason := self._fault_in(DTYPES[precision], autocast)):
            return precision
        kind = self.config["model_type"]
        if wanted != "auto":
            raise InputError(f"a {kind} model cannot compute in {precision} ({reason}): set training.precision to auto")
        print(f"computing in fp32: a {kind} model cannot in {precision} ({reason})", file=sys.stderr, flush=True)
        note_products(FP32_PRODUCTS)
        return "fp32"

    def _fault_in(self, dtype: torch.dtype, autocast: bool) -> str | None:
        """What the library raises of a text in half precision and not in fp32, in one line."""
        tokens = np.arange(SHORT, dtype=np.int32) % self.vocabulary_size
        text = Sequences(tokens, np.zeros_like(tokens), np.array([SHORT]))
        tried = self if autocast else copy.deepcopy(self)
        with torch.inference_mode(), contextlib.suppress(Exception):  # what fails in fp32 is not for here to say
            tried(text)
            if not autocast:
                tried.compute_in(dtype)
            try:
                with torch.autocast(self.device.type, dtype=dtype, enabled=autocast):
                    tried(text)
            except Exception as error:
                return None if shortage_of(error) else one_line(error)
        return None

    def compute_in(self, dtype: torch.dtype) -> None:
        """Cast the encoder's weights; a cross-encoder's head stays float32, and so do buffers, as in the library.

        A rotary encoder's frequencies are buffers: in bf16 the angle of position 200 is off by a fifth of a radian.
        """
        heads = {id(weight) for module in self._heads() for weight in module.parameters()}
        for weight in self.library.base_model.parameters():
            if id(weight) not in heads:
                weight.data = weight.data.to(dtype)

    def _heads(self) -> list[nn.Module]:
        """What a cross-encoder has beside and on top of its encoder: classifiers, poolers, dropouts."""
        encoder = self.library.base_model
        if self.architecture != "cross-encoder" or encoder is self.library:
            return []
        pooler = getattr(encoder, "pooler", None)
        beside = [module for module in self.library.children() if module is not encoder]
        return beside if pooler is None else [*beside, pooler]

    def forward(self, sequences: Sequences | PackedBatch) -> Tensor:
        """Scores (sequences,) or embeddings (sequences, hidden), float32, in the input's order."""
        batch = sequences if isinstance(sequences, PackedBatch) else pack(sequences, self.device)
        results = torch.cat([self._padded(batch, *chunk) for chunk in _chunks(batch, PADDED_TOKENS[self.device.type])])
        return results if batch.inverse is None else results.index_select(0, batch.inverse)

    def _padded(self, batch: PackedBatch, first: int, last: int, longest: int) -> Tensor:
        require_room(longest, self.longest)
        offsets = batch.offsets[first : last + 1].long()
        place = torch.arange(longest, device=offsets.device)
        mask = place < offsets.diff()[:, None]  # (sequences, longest)
        index = torch.where(mask, offsets[:-1, None] + place, offsets[:-1, None])
        pad = getattr(self.library.config, "pad_token_id", None) or 0
        inputs = {
            "input_ids": torch.where(mask, batch.input_ids[index], pad).long(),
            "attention_mask": mask.long(),
        }
        if self.segments:
            inputs["token_type_ids"] = torch.where(mask, batch.token_type_ids[index], 0).long()
        with attention_by_operators(self.device):
            output = self.library(**inputs)
        if self.architecture == "cross-encoder":
            return output.logits.float().squeeze(-1)
        hidden = output.last_hidden_state
        if self.embedding.pooling == "mean":
            vectors = (hidden.float() * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        else:
            vectors = hidden[:, 0].float()
        return F.normalize(vectors) if self.embedding.similarity == "cosine" else vectors


def _in_float32(module: nn.Module, *inputs: object, **options: object) -> object:
    """A module's own forward in float32, under autocast too: half-precision scores tie far too often to rank by."""

    def wide(value: object) -> object:
        return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value

    with torch.autocast(next((x.device.type for x in inputs if isinstance(x, Tensor)), "cpu"), enabled=False):
        return type(module).forward(
            module, *map(wide, inputs), **{name: wide(value) for name, value in options.items()}
        )


def _chunks(batch: PackedBatch, budget: int) -> Iterator[tuple[int, int, int]]:
    """(first sequence, end, longest) of stretches of at most ``budget`` padded tokens, shortest first."""
    lengths = [length for length, count in batch.runs for _ in range(count)]
    first = 0
    for place, length in enumerate(lengths):
        if place > first and length * (place + 1 - first) > budget:
            yield first, place, lengths[place - 1]
            first = place
    yield first, len(lengths), lengths[-1]


def load_padded(
    folder: str | Path,
    config: Mapping,
    architecture: str,
    *,
    initialise_seed: int,
    dropout: float | None,
    new_head: bool,
) -> PaddedRanker:
    """A ranker of an architecture that the packed encoder does not know; says so on stderr.

    As :func:`~.models.load_ranker`: only a head may be missing, and only where ``new_head`` allows it.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    print(
        f"{folder}: {config['model_type']} models have no packed path; using padded, length-sorted batches",
        file=sys.stderr,
    )
    options = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    # Mismatched sizes are judged below, by which weights they are.
    loading = {"dtype": torch.float32, "ignore_mismatched_sizes": True, "output_loading_info": True}
    cross = architecture == "cross-encoder"
    kind = AutoModelForSequenceClassification if cross else AutoModel
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(initialise_seed, "initialise", architecture) % 2**63)
        try:
            described = AutoConfig.from_pretrained(folder, **({"num_labels": 1} if cross else {}))
            own = described.to_dict()
            if dropout is not None:
                _set_dropout(described, dropout)
            library, report = kind.from_pretrained(folder, config=described, **options, **loading)
        except Exception as error:  # a folder that is not as it should be raises whatever the library's parts do
            raise_shortage(error)
            raise InputError(f"{folder} cannot be loaded as a {architecture}: {one_line(error)}") from None
    _check_weights(folder, library, architecture, report, new_head)
    if dropout is not None:
        for module in library.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
    return PaddedRanker(library, architecture, own).eval()


def _set_dropout(config: PreTrainedConfig, dropout: float) -> None:
    """Set every dropout of a library's configuration, some of which no module of the model holds.

    What drops whole layers or paths (FlauBERT's ``layerdrop``, ``drop_path_rate``) is no dropout of units: it is 0.
    """
    for name, value in config.to_dict().items():
        if "drop" in name and (value is None or type(value) in (int, float)):
            setattr(config, name, dropout if "dropout" in name or name.endswith("pdrop") else 0.0)


def _check_weights(folder: str | Path, library: nn.Module, architecture: str, report: Mapping, new_head: bool) -> None:
    """Judge what the library drew at random or left out: an encoder's weights never, a head's where it may be new."""
    problems = dict.fromkeys(report["missing_keys"], "is missing")
    problems |= {name: f"has shape {tuple(shape)}" for name, shape, _ in report["mismatched_keys"]}
    encoder = f"{library.base_model_prefix}."
    parts = [name for name, _ in library.base_model.named_children()]
    refuse_unread(folder, report["unexpected_keys"], library.base_model_prefix, parts)
    fresh = []
    for name in sorted(problems):
        pooler = name.removeprefix(encoder).startswith("pooler.")
        if architecture == "bi-encoder" and pooler:  # a [CLS] embedding does not pass through it
            continue
        if not pooler and (architecture == "bi-encoder" or name.startswith(encoder)):
            raise InputError(
                f"{folder}: weight {name} {problems[name]}: it is not the model that config.json describes"
            )
        fresh.append(name)
    if fresh and not new_head:
        raise InputError(headless(folder, fresh[0], problems[fresh[0]]))
    if fresh:
        print(f"{folder} brings no {', '.join(fresh)}: drawn at random", file=sys.stderr)
