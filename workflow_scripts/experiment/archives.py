"""The archives that ir_datasets' collections are made from: their addresses, and where ir_datasets looks for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from workflow_scripts.storage.errors import InputError

BENCHMARKS = ("beir",)
"""Names of ir_datasets below which every collection has an archive of its own."""


class Archive(NamedTuple):
    """A published file.

    ``path``: where ir_datasets looks for it; ``notice``: the terms of its use; ``in_place``: read where it lies, not
    copied to IR_DATASETS_TMP before; ``size`` in bytes, None where it is not known.
    """

    path: Path
    addresses: tuple[str, ...]
    md5: str | None
    headers: tuple[tuple[str, str], ...]
    size: int | None
    notice: str | None
    in_place: bool


def family_of(name: str) -> str:
    """Id of the collections that may share archives with ``name``: beir-cqadupstack's twelve are one archive."""
    parts = name.split("/")
    return "-".join(parts[: 2 if parts[0] in BENCHMARKS else 1])


def families(config: Mapping) -> dict[str, dict[str, list[str]]]:
    """Family to its collections to the parts of them that an experiment reads: docs, queries, qrels, docpairs."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, part in sorted(set(_parts(config))):
        found.setdefault(family_of(name), {}).setdefault(name, []).append(part)
    return found


def _parts(config: Mapping) -> Iterator[tuple[str, str]]:
    for corpus in config["corpora"].values():
        if corpus["source"] == "ir_datasets":
            yield corpus["id"], "docs"
    for collection in config["collections"].values():
        if collection["source"] == "ir_datasets" and collection.get("pairs") != "titles":
            yield collection["id"], "queries"
            yield collection["id"], "docpairs" if collection.get("pairs") == "docpairs" else "qrels"


def ir_datasets() -> ModuleType:
    """The library, imported so that it looks for small archives where it looks for large ones."""
    os.environ.setdefault("IR_DATASETS_SMALL_FILE_SIZE", "0")  # read when it is imported
    import ir_datasets as library

    return library


def load(name: str, part: str) -> Any:
    """The collection ``name`` of ir_datasets; :class:`InputError` where there is none, or none with this part."""
    try:
        dataset = ir_datasets().load(name)
    except KeyError:
        raise InputError(f"ir_datasets has no collection {name!r}: see https://ir-datasets.com for its ids") from None
    if not getattr(dataset, f"has_{part}")():
        raise InputError(f"{name} of ir_datasets has no {part}: take another id of the same collection")
    return dataset


def archives_of(name: str, part: str) -> list[Archive]:
    """Archives that a part of the collection ``name`` is read from, without what ir_datasets has unpacked of it before.

    ir_datasets does not list them: they are found among what its readers hold. What it can fetch by itself alone (a
    password is asked for, a page must be visited) is not among them.
    """
    download = ir_datasets().util.Download
    held = _held(name, part, below=lambda each: not any(path.exists() for path in _unpacked(each)))
    return [archive for each in held if isinstance(each, download) for archive in _archive(each)]


def unpacked_of(name: str, part: str) -> list[Path]:
    """Where ir_datasets unpacks a part of the collection ``name``, and keeps its documents."""
    paths = [path for each in _held(name, part, below=lambda _: True) for path in _unpacked(each)]
    store = getattr(load(name, part).docs_store(), "path", None) if part == "docs" else None
    return [*paths, *([Path(store)] if isinstance(store, str) else [])]


def _held(name: str, part: str, below: Callable[[Any], bool]) -> Iterator[Any]:
    """Objects of ir_datasets that the reader of a part holds, and those that they hold where ``below`` says so."""
    seen, left = set(), [getattr(load(name, part), f"{part}_handler")()]
    while left:
        each = left.pop()
        if isinstance(each, list | tuple):
            left += each
        elif type(each).__module__.startswith("ir_datasets.") and id(each) not in seen:
            seen.add(id(each))
            yield each
            if below(each):
                left += vars(each).values()


def _unpacked(each: Any) -> list[Path]:
    from ir_datasets.util import Cache, TarExtractAll, ZipExtractCache

    return [Path(each.path(force=False))] if isinstance(each, Cache | TarExtractAll | ZipExtractCache) else []


def _archive(download: Any) -> Iterator[Archive]:
    from ir_datasets.util import LocalDownload, RequestsDownload

    remote = [mirror for mirror in download.mirrors if isinstance(mirror, RequestsDownload) and not mirror.auth]
    local = [mirror.path(force=False) for mirror in download.mirrors if isinstance(mirror, LocalDownload)]
    places = [Path(download._cache_path)] if download._cache_path else local
    if remote and places:
        yield Archive(
            path=places[0],
            addresses=tuple(mirror.url for mirror in remote),
            md5=download.expected_md5,
            headers=tuple((remote[0].headers or {}).items()),
            size=download._size_hint,
            notice=download.dua,
            in_place=download._cache_path is not None,
        )
