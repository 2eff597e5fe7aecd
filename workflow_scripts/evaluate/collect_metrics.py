"""Put the metrics of all rankers into one long table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.analysis.measures import KEYS, METRICS_FILE, METRICS_SCHEMA
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError


def collect_metrics(*, metrics: Sequence[Path], output: Path) -> None:
    """Concatenate metrics, ordered by their keys, whatever the order of ``metrics``.

    One ranker is one input, so the output is sorted without holding more than one of them. Raises :class:`InputError`
    for another schema, an input with no rows or several rankers, and a ranker given twice.
    """
    files: dict[tuple, Path] = {}
    for manifest in metrics:
        path = Artifact(manifest).file(METRICS_FILE)
        key = _ranker(path)
        if key in files:
            raise InputError(f"{path} and {files[key]} both measure {_describe(key)}: give each ranker once")
        files[key] = path
    with atomic_path(output) as partial, pq.ParquetWriter(partial, METRICS_SCHEMA, compression="zstd") as writer:
        for key in sorted(files, key=_order):
            writer.write_table(pq.read_table(files[key]).replace_schema_metadata(None))


def _ranker(path: Path) -> tuple:
    """The one ranker that a metrics file measures: (student, loss, sampler, teacher, seed)."""
    try:
        schema = pq.read_schema(path).remove_metadata()
    except pa.ArrowInvalid:
        raise InputError(f"{path} is not Parquet: delete its folder and measure again") from None
    if not schema.equals(METRICS_SCHEMA):
        raise InputError(f"{path} has other columns than metrics have: delete its folder and measure again")
    table = pq.read_table(path, columns=list(KEYS))
    values = [table.column(name).unique().to_pylist() for name in KEYS]
    if any(len(value) != 1 for value in values):
        raise InputError(
            f"{path} measures {max(map(len, values))} rankers, not one: delete its folder and measure again"
        )
    return tuple(value[0] for value in values)


def _order(key: tuple) -> tuple:
    *texts, seed = key
    return (*texts, -1 if seed is None else seed)


def _describe(key: tuple) -> str:
    return " ".join(f"{name}={value}" for name, value in zip(KEYS, key, strict=True) if value not in ("", None))


if __name__ == "__main__":
    run(collect_metrics)
