"""Rankings: what a retrieval system lists for each query, one or more systems in an artifact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import Artifact, InputError

RANKING_FILE = "ranking.parquet"
RANKING_SCHEMA = pa.schema(
    [
        ("system", pa.dictionary(pa.int32(), pa.string())),
        ("query_id", pa.string()),
        ("doc_id", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float64()),
    ]
)
"""Rows sorted by (system, query_id, rank), ranks from 1; ``score`` is null where the source publishes none."""


def read_ranking(manifest: str | Path, depth: int | None = None) -> pd.DataFrame:
    """Read a ranking artifact: system, query_id, doc_id, rank, score (NaN where unknown), sorted by system, query, rank.

    ``depth`` keeps the first so many ranks. Raises :class:`InputError` where the artifact holds no ranking.
    """
    path = Artifact(manifest).file(RANKING_FILE)
    filters = None if depth is None else [("rank", "<=", depth)]
    try:
        table = pq.read_table(path, columns=RANKING_SCHEMA.names, filters=filters)
    except (pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"{path} is not a ranking ({error}): delete {manifest} to make it again") from None
    return table.to_pandas()


def systems(manifest: str | Path) -> list[str]:
    """Names of the systems in a ranking artifact, sorted."""
    table = pq.read_table(Artifact(manifest).file(RANKING_FILE), columns=["system"])
    return sorted(table.column("system").unique().to_pylist())
