"""Backbones of one vocabulary share token stores: their tokenizers must make the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.models.tokenizer import TOKENIZER, Layout, read_tokenizer, tokens_checksum
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def refuse_other_tokens(tokenizer: Tokenizer, output: Path, first: Sequence[Path]) -> None:
    """Raise :class:`InputError` where ``tokenizer``, of the backbone ``output``, makes other tokens than ``first``.

    ``first``: none, or the manifest of the backbone whose tokenizer makes the token stores.
    """
    for manifest in first:
        folder = Artifact(manifest).file(TOKENIZER).parent
        other = read_tokenizer(folder)
        if tokens_checksum(tokenizer, Layout.of(tokenizer, output.parent)) != tokens_checksum(
            other, Layout.of(other, folder)
        ):
            name = output.parent.name
            raise InputError(
                f"backbones.{name}.vocabulary: the tokenizer of {folder.name}, which has this vocabulary too, makes "
                f"other tokens of a text; give {name} a vocabulary of its own"
            )
