"""Addresses that files are downloaded from: what stands in their place, and which of them are files of this machine."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from pathlib import Path


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
    """The file that a ``file:`` address names, as urllib reads it; None for another address."""
    parsed = urllib.parse.urlparse(url)
    query = f"?{parsed.query}" if parsed.query else ""
    return urllib.parse.unquote(parsed.path + query) if parsed.scheme == "file" else None


def copied_file(url: str, mirrors: Mapping[str, str], pinned: str | None) -> str | None:
    """The file of this machine that a download copies, whose change gives another copy; None where there is none.

    A mirror counts only where no checksum is ``pinned``: it could not give another file.
    """
    path = None
    for address in [url] if pinned else addresses_of(url, mirrors):
        path = file_of(address)
        if path is None or Path(path).is_file():
            break
    return path
