"""What every ranker is evaluated on, as ``gather_evaluation`` writes it: three tables for each test collection."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.rankings import RANKING_SCHEMA
from workflow_scripts.storage.tables import read_table

KINDS = {
    "candidates": pa.schema([RANKING_SCHEMA.field(name) for name in ("query_id", "doc_id", "rank", "score")]),
    "qrels": pa.schema([("query_id", pa.string()), ("doc_id", pa.string()), ("relevance", pa.int32())]),
    "queries": pa.schema([("query_id", pa.string())]),
}
"""Kind of table to its columns; candidates are sorted by (query_id, rank)."""


def read_evaluation(manifest: str | Path, collection: str, kind: str, columns: list[str] | None = None) -> pd.DataFrame:
    """One of :data:`KINDS` of a collection; :class:`InputError` where the artifact has no such collection."""
    return read_table(Artifact(manifest).file(f"{collection}.{kind}.parquet"), columns=columns)
