"""Download one published file and check it: the file lies beside the manifest, under the name in its address."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.collect.transfer import fetch
from workflow_scripts.experiment.addresses import addresses_of
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError


def download_file(spec: Mapping, output: Path, source: Path | None = None) -> None:
    """Download ``spec["url"]`` (https, or file: a copy), or it from one of ``mirrors``, and hold it to ``sha256``.

    ``source``: the file that such an address names, whose change makes another artifact.
    What has come is kept as ``{name}.part``, and a later call goes on from there where the checksum is pinned. Without
    one (null) the download starts over and the manifest records the checksum found, to be pinned. Raises
    :class:`InputError` for another scheme, a failed download, another checksum.
    """
    url = spec["url"]
    name = _name(url)
    part = Path(output).parent / f"{name}.part"
    found = fetch(addresses_of(url, spec.get("mirrors", {})), part, algorithm="sha256", pinned=spec["sha256"])
    with ArtifactWriter(output, kind="downloads", spec=spec) as writer:
        os.replace(part, writer.path(name))
        writer.counts["sha256"] = found


def _name(url: str) -> str:
    try:
        name = Path(urllib.parse.unquote(urllib.parse.urlparse(url).path)).name
    except ValueError:
        name = ""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"{url!r} is no address of a file: it must end with a file's name")
    return name


if __name__ == "__main__":
    run(download_file)
