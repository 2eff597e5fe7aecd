"""What an experiment left on disk: runs, judgements and tables, read without the project's own readers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path

import ir_measures
import pandas as pd
import pyarrow.parquet as pq
from scipy.stats import rankdata

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
        return _measured(self._path(self.stands(cell), seed, collection), self._qrels(collection), measure)

    def run(self, cell: Cell, seed: int | None, collection: str) -> pd.DataFrame:
        """The run of a ranker, see :func:`read_run`."""
        return read_run(self._path(self.stands(cell), seed, collection))

    def mean(self, cell: Cell, seed: int | None, weights: Mapping[str, float], measure: str) -> float:
        """Weighted mean of the collections' means."""
        means = {name: pd.Series(self.of(cell, seed, name, measure)).mean() for name in weights}
        return sum(weight * means[name] for name, weight in weights.items())

    def _path(self, cell: Cell, seed: int | None, collection: str) -> Path:
        student, loss, sampler, teacher = cell
        ranker = f"{student}/{loss}.{sampler}.{teacher}/seed{seed}" if loss else f"{student}/{teacher}".rstrip("/")
        place = self._folder / "runs" / ("retrieved" if self._retrieved else "") / ranker
        (path,) = place.glob(f"*/{collection}.run.gz")
        return path

    def _qrels(self, collection: str) -> Path:
        return self._folder / "collections" / collection / "qrels.parquet"


@cache
def read_run(path: Path) -> pd.DataFrame:
    """A TREC run: query, document, rank, score."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.split() for line in file]
    frame = pd.DataFrame(rows, columns=["query", "Q0", "document", "rank", "score", "tag"])
    return frame.assign(rank=frame["rank"].astype(int), score=frame["score"].astype(float))


@cache
def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Query to document to grade."""
    found: dict[str, dict[str, int]] = {}
    for query, document, grade in pd.read_parquet(path).itertuples(index=False, name=None):
        found.setdefault(query, {})[document] = int(grade)
    return found


@cache
def _measured(run: Path, qrels: Path, measure: str) -> dict[str, float]:
    """One measure by itself; a judged query that was not ranked has 0, one without pairs to order no risk."""
    judged, ranking = read_qrels(qrels), read_run(run)
    if measure == RISK:
        return {query: risk for query, rows in ranking.groupby("query") for risk in _risk(rows, judged.get(query, {}))}
    scores: dict[str, dict[str, float]] = {}
    for query, document, rank in ranking[["query", "document", "rank"]].itertuples(index=False, name=None):
        if query in judged:
            scores.setdefault(query, {})[document] = 1 / rank
    found = ir_measures.iter_calc([ir_measures.parse_measure(measure)], judged, scores)
    return dict.fromkeys(judged, 0.0) | {each.query_id: each.value for each in found}


def _risk(rows: pd.DataFrame, judged: Mapping[str, int]) -> Iterator[float]:
    """Share of a query's pairs of different grades that are ordered wrong, ties half: Mann and Whitney's statistic."""
    grades = rows["document"].map(judged).fillna(0).to_numpy()
    scores, wrong, pairs = rows["score"].to_numpy(), 0.0, 0
    levels = sorted(set(grades))
    for place, low in enumerate(levels):
        for high in levels[place + 1 :]:
            worse, better = scores[grades == low], scores[grades == high]
            both = len(worse) * len(better)
            ranks = rankdata([*better, *worse])[: len(better)]
            wrong += both - (ranks.sum() - len(better) * (len(better) + 1) / 2)
            pairs += both
    if pairs:
        yield wrong / pairs


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
