"""Ids: how sorted ones are looked up, and names that stand for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    import numpy as np

NO_TEACHER = "none"
"""What stands in the teacher's place of a student that reads no teacher's scores."""
NO_SYSTEMS = ("positive", "corpus", "fill")
"""What stands in the ranking system's place of groups' documents that no system has listed."""


def find_ids(ids: np.ndarray, wanted: Any) -> np.ndarray:
    """Places of ``wanted`` (text: list, numpy, pandas or arrow) in ``ids``, int64, -1 for those that are not there.

    ``ids``: bytes ('S'), sorted; a memory map will do. Bounded by one binary search for each *distinct* id.
    """
    import numpy as np

    encoded = as_arrow(wanted).dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    if not distinct:
        return np.empty(0, np.int64)
    texts = np.array([text.encode() for text in distinct])
    # A wider array would make searchsorted copy all ids; an id that is cut here fails the comparison.
    places = np.searchsorted(ids, texts.astype(ids.dtype)).clip(max=len(ids) - 1)
    places = np.where(ids[places] == texts, places, -1)
    return places[encoded.indices.to_numpy(zero_copy_only=False)]


def as_arrow(ids: Any) -> Any:
    """Any column of text as one arrow array."""
    import pyarrow as pa

    column = pa.array(ids, type=pa.string()) if not isinstance(ids, pa.Array | pa.ChunkedArray) else ids
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    # pandas gives large strings or dictionaries.
    return column if column.type == pa.string() else column.cast(pa.string())


def check_system(name: object) -> None:
    """Raise :class:`InputError` unless ``name`` can name a system: a word, and none that groups.parquet reserves."""
    if not isinstance(name, str) or not name or any(letter.isspace() for letter in name):
        raise InputError(f"the spec's system is {name!r}: give the ranking system a name without blanks")
    if name in NO_SYSTEMS:
        raise InputError(f"a ranking system cannot be called {name!r}: groups use that word for themselves")
