"""A text that is one argument of a command: Linux takes 131,071 bytes in one, however many there are."""

from __future__ import annotations

import base64
import zlib

from workflow_scripts.storage.errors import InputError

MOST = 2**17 - 1
PACKED = "zlib:"
"""What begins an argument that had to be packed."""


def packed(text: str) -> str:
    """The text, or where it is too long, its bytes packed by zlib in base64; :class:`InputError` beyond that."""
    if len(text.encode()) <= MOST:
        return text
    short = PACKED + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    if len(short) > MOST:
        raise InputError(f"settings of {len(text):,} bytes are more than a job can be given: take fewer seeds or cells")
    return short


def unpacked(text: str) -> str:
    """What :func:`packed` was given; ``ValueError`` for what it has not written."""
    if not text.startswith(PACKED):
        return text
    try:
        return zlib.decompress(base64.b64decode(text.removeprefix(PACKED), validate=True)).decode()
    except zlib.error as error:
        raise ValueError(str(error)) from None
