"""One published file brought here: from the first address that gives it, resumed where it broke off."""

from __future__ import annotations

import hashlib
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from workflow_scripts.storage.errors import InputError, raise_shortage
from workflow_scripts.storage.progress import Progress

BLOCK = 2**20
TIMEOUT_S = 60


def fetch(
    addresses: Sequence[str],
    part: Path,
    *,
    algorithm: str,
    pinned: str | None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Bring ``part`` to the whole of the file at the first of ``addresses`` that gives it; returns its checksum.

    What has come of it stays there, and a later call goes on from it where a checksum is ``pinned``: only it can tell
    that the parts belong together, and that the file is the right one. Raises :class:`InputError` for the last address
    that failed, or whose file has another checksum. Bounded by the network.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    for number, address in enumerate(addresses, 1):
        if pinned is None:
            print(f"warning: no checksum is pinned for {address}", file=sys.stderr, flush=True)
            part.unlink(missing_ok=True)
        try:
            _receive(address, part, headers or {}, checked=pinned is not None)
            found = checksum(part, algorithm)
            if found != (pinned or found):
                part.unlink()
                raise InputError(
                    f"{address} has the checksum {found}, not the pinned {pinned}: check what was published"
                )
            return found
        except InputError as error:
            if number == len(addresses):
                raise
            print(f"{error}; the next address is tried", file=sys.stderr, flush=True)
    raise ValueError("no address is given")


def checksum(path: Path, algorithm: str) -> str:
    """Checksum of a file, md5 or sha256, in hex; bounded by reading it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but never off https."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        schemes = [urllib.parse.urlparse(url).scheme for url in (req.full_url, newurl)]
        if schemes[1] != "https" and schemes != ["http", "http"]:
            raise InputError(f"{req.full_url} redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(url: str, part: Path, headers: Mapping[str, str], *, checked: bool) -> None:
    schemes = ("https", "file", "http") if checked else ("https", "file")
    if urllib.parse.urlparse(url).scheme not in schemes:
        raise InputError(f"{url!r} must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "distillery", "Accept-Encoding": "identity", **headers}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        opener = urllib.request.build_opener(_SecureRedirects)
        with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as response:
            resumed = getattr(response, "status", None) == 206
            length = response.headers.get("Content-Length")
            total = int(length) + (start if resumed else 0) if length else None
            with open(part, "ab" if resumed else "wb") as file:
                _copy(response, file, total)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing lies beyond what has come
            return
        raise InputError(f"{url} cannot be downloaded ({error}): check the address") from None
    except (OSError, HTTPException, ValueError) as error:
        raise_shortage(error)
        raise InputError(f"{url} cannot be downloaded ({error}): run again to go on") from None
    if total is not None and part.stat().st_size != total:
        raise InputError(f"{url} broke off at {part.stat().st_size:,} of {total:,} bytes: run again to go on")


def _copy(response: BinaryIO, file: BinaryIO, total: int | None) -> None:
    progress = Progress(total and total / 2**20, "MB downloaded")
    progress.add(file.tell() / 2**20)
    while block := response.read(BLOCK):
        file.write(block)
        progress.add(len(block) / 2**20)
