"""Typed Parquet tables (zstd), and the numbers of tables for people with the spec that they were made by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.errors import InputError

SPEC = b"distillery.spec"
"""Key of the spec in the metadata of a Parquet file of numbers."""

if TYPE_CHECKING:
    # Arrow imports pandas where a table becomes a frame; training, which needs none, starts half a second sooner.
    import pandas as pd


def write_table(path: str | Path, columns: Mapping | pd.DataFrame | pa.Table, schema: pa.Schema) -> None:
    """Write ``columns`` as Parquet with exactly the types of ``schema``; the caller has sorted the rows.

    Raises ``KeyError`` for a missing column and ``pyarrow.ArrowInvalid`` for a value its type cannot hold.
    """
    if isinstance(columns, pa.Table):
        table = columns.select(schema.names).cast(schema)
    elif isinstance(columns, Mapping):
        table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    else:
        table = pa.Table.from_pandas(columns, schema=schema, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table whole (or some columns); :class:`InputError` where it is not Parquet or lacks a column."""
    return read_arrow(path, columns).to_pandas()


def read_arrow(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """As :func:`read_table`, for a job that needs no pandas."""
    try:
        return pq.read_table(path, columns=list(columns) if columns else None)
    except (pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"{path} cannot be read as the table expected here ({error}): make it again") from None


def write_numbers(path: str | Path, frame: pd.DataFrame, spec: Mapping) -> None:
    """Write a table's numbers in full precision, with the ``spec`` that they were made by."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    about = dict(table.schema.metadata or {}) | {SPEC: json.dumps(spec).encode()}
    with atomic_path(path) as partial:
        pq.write_table(table.replace_schema_metadata(about), partial, compression="zstd")


def read_numbers(path: str | Path) -> tuple[pd.DataFrame, dict]:
    """A table's numbers and their spec; :class:`InputError` for a file without a spec."""
    table = read_arrow(path)
    if SPEC not in (table.schema.metadata or {}):
        raise InputError(f"{path} does not say what it was made by: make it again")
    return table.to_pandas(), json.loads(table.schema.metadata[SPEC])
