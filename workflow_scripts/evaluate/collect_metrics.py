"""Put the metrics of all rankers into one long table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.analysis.measures import KEYS, METRICS_FILE, METRICS_SCHEMA
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError


def collect_metrics(*, metrics: Sequence[Path], output: Path) -> None:
    """Concatenate metrics, ordered by their rankers' keys, whatever the order of ``metrics``.

    One ranker is one input, so the output is sorted without holding more than one of them. Raises :class:`InputError`
    for a ranker given twice.
    """
    rankers: dict[tuple, Artifact] = {}
    for artifact in map(Artifact, metrics):
        *texts, seed = (artifact.spec["keys"].get(key) for key in KEYS)
        key = (*(text or "" for text in texts), -1 if seed is None else seed)
        if key in rankers:
            paths = f"{artifact.manifest_path} and {rankers[key].manifest_path}"
            raise InputError(f"{paths} both measure {' '.join(map(str, key))}: give each ranker once")
        rankers[key] = artifact
    with atomic_path(output) as partial, pq.ParquetWriter(partial, METRICS_SCHEMA, compression="zstd") as writer:
        for key in sorted(rankers):
            writer.write_table(pq.read_table(rankers[key].file(METRICS_FILE)).replace_schema_metadata(None))


if __name__ == "__main__":
    run(collect_metrics)
