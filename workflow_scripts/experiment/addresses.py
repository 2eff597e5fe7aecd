"""Addresses that files are downloaded from: what stands in their place, and which of them are files of this machine."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping


def addresses_of(url: str, mirrors: Mapping[str, str]) -> list[str]:
    """Where to look for ``url``: at the mirrors whose key it begins with, the longest key first, then itself."""
    keys = sorted((key for key in mirrors if url.startswith(key)), key=len, reverse=True)
    return [mirrors[key] + url.removeprefix(key) for key in keys] + [url]


def is_address(url: str, *schemes: str) -> bool:
    """Whether ``url`` has one of these schemes, and an absolute path of this machine where it is a file's."""
    parsed = urllib.parse.urlparse(url)
    here = parsed.netloc in ("", "localhost") and parsed.path.startswith("/")
    return parsed.scheme in schemes and (here or parsed.scheme != "file")


def file_of(url: str) -> str | None:
    """The file that a ``file:`` address names, as urllib reads it; None for another address.

    A mirror's file is not one: it is a copy of what stands at the address, and may go once it was read.
    """
    parsed = urllib.parse.urlparse(url)
    query = f"?{parsed.query}" if parsed.query else ""
    return urllib.parse.unquote(parsed.path + query) if parsed.scheme == "file" else None
