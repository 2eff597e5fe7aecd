"""The main table's rows: mean effectiveness of every ranker of a grid, over seeds, by collection and domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import ALL, Domain
from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.analysis.query_values import RankerKey, standing_at
from workflow_scripts.storage.errors import InputError

COLUMNS = (
    *("student", "loss", "sampler", "teacher", "domain", "collection", "measure", "mean", "std_seed"),
    *("n_seeds", "n_queries"),
)
BM25 = "bm25"
TEACHER = "teacher"
"""What the column ``student`` holds in the reference rows."""

AXES = ("students", "losses", "samplers", "teachers", "seeds")


@dataclass(frozen=True)
class Grid:
    """The rankers a table must hold, each list in the order of its rows."""

    students: Sequence[str]
    losses: Sequence[str]
    samplers: Sequence[str]
    teachers: Sequence[str]
    seeds: Sequence[int]

    @classmethod
    def of(cls, spec: Mapping) -> Grid:
        """The grid that a script's spec lists."""
        return cls(**{axis: spec[axis] for axis in AXES})

    @property
    def references(self) -> list[RankerKey]:
        """BM25, then each teacher."""
        return [(BM25, "", "", ""), *((TEACHER, "", "", teacher) for teacher in self.teachers)]

    @property
    def trained(self) -> list[RankerKey]:
        """Every trained student, seeds apart."""
        return list(product(self.students, self.losses, self.samplers, self.teachers))


class Means:
    """Means over queries by ranker, seed, collection and measure, complete or refused.

    ``means``: the columns of :func:`~workflow_scripts.analysis.measures.collection_means`. A lookup that finds
    nothing raises :class:`InputError`, since a hole in a grid must not become a row that is missing.
    """

    def __init__(self, means: pd.DataFrame) -> None:
        self._values: dict[tuple, float] = {}
        self._queries: dict[tuple[str, str], int] = {}
        self._seeds: dict[RankerKey, set] = {}
        self._measures: dict[str, set[str]] = {}
        columns = (*KEYS, "collection", "measure", "mean", "n_queries")
        for *ranker, seed, collection, measure, mean, queries in means[list(columns)].itertuples(index=False):
            seed = None if pd.isna(seed) else int(seed)
            self._values[(*ranker, seed, collection, measure)] = mean
            self._seeds.setdefault(tuple(ranker), set()).add(seed)
            self._measures.setdefault(collection, set()).add(measure)
            if self._queries.setdefault((collection, measure), queries) != queries:
                known = self._queries[collection, measure]
                raise InputError(
                    f"{_name(ranker, seed)} was measured on {queries} queries of {collection}, others on {known}: "
                    "measure all runs on the same judgements"
                )

    def seeds(self, ranker: RankerKey) -> list:
        """Seeds that a reference was measured with; ``[None]`` for one without seeds."""
        found = self._seeds.get(standing_at(ranker, self._seeds))
        if not found:
            raise InputError(f"the metrics lack the reference {_name(ranker, None)}: measure its run first")
        return sorted(found, key=lambda seed: -1 if seed is None else seed)

    def measures(self, collections: Sequence[str], order: Sequence[str]) -> list[str]:
        """Measures of ``order`` that each of the collections has for some ranker."""
        return [measure for measure in order if all(measure in self._measures.get(name, ()) for name in collections)]

    def queries(self, collection: str, measure: str) -> int:
        """Number of judged queries."""
        return self._queries[collection, measure]

    def value(self, ranker: RankerKey, seed: int | None, collection: str, measure: str) -> float:
        """Mean over the collection's queries; :class:`InputError` naming the cell where it is absent."""
        try:
            return self._values[(*standing_at(ranker, self._seeds), seed, collection, measure)]
        except KeyError:
            raise InputError(
                f"the metrics lack {measure} of {_name(ranker, seed)} on {collection}: measure that run first"
            ) from None


def summarise(means: Means, grid: Grid, domains: Sequence[Domain], measures: Sequence[str]) -> pd.DataFrame:
    """Rows of the main table, columns :data:`COLUMNS`.

    For seed s, a collection's value x_s is its mean over queries, and a domain's (collection ``all``) the mean of its
    collections' (a set of collections counting as one, with a row of its own). mean = (1/S) sum_s x_s;
    std_seed = sqrt(sum_s (x_s - mean)^2 / (S - 1)), NaN for one seed. n_queries adds up over a domain's collections.
    """
    rows = []
    for ranker in [*grid.references, *grid.trained]:
        seeds = means.seeds(ranker) if ranker in grid.references else grid.seeds
        for domain in domains:
            for name, weights in entities(domain):
                for measure in means.measures(list(weights), measures):
                    values = [weighted_mean(means, ranker, seed, weights, measure) for seed in seeds]
                    spread = np.std(values, ddof=1) if len(values) > 1 else np.nan
                    queries = sum(means.queries(collection, measure) for collection in weights)
                    rows.append((*ranker, domain.name, name, measure, np.mean(values), spread, len(seeds), queries))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    absent = [measure for measure in measures if measure not in set(table["measure"])]
    if absent:
        raise InputError(
            f"the metrics lack the measure {absent[0]}: add it to a collection's measures, or drop it here"
        )
    return table


def values_at(places: pd.DataFrame, measured: Mapping[RankerKey, float]) -> list[float]:
    """Value of the ranker that stands at each of ``places`` (columns student, loss, sampler, teacher), NaN for none."""
    keys = places[list(KEYS[:4])].itertuples(index=False, name=None)
    return [measured.get(standing_at(key, measured), np.nan) for key in keys]


def entities(domain: Domain) -> Iterator[tuple[str, Mapping[str, float]]]:
    """What gets a row: each collection, each set of collections, the domain; with the weights of its mean."""
    for name, parts in domain.members:
        for part in parts:
            yield part, {part: 1.0}
        if name in domain.sets:
            yield name, {part: 1 / len(parts) for part in parts}
    yield ALL, domain.weights


def weighted_mean(
    means: Means, ranker: RankerKey, seed: int | None, weights: Mapping[str, float], measure: str
) -> float:
    """A domain's (or a set's, or a collection's) value for one seed: the weighted sum of its collections' means."""
    return sum(weight * means.value(ranker, seed, collection, measure) for collection, weight in weights.items())


def reference_label(ranker: RankerKey, several: bool) -> tuple[str, ...]:
    """Labels of a reference's row: loss, sampler and, where there are several teachers, teacher."""
    name = {BM25: "BM25", TEACHER: "teacher"}[ranker[0]]
    return (name, "", ranker[3]) if several else (name, "")


def _name(ranker: Sequence[str], seed: int | None) -> str:
    name = " ".join(f"{key}={value}" for key, value in zip(KEYS, ranker, strict=False) if value)
    return name if seed is None else f"{name} seed={seed}"
