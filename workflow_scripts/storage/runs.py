"""TREC run files, gzipped: ``query_id Q0 doc_id rank score tag``."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

CHUNK_LINES = 2**16
_TYPES = {"query_id": pa.string(), "doc_id": pa.string(), "rank": pa.int64(), "score": pa.float64()}
_READ = csv.ReadOptions(column_names=["query_id", "Q0", "doc_id", "rank", "score", "tag"], use_threads=False)
_PARSE = csv.ParseOptions(delimiter=" ", quote_char=False, double_quote=False, ignore_empty_lines=False)
_CONVERT = csv.ConvertOptions(column_types=_TYPES, include_columns=list(_TYPES), null_values=[])


def order_run(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by query, then score descending, then document id; adds ``rank`` from 1 within each query.

    Raises :class:`InputError` for a NaN score or a document listed twice for one query.
    """
    if frame["score"].isna().any():
        bad = frame[frame["score"].isna()].iloc[0]
        raise InputError(
            f"the score of query {bad.query_id}, document {bad.doc_id} is NaN: look at the model's training"
        )
    double = frame.duplicated(["query_id", "doc_id"])
    if double.any():
        bad = frame[double].iloc[0]
        raise InputError(f"query {bad.query_id} lists document {bad.doc_id} twice: a run names a document once")
    frame = frame.sort_values(["query_id", "score", "doc_id"], ascending=[True, False, True], kind="stable")
    return frame.assign(rank=frame.groupby("query_id", sort=False).cumcount() + 1).reset_index(drop=True)


def write_run(path: str | Path, frame: pd.DataFrame, tag: str) -> None:
    """Write a run from columns query_id, doc_id, score; the same frame gives the same bytes."""
    ordered = order_run(frame)
    # No name and no time in the gzip header: identical runs have identical checksums.
    with open(path, "wb") as file, gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
        for first in range(0, len(ordered), CHUNK_LINES):
            part = ordered.iloc[first : first + CHUNK_LINES]
            rows = zip(*(part[name].tolist() for name in ("query_id", "doc_id", "rank", "score")), strict=True)
            # Nine digits keep a float32 exact.
            lines = (f"{query} Q0 {document} {rank} {score:.9g} {tag}\n" for query, document, rank, score in rows)
            zipped.write("".join(lines).encode())


def read_run(path: str | Path) -> pd.DataFrame:
    """Read a run: query_id, doc_id (text), rank (int), score (float); :class:`InputError` for a broken line."""
    try:
        with gzip.open(path) as file:
            return csv.read_csv(file, _READ, _PARSE, _CONVERT).to_pandas()
    except pa.ArrowInvalid:
        return _read_lines(path)  # names the line, if one is broken, and knows an empty run


def _read_lines(path: str | Path) -> pd.DataFrame:
    """:func:`read_run` at a sixth of its speed."""
    rows: list[tuple[str, str, int, float]] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                query, _, document, rank, score, _ = line.split()
                rows.append((query, document, int(rank), float(score)))
            except ValueError:
                raise InputError(f"{path}, line {number} is not a TREC run line: {line.strip()!r}") from None
    return pd.DataFrame(rows, columns=list(_TYPES))


def run_on(collection: str, manifests: Sequence[str | Path]) -> pd.DataFrame:
    """:func:`read_run` of a collection in a ranker's runs, whose manifests are one an evaluation set."""
    name = f"{collection}.run.gz"
    for artifact in map(Artifact, manifests):
        if name in artifact:
            return read_run(artifact.file(name))
    raise InputError(f"none of {', '.join(map(str, manifests))} has a run of {collection}: make the runs again")


def by_ranker(manifests: Sequence[Path], rankers: int) -> list[Sequence[Path]]:
    """Manifests of so many rankers' runs, one ranker's after the other's, as one sequence a ranker."""
    sets, left = divmod(len(manifests), rankers or 1)
    if left:
        raise InputError(f"{len(manifests)} manifests of runs are not as many for each of {rankers} rankers")
    return [manifests[place : place + sets] for place in range(0, len(manifests), sets or 1)]
