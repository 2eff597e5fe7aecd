"""Artifacts made by hand, for tests of whatever reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.runs import write_run
from workflow_scripts.storage.tables import write_table


def artifact(
    manifest: Path,
    files: Mapping[str, object],
    *,
    kind: str = "test",
    spec: Mapping | None = None,
    inputs: Mapping[str, Path | Sequence[Path]] | None = None,
    counts: Mapping | None = None,
) -> Path:
    """Write an artifact; its manifest's path.

    ``files``: name to columns with their schema, a frame (of a run, or as it is), a table, an array, a text or bytes.
    """
    with ArtifactWriter(manifest, kind=kind, spec=spec or {}, inputs=inputs) as writer:
        for name, content in files.items():
            path = writer.path(name)
            if isinstance(content, tuple):
                write_table(path, *content)
            elif isinstance(content, pd.DataFrame):
                write_run(path, content, "test") if name.endswith(".run.gz") else content.to_parquet(path)
            elif isinstance(content, pa.Table):
                pq.write_table(content, path)
            elif isinstance(content, np.ndarray):
                np.save(path, content)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        writer.counts |= counts or {}
    return manifest
