"""The main table's rows: mean effectiveness of every ranker of a grid, over seeds, by collection and domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import percentile_interval, resampled_means
from workflow_scripts.analysis.domains import ALL, Domain
from workflow_scripts.analysis.query_values import RANKER, QueryValues, RankerKey, standing_at
from workflow_scripts.storage.errors import InputError

COLUMNS = (*(*RANKER, "domain", "collection", "measure", "mean", "std_seed", "n_seeds", "n_queries"),)
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


def summarise(values: QueryValues, grid: Grid, domains: Sequence[Domain], measures: Sequence[str]) -> pd.DataFrame:
    """Rows of the main table, columns :data:`COLUMNS`.

    For seed s, a collection's value x_s is its mean over queries, and a domain's (collection ``all``) the mean of its
    collections' (a set of collections counting as one, with a row of its own). mean = (1/S) sum_s x_s;
    std_seed = sqrt(sum_s (x_s - mean)^2 / (S - 1)), NaN for one seed. n_queries adds up over a domain's collections.
    """
    rows = []
    for ranker in [*grid.references, *grid.trained]:
        seeds = values.seeds(ranker) if ranker in grid.references else grid.seeds
        for domain in domains:
            for name, weights in entities(domain):
                for measure in values.measures(list(weights), measures):
                    means = [weighted_mean(values, ranker, seed, weights, measure) for seed in seeds]
                    spread = np.std(means, ddof=1) if len(means) > 1 else np.nan
                    queries = values.number(weights, measure)
                    rows.append((*ranker, domain.name, name, measure, np.mean(means), spread, len(seeds), queries))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    absent = [measure for measure in measures if measure not in set(table["measure"])]
    if absent:
        raise InputError(
            f"the metrics lack the measure {absent[0]}: add it to a collection's measures, or drop it here"
        )
    return table


def with_intervals(
    table: pd.DataFrame, values: QueryValues, grid: Grid, domains: Sequence[Domain], bootstrap: Mapping
) -> pd.DataFrame:
    """The rows of :func:`summarise` with ``ci_low`` and ``ci_high``: the percentile interval of each one's mean.

    As :func:`~workflow_scripts.analysis.bootstrap.stratified_interval`, each collection resampled once for all rankers
    and measures. A query's value is averaged over the seeds first, so the interval says how the mean varies with the
    queries; ``std_seed`` says how it varies with the seed. ``bootstrap``: samples, seed, confidence.
    """
    rankers = {ranker: values.seeds(ranker) for ranker in grid.references}
    rankers |= {ranker: list(grid.seeds) for ranker in grid.trained}
    measures = list(dict.fromkeys(table["measure"]))
    replicates: dict[str, np.ndarray] = {}  # collection -> # (rows, samples)
    places: dict[tuple, int] = {}
    for collection in dict.fromkeys(name for domain in domains for name in domain.collections):
        keys = [(ranker, measure) for measure in values.measures([collection], measures) for ranker in rankers]
        places |= {(collection, *key): place for place, key in enumerate(keys)}
        x = np.stack([values.of(ranker, rankers[ranker], collection, measure) for ranker, measure in keys])
        replicates[collection] = resampled_means(x, bootstrap["samples"], bootstrap["seed"], collection)
    weights = {(domain.name, name): entity for domain in domains for name, entity in entities(domain)}
    intervals = np.empty((len(table), 2))
    for index, (*ranker, domain, name, measure) in enumerate(table[list(COLUMNS[:7])].itertuples(index=False)):
        theta = sum(
            weight * replicates[collection][places[collection, tuple(ranker), measure]]
            for collection, weight in weights[domain, name].items()
        )
        intervals[index] = percentile_interval(theta, bootstrap["confidence"])
    return table.assign(ci_low=intervals[:, 0], ci_high=intervals[:, 1])


def whole_domains(main: pd.DataFrame, measure: str | None) -> pd.DataFrame:
    """Those of the main table's numbers that are of whole domains, in one measure; none of no measure."""
    return main[(main["collection"] == ALL) & (main["measure"] == measure)]


def values_at(places: pd.DataFrame, measured: Mapping[RankerKey, float]) -> list[float]:
    """Value of the ranker that stands at each of ``places`` (columns student, loss, sampler, teacher), NaN for none."""
    keys = places[list(RANKER)].itertuples(index=False, name=None)
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
    values: QueryValues, ranker: RankerKey, seed: int | None, weights: Mapping[str, float], measure: str
) -> float:
    """A domain's (or a set's, or a collection's) value for one seed: the weighted sum of its collections' means."""
    return sum(weight * values.mean(ranker, seed, collection, measure) for collection, weight in weights.items())


def reference_label(ranker: RankerKey, several: bool) -> tuple[str, ...]:
    """Labels of a reference's row: loss, sampler and, where there are several teachers, teacher."""
    name = {BM25: "BM25", TEACHER: "teacher"}[ranker[0]]
    return (name, "", ranker[3]) if several else (name, "")
