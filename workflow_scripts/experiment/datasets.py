"""Whether ir_datasets has what an experiment names: it knows its collections and their fields without a network."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

from workflow_scripts.experiment.archives import families, load
from workflow_scripts.storage.errors import InputError


def dataset_problems(config: Mapping) -> Iterator[str]:
    """Ids, parts and fields that ir_datasets lacks, as lines that name the key: a job says so after fetching all."""
    for axis in ("corpora", "collections"):
        for name, entry in config[axis].items():
            read = families({"corpora": {}, "collections": {}, axis: {name: entry}})
            parts = [part for datasets in read.values() for each in datasets.values() for part in each]
            try:
                yield from _problems(f"{axis}.{name}", entry, parts)
            except OSError:  # it makes its folder when it is loaded: the job that needs the folder says so
                return


def _problems(where: str, entry: Mapping, parts: Sequence[str]) -> Iterator[str]:
    wanted = {
        "docs": {"text_fields": entry.get("text_fields", ["text"]), "title_field": [entry.get("title_field")]},
        "queries": {"query_field": [entry.get("query_field", "text")]},
    }
    for part in parts:
        try:
            known = _fields(entry["id"], part)
        except InputError as error:
            yield f"{where}.id: {error}"
            return
        for key, fields in wanted.get(part, {}).items():
            for field in fields:
                if field is not None and field not in known:
                    yield f"{where}.{key}: {entry['id']} has no field {field!r}; it has {', '.join(known)}"


@functools.cache
def _fields(name: str, part: str) -> tuple[str, ...]:
    """Fields of a collection's documents or queries, none of its judgements; raises what :func:`load` does."""
    dataset = load(name, part)
    return getattr(dataset, f"{part}_cls")()._fields if part in ("docs", "queries") else ()
