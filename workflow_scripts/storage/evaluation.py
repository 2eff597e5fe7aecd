"""What every ranker is evaluated on, as ``gather_evaluation`` writes it beside the first stage's runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.runs import read_run
from workflow_scripts.storage.tables import read_table

KINDS = {
    "qrels": pa.schema([("query_id", pa.string()), ("doc_id", pa.string()), ("relevance", pa.int32())]),
    "queries": pa.schema([("query_id", pa.string())]),
}
"""Kind of table to its columns."""


def read_evaluation(manifest: str | Path, collection: str, kind: str) -> pd.DataFrame:
    """One of :data:`KINDS` of a collection; :class:`InputError` where the artifact has no such collection."""
    return read_table(Artifact(manifest).file(f"{collection}.{kind}.parquet"))


def read_candidates(manifest: str | Path, collection: str) -> pd.DataFrame:
    """The first stage's documents of each query: query_id, doc_id, rank, score, sorted by query and rank."""
    return read_run(Artifact(manifest).file(f"{collection}.run.gz"))
