"""Where a backbone comes from: a local folder or the Hugging Face hub, decided in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.models import model_folders, sentence_transformers
from workflow_scripts.storage.errors import InputError

HUB_ID = re.compile(r"(?=.{1,96}$)[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
READ = (".json", ".safetensors", ".txt", ".model")
"""Endings of the files of a model folder that decide what is loaded from it."""


def is_hub_id(source: str) -> bool:
    """Whether a source is of the Hugging Face hub by its name alone: no path, such as ``./model``, has such a one."""
    return source != "scratch" and HUB_ID.fullmatch(source) is not None


def local_folder(source: str) -> Path | None:
    """The folder that ``source`` names; None for a hub id and for ``scratch``.

    A source that starts with ``/``, ``.`` or ``~`` is a folder. Raises :class:`InputError` where there is none, where
    a hub id is a folder's name here too, and for what is neither.
    """
    if source == "scratch":
        return None
    is_path = source.startswith(("/", ".", "~"))
    try:
        folder = Path(source).expanduser() if is_path else Path(source)
        exists = folder.is_dir()
    except (RuntimeError, OSError, ValueError):  # no such user, a name too long, a NUL
        exists = False
    if exists and is_hub_id(source):
        raise InputError(f"{source} is a folder here and may be a hub id: write ./{source} for the folder")
    if is_hub_id(source):
        return None
    if not exists:
        raise InputError(f"no folder {source}; give a local model folder, a hub id or scratch")
    return folder


def brings_head(backbone: Mapping) -> bool:
    """Whether a backbone's cross-encoders start with a head that it brings: one made here does, a local one may.

    Of a hub model it is not known before it is fetched: False.
    """
    if backbone["source"] == "scratch":
        return True
    folder = local_folder(backbone["source"])
    config = model_folders.read_config(folder) if folder else {}
    named = config.get("architectures") or [""]
    return str(named[0]).endswith("ForSequenceClassification") and len(config.get("id2label") or ()) == 1


def local_files(source: str) -> list[str]:
    """Files of a local folder that decide what is loaded from it, sentence-transformers' settings of modules too."""
    folder = local_folder(source)
    if folder is None:
        return []
    own = [path for path in folder.glob("[!.]*") if path.suffix in READ]
    return sorted({*map(str, own), *map(str, sentence_transformers.files(folder))})
