"""Per-query effectiveness of every ranker, complete or refused: what paired tests and intervals are made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.ids import NO_TEACHER

RANKER = KEYS[:4]
RankerKey = tuple[str, str, str, str]
"""Student, loss, sampler, teacher (:data:`RANKER`); a reference has empty texts."""


def standing_at(key: RankerKey, measured: Collection[RankerKey]) -> RankerKey:
    """The ranker that stands at a place of a table: itself, or the student that reads no teacher.

    Such a student is trained and measured once, and stands at the places of all teachers.
    """
    student, loss, sampler, _ = key
    teacherless = (student, loss, sampler, NO_TEACHER)
    return teacherless if tuple(key) not in measured and teacherless in measured else tuple(key)


class QueryValues:
    """The long table of metrics as arrays over queries: of a collection and measure, all rankers' in one order.

    ``metrics``: a file, which is read one row group at a time, or parts of such a table in turn; eight bytes a value
    are kept. ``measures`` leaves out all others. Raises
    :class:`InputError` for a query that one ranker was measured on and another not, and for a value given twice.
    """

    def __init__(self, metrics: str | Path | Iterable[pd.DataFrame], measures: Sequence[str] | None = None) -> None:
        self._queries: dict[tuple[str, str], dict[str, int]] = {}
        self._values: dict[tuple, np.ndarray] = {}
        self._totals: dict[tuple, float] = {}
        self._listed: dict[tuple[str, str], tuple[pa.Array, np.ndarray]] = {}
        parts: dict[tuple, list[tuple[np.ndarray, np.ndarray]]] = {}
        for rows in row_groups(metrics) if isinstance(metrics, str | Path) else metrics:
            if measures is not None:
                rows = rows[rows["measure"].isin(measures)]
            if rows.empty:
                continue
            names = [*KEYS, "collection", "measure"]
            groups = rows.groupby(names, observed=True, dropna=False)
            totals, numbers = groups["value"].sum(), groups.ngroup().to_numpy()
            order, ends = np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))
            queries, values = pa.array(rows["query_id"]), rows["value"].to_numpy(dtype=float)
            for ((*ranker, seed, collection, measure), total), own in zip(
                totals.items(), np.split(order, ends[:-1]), strict=True
            ):
                key = (*ranker, None if pd.isna(seed) else int(seed), collection, measure)
                index = self._places(collection, measure, queries.take(pa.array(own)))
                parts.setdefault(key, []).append((index, values[own]))
                self._totals[key] = self._totals.get(key, 0.0) + total
        for key in list(parts):
            self._values[key] = self._joined(key, parts.pop(key))
        self._seeds: dict[RankerKey, set[int | None]] = {}
        for key in self._values:
            self._seeds.setdefault(key[:4], set()).add(key[4])
        if not self._values:
            named = metrics if isinstance(metrics, str | Path) else "what was measured"
            raise InputError(f"{named} holds none of {measures or 'any measure'}: measure some runs first")

    def _places(self, collection: str, measure: str, queries: pa.Array) -> np.ndarray:
        """Where queries stand in the arrays; looked up once for all rankers that list the same ones in one order."""
        listed, index = self._listed.get((collection, measure), (None, None))
        if index is None or not queries.equals(listed):
            places = self._queries.setdefault((collection, measure), {})
            ids = queries.to_pylist()
            index = np.array([places.setdefault(query, len(places)) for query in ids], dtype=np.int64)
            self._listed[collection, measure] = queries, index
        return index

    def _joined(self, key: tuple, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        places = self._queries[key[-2:]]
        values = np.full(len(places), np.nan)
        for index, found in parts:
            values[index] = found
        if sum(len(index) for index, _ in parts) > len(places):
            raise InputError(f"the metrics give {key[-1]} of {_name(key)} on {key[-2]} twice: make the table again")
        if np.isnan(values).any():
            query = list(places)[int(np.isnan(values).argmax())]
            raise InputError(
                f"{_name(key)} has no {key[-1]} for query {query} of {key[-2]}, others have: "
                "measure all runs on the same judgements"
            )
        return values

    def queries(self, collection: str, measure: str) -> list[str]:
        """Ids of the queries of a collection that have a measure, in the order of the arrays."""
        return list(self._queries[collection, measure])

    def number(self, collections: Iterable[str], measure: str) -> int:
        """How many queries of the collections have a measure."""
        return sum(len(self._queries[name, measure]) for name in collections)

    def measures(self, collections: Sequence[str], order: Sequence[str]) -> list[str]:
        """Measures of ``order`` that each of the collections has for some ranker."""
        return [measure for measure in order if all((name, measure) in self._queries for name in collections)]

    def by_domain(self, domains: Sequence[Domain], order: Sequence[str]) -> list[tuple[Domain, str]]:
        """Each domain with each measure of ``order`` that all its collections have."""
        return [(domain, measure) for domain in domains for measure in self.measures(domain.collections, order)]

    def measured(self, ranker: RankerKey) -> bool:
        """Whether anything was measured of it: nothing was of one that was not trained."""
        return self.standing_at(ranker) in self._seeds

    def standing_at(self, ranker: RankerKey) -> RankerKey:
        """The measured ranker that stands at a place of a table, see :func:`standing_at`."""
        return standing_at(ranker, self._seeds)

    def seeds(self, ranker: RankerKey) -> list[int | None]:
        """Seeds that a ranker was measured with; ``[None]`` for one without seeds."""
        seeds = self._seeds.get(self.standing_at(ranker))
        if not seeds:
            raise InputError(f"the metrics lack {_name(ranker)}: measure its run first")
        return sorted(seeds, key=lambda seed: -1 if seed is None else seed)

    def of(self, ranker: RankerKey, seeds: Sequence[int | None], collection: str, measure: str) -> np.ndarray:
        """Values of a ranker on each query, averaged over its seeds  # (queries,)."""
        return np.mean([self._values[self._key(ranker, seed, collection, measure)] for seed in seeds], axis=0)

    def mean(self, ranker: RankerKey, seed: int | None, collection: str, measure: str) -> float:
        """Mean over the queries of a ranker's values with one seed."""
        return self._totals[self._key(ranker, seed, collection, measure)] / len(self._queries[collection, measure])

    def _key(self, ranker: RankerKey, seed: int | None, collection: str, measure: str) -> tuple:
        """Where the values of the ranker that stands here are; :class:`InputError` naming it where there are none."""
        key = (*standing_at(ranker, self._seeds), seed, collection, measure)
        if key not in self._values:
            raise InputError(f"the metrics lack {measure} of {_name(key[:5])} on {collection}: measure that run first")
        return key


def row_groups(path: str | Path) -> Iterator[pd.DataFrame]:
    """The parts of a table of metrics; :class:`InputError` for a file that is none."""
    columns = [*KEYS, "collection", "query_id", "measure", "value"]
    try:
        file = pq.ParquetFile(path)
        for index in range(file.num_row_groups):
            yield file.read_row_group(index, columns=columns).to_pandas()
    except (pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"{path} cannot be read as a table of metrics ({error}): make it again") from None


def _name(key: Sequence) -> str:
    return " ".join(
        f"{name}={value}" for name, value in zip(KEYS, key, strict=False) if value is not None and value != ""
    )
