"""Download one published file and check it: the file lies beside the manifest, under the name in its address."""

from __future__ import annotations

import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError, raise_shortage
from workflow_scripts.storage.progress import Progress

BLOCK = 2**20
TIMEOUT_S = 60
SCHEMES = ("https", "file")  # file: a copy on a mirror or a shared disk


def download_file(spec: Mapping, output: Path) -> None:
    """Download ``spec["url"]`` (https) and hold it to ``spec["sha256"]``.

    What has come is kept as ``{name}.part``, and a later call goes on from there where the checksum is pinned: only it
    can tell that the parts belong together. Without one (null) the download starts over and the manifest records the
    checksum found, to be pinned. Raises :class:`InputError` for another scheme, a failed download, another checksum.
    """
    url, pinned = _check_spec(spec)
    name = _name(url)
    part = Path(output).parent / f"{name}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    if pinned is None:
        print(f"warning: no checksum is pinned for {url}", file=sys.stderr, flush=True)
        part.unlink(missing_ok=True)
    _fetch(url, part)
    found = sha256(part)
    if pinned is not None and found != pinned:
        part.unlink()
        raise InputError(f"{url} has the checksum {found}, not the pinned {pinned}: check what was published")
    with ArtifactWriter(output, kind="downloads", spec=spec) as writer:
        os.replace(part, writer.path(name))
        writer.counts["sha256"] = found


def _check_spec(spec: Mapping) -> tuple[str, str | None]:
    url, pinned = spec["url"], spec["sha256"]
    try:
        valid = urllib.parse.urlparse(url).scheme in SCHEMES and re.fullmatch(r"\w[\w.-]*", _name(url))
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"{url!r} is no address of a file: it must begin with https:// and end with a file's name")
    return url, pinned


def _name(url: str) -> str:
    return Path(urllib.parse.unquote(urllib.parse.urlparse(url).path)).name


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but never off https."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urllib.parse.urlparse(newurl).scheme != "https":
            raise InputError(f"{req.full_url} redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str, part: Path) -> None:
    """Bring ``part`` to the file's full length; the network bounds it."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "distillery", "Accept-Encoding": "identity"}
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


if __name__ == "__main__":
    run(download_file)
