"""Tokenizers of model folders: ``tokenizer.json`` by the ``tokenizers`` library, without torch or transformers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.storage.errors import InputError, one_line, raise_shortage

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
# What decides the tokens of a text. Truncation, padding and decoding do not.
_DECISIVE = ("normalizer", "pre_tokenizer", "model", "added_tokens")


@dataclass(frozen=True)
class Layout:
    """How a tokenizer puts texts together: ``cls x sep``, and ``cls x sep ... sep y sep`` for a pair.

    ``separators``: how many stand between the two texts (2 in RoBERTa's family); ``second_segment``: token type of y
    and of what follows it.
    """

    cls: int
    sep: int
    separators: int
    second_segment: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, folder: str | Path) -> Layout:
        """Read off what the tokenizer does; :class:`InputError` where it puts texts together in another way."""
        try:
            first, second = (tokenizer.encode(text, add_special_tokens=False).ids for text in ("a", "\ue000 b"))
            single, pair = tokenizer.encode("a").ids, tokenizer.encode("a", "\ue000 b")
        except Exception as error:  # the library raises nothing more special, for a vocabulary without [UNK] say
            raise_shortage(error)
            raise InputError(f"the tokenizer of {folder} cannot encode a text: {one_line(error)}") from None
        if len(single) > 1:
            begin, end = single[0], single[-1]
            between = len(pair.ids) - len(first) - len(second) - 2
            wanted = [begin, *first, *[end] * between, *second, end]
            segments = [0] * (1 + len(first) + between) + pair.type_ids[-1:] * (len(second) + 1)
            if between > 0 and single == [begin, *first, end] and (pair.ids, pair.type_ids) == (wanted, segments):
                return cls(begin, end, between, pair.type_ids[-1])
        raise InputError(
            f"the tokenizer of {folder} does not put texts as [CLS] x [SEP] and [CLS] x [SEP] y [SEP] (a pair is "
            f"{' '.join(pair.tokens)}): choose the tokenizer of an encoder such as BERT, ELECTRA or RoBERTa"
        )


def read_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer of a model folder, which neither cuts nor pads; :class:`InputError` where it cannot be read."""
    from tokenizers import Tokenizer

    path = Path(folder) / TOKENIZER
    if not path.is_file():
        raise InputError(f"{path} is missing: a model folder carries the tokenizer it was trained with")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise_shortage(error)
        raise InputError(f"{path} cannot be read ({one_line(error)}): fetch the model again") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokens_checksum(tokenizer: Tokenizer, layout: Layout) -> str:
    """SHA-256 over what decides a tokenizer's tokens: equal for folders that make the same of every text and pair."""
    described = json.loads(tokenizer.to_str())
    decisive = {name: described[name] for name in _DECISIVE} | asdict(layout)
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def number_of_tokens(tokenizer: Tokenizer) -> int:
    """One more than the largest token id."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
