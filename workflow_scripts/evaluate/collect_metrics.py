"""Put the metrics of all rankers into one long table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.analysis.measures import KEYS, METRICS_FILE, METRICS_SCHEMA
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError


def collect_metrics(*, metrics: Sequence[Path], output: Path) -> None:
    """Concatenate metrics, ordered by their rankers' keys and collections, whatever the order of ``metrics``.

    A ranker is measured once on each collection, in any number of evaluation sets; the output is sorted without holding
    more than one ranker. Raises :class:`InputError` for what is measured twice.
    """
    measured: dict[tuple, dict[str, Artifact]] = {}
    for artifact in map(Artifact, metrics):
        *texts, seed = (artifact.spec["keys"].get(key) for key in KEYS)
        key = (*(text or "" for text in texts), -1 if seed is None else seed)
        own = measured.setdefault(key, {})
        for collection in artifact.spec["measures"]:
            if collection in own:
                paths = f"{artifact.manifest_path} and {own[collection].manifest_path}"
                raise InputError(f"{paths} both measure {' '.join(map(str, key))} on {collection}: give one of them")
            own[collection] = artifact
    with atomic_path(output) as partial, pq.ParquetWriter(partial, METRICS_SCHEMA, compression="zstd") as writer:
        for key in sorted(measured):
            writer.write_table(_of_one_ranker(measured[key].values()))


def _of_one_ranker(artifacts: Iterable[Artifact]) -> pa.Table:
    """A ranker's rows on all its sets, sorted by collection, query and measure."""
    files = {artifact.manifest_path: artifact.file(METRICS_FILE) for artifact in artifacts}
    # As text: dictionaries of several tables would keep the order in which these were given.
    texts = pa.schema(
        [(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in METRICS_SCHEMA]
    )
    table = pa.concat_tables(pq.read_table(file).cast(texts) for file in files.values())
    # Each set's rows are sorted, and the sort is stable.
    return table.take(pc.sort_indices(table["collection"])).combine_chunks().cast(METRICS_SCHEMA)


if __name__ == "__main__":
    run(collect_metrics)
