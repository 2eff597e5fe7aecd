"""What an experiment left on disk: runs, judgements and tables, read without the project's own readers."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from statistics import fmean

import ir_measures
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

Cell = tuple[str, str, str, str]
"""Student, loss, sampler, teacher."""
RISK = "excess risk"
NO_TEACHER = "none"
KEYS = ["student", "loss", "sampler", "teacher", "seed", "collection", "measure"]


class Values:
    """Measures of rankers on queries, recomputed from their runs the first time they are asked for."""

    def __init__(self, folder: Path, written: pd.DataFrame, retrieved: bool) -> None:
        self._folder, self._retrieved = folder, retrieved
        places = written[KEYS].drop_duplicates().astype(object).itertuples(index=False, name=None)
        self.places = {
            (tuple(each[:4]), None if pd.isna(each[4]) else int(each[4]), each[5], each[6]) for each in places
        }
        self.cells = {cell for cell, *_ in self.places}
        self._measured: dict[tuple, dict[str, float]] = {}
        self._measures = {(collection, measure) for _, _, collection, measure in self.places}

    def stands(self, cell: Cell) -> Cell:
        """The ranker of a cell: of all teachers' cells one, where it reads no teacher."""
        alone = (*cell[:3], NO_TEACHER)
        return alone if cell not in self.cells and alone in self.cells else cell

    def seeds(self, cell: Cell) -> list[int | None]:
        """Seeds that a cell was measured with; [None] of a reference."""
        return sorted({seed for ranker, seed, *_ in self.places if ranker == self.stands(cell)}, key=lambda s: s or 0)

    def has(self, collections: Mapping | list, measure: str) -> bool:
        """Whether all the collections have a measure."""
        return all((name, measure) in self._measures for name in collections)

    def of(self, cell: Cell, seed: int | None, collection: str, measure: str) -> dict[str, float]:
        """Query to value."""
        key = cell, seed, collection, measure
        if key not in self._measured:
            path = self.path(cell, seed, collection)
            self._measured[key] = _measure(path, self._folder / "collections" / collection / "qrels.parquet", measure)
        return self._measured[key]

    def run(self, cell: Cell, seed: int | None, collection: str) -> pd.DataFrame:
        """The run of a ranker, see :func:`read_run`."""
        return read_run(self.path(cell, seed, collection))

    def path(self, cell: Cell, seed: int | None, collection: str) -> Path:
        """Where a ranker's run lies."""
        student, loss, sampler, teacher = self.stands(cell)
        ranker = f"{student}/{loss}.{sampler}.{teacher}/seed{seed}" if loss else f"{student}/{teacher}".rstrip("/")
        place = self._folder / "runs" / ("retrieved" if self._retrieved else "") / ranker
        (path,) = place.glob(f"*/{collection}.run.gz")
        return path

    def mean(self, cell: Cell, seed: int | None, weights: Mapping[str, float], measure: str) -> float:
        """Weighted mean of the collections' means."""
        return sum(weight * fmean(self.of(cell, seed, name, measure).values()) for name, weight in weights.items())


@lru_cache(maxsize=8)
def read_run(path: Path) -> pd.DataFrame:
    """A TREC run: query, document, rank, score."""
    types = {"query": object, "Q0": object, "document": object, "rank": int, "score": object, "tag": object}
    options = {"keep_default_na": False, "quoting": csv.QUOTE_NONE}
    frame = pd.read_csv(path, sep=" ", names=list(types), dtype=types, **options)
    return frame.assign(score=frame["score"].map(float))  # every digit, which pandas' own reader does not promise


@cache
def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Query to document to grade."""
    found: dict[str, dict[str, int]] = {}
    for query, document, grade in pq.read_table(path).to_pandas().astype(object).itertuples(index=False, name=None):
        found.setdefault(query, {})[document] = int(grade)
    return found


@lru_cache(maxsize=8)
def by_query(run: Path) -> dict[str, dict[str, tuple[int, float]]]:
    """Query to document to its rank and score."""
    found: dict[str, dict[str, tuple[int, float]]] = {}
    columns = (read_run(run)[name].tolist() for name in ("query", "document", "rank", "score"))
    for query, document, rank, score in zip(*columns, strict=True):
        found.setdefault(query, {})[document] = rank, score
    return found


def _measure(run: Path, qrels: Path, measure: str) -> dict[str, float]:
    """One measure by itself; a judged query that was not ranked has 0, one without pairs to order no risk."""
    judged, ranked = read_qrels(qrels), by_query(run)
    if measure == RISK:
        risks = {query: _risk(rows, judged.get(query, {})) for query, rows in ranked.items()}
        return {query: risk for query, risk in risks.items() if risk is not None}
    scores = {q: {d: 1 / rank for d, (rank, _) in ranked[q].items()} for q in judged if q in ranked}
    found = ir_measures.iter_calc([ir_measures.parse_measure(measure)], judged, scores)
    return dict.fromkeys(judged, 0.0) | {each.query_id: each.value for each in found}


def _risk(rows: Mapping[str, tuple[int, float]], judged: Mapping[str, int]) -> float | None:
    """Share of a query's pairs of different grades that are ordered wrong, ties half: every pair is looked at."""
    grades = np.array([judged.get(document, 0) for document in rows])
    scores = np.array([score for _, score in rows.values()])
    better = grades[:, None] > grades
    wrong = (better & (scores[:, None] < scores)).sum() + (better & (scores[:, None] == scores)).sum() / 2
    return float(wrong / better.sum()) if better.any() else None


def temperature(calibration: Path) -> float:
    """What a teacher's labels were divided by."""
    return json.loads((calibration / "manifest.json").read_text())["counts"]["temperature"]


def derived(seed: int, *parts: str) -> int:
    """The seed of a draw that is repeated as it was made: BLAKE2b over what it is for."""
    text = "\0".join([str(seed), *parts])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class Sources:
    """An experiment's results folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @cached_property
    def written(self) -> dict[str, pd.DataFrame]:
        """The long tables of metrics that are there: of re-ranking, and of retrieval."""
        paths = {name: self.folder / f"{name}.parquet" for name in ("metrics", "retrieval")}
        return {name: pd.read_parquet(path) for name, path in paths.items() if path.exists()}

    @cached_property
    def values(self) -> dict[str, Values]:
        """Recomputed values by the name of the long table."""
        return {name: Values(self.folder, frame, name == "retrieval") for name, frame in self.written.items()}

    @property
    def tables(self) -> list[str]:
        """Names of the tables that are there."""
        return sorted(path.stem for path in (self.folder / "tables").glob("*.csv"))

    def numbers(self, name: str) -> tuple[pd.DataFrame, dict]:
        """A table's numbers, and the settings that it was computed by; of a table without numbers its CSV."""
        path = self.folder / "analysis" / f"{name}.parquet"
        if not path.exists():
            return pd.read_csv(self.folder / "tables" / f"{name}.csv"), {}
        table = pq.read_table(path)
        return table.to_pandas(), json.loads(table.schema.metadata[b"distillery.spec"])
