"""First stages: what a bi-encoder finds by itself in a whole collection, beside its re-ranking of BM25's candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import NEW, VERDICT, Rule, judge, judge_new_collections, sampler_block
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import Grid, weighted_mean
from workflow_scripts.storage.errors import InputError

CELL = ("student", "loss", "sampler", "teacher")
COLUMNS = (
    *(*CELL, "domain", "measure", "reranked", "reranked_std_seed"),
    *("retrieved", "retrieved_std_seed", "difference", *VERDICT, *NEW, "n_queries", "n_seeds"),
)


class StageDifferences:
    """Retrieved minus re-ranked on each query, read as :class:`QueryValues` are; queries in the order of ``reranked``.

    Raises :class:`InputError` for a ranker, measure or query that one of the two lacks.
    """

    def __init__(self, reranked: QueryValues, retrieved: QueryValues) -> None:
        self._reranked, self._retrieved = reranked, retrieved
        self.standing_at, self.seeds = reranked.standing_at, reranked.seeds

    def of(self, ranker: RankerKey, seeds: Sequence[int | None], collection: str, measure: str) -> np.ndarray:
        """Difference of a ranker on each query, averaged over its seeds  # (queries,)."""
        first = self._reranked.of(ranker, seeds, collection, measure)
        second = self._retrieved.of(ranker, seeds, collection, measure)
        stages = (self._retrieved.queries(collection, measure), self._reranked.queries(collection, measure))
        return second[_places(*stages, collection)] - first


def compare_stages(
    reranked: QueryValues,
    retrieved: QueryValues,
    grid: Grid,
    domains: Sequence[Domain],
    measures: Sequence[str],
    rule: Rule,
    controls: Sequence[Mapping] = (),
) -> pd.DataFrame:
    """One row for each student, domain and measure, columns :data:`COLUMNS`; difference is retrieved minus reranked.

    ``reranked`` and ``retrieved`` are the mean over seeds of the domain's values (the weighted mean of its collections'
    means), with their standard deviation over seeds, NaN for one. The difference is a contrast of one trained model
    with itself, over other seeds and queries (:mod:`~workflow_scripts.analysis.inference`), a family the samplers of a
    student, loss, teacher, domain and measure. A measure that not all collections of a domain have is left out there.
    """
    differences, frames = StageDifferences(reranked, retrieved), []
    for block in product(grid.students, grid.losses, grid.teachers):
        cells = sampler_block(differences, grid, block, controls)
        single = np.eye(len(cells.cells))
        for domain in domains:
            for measure in reranked.measures(domain.collections, measures):
                found = cells.infer(domain.weights, measure, single)
                new = cells.infer_new_collections(domain, measure, single)
                margin = rule.margin_for(reranked, domain, measure)
                columns = dict(zip(CELL, zip(*cells.cells, strict=True), strict=True))
                for stage, values in (("reranked", reranked), ("retrieved", retrieved)):
                    columns |= _summary(stage, values, cells, domain, measure)
                columns |= {"difference": found.mean, **judge(found, margin, rule)}
                columns |= judge_new_collections(new, len(domain.members), margin, rule)
                queries = sum(len(reranked.queries(name, measure)) for name in domain.collections)
                columns |= {"domain": domain.name, "measure": measure, "n_queries": queries, "n_seeds": len(grid.seeds)}
                frames.append(pd.DataFrame(columns)[list(COLUMNS)])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def _summary(
    stage: str, values: QueryValues, cells: ComparedCells, domain: Domain, measure: str
) -> dict[str, np.ndarray]:
    """A stage's mean of each cell over seeds, and its standard deviation, NaN for one."""
    means = np.array(
        [[weighted_mean(values, cell, seed, domain.weights, measure) for seed in cells.seeds] for cell in cells.cells]
    )
    spread = means.std(axis=1, ddof=1) if len(cells.seeds) > 1 else np.full(len(means), np.nan)
    return {stage: means.mean(axis=1), f"{stage}_std_seed": spread}


def _places(queries: Sequence[str], wanted: Sequence[str], collection: str) -> np.ndarray:
    """Places of ``wanted`` in ``queries``, which must be the same set."""
    different = set(queries) ^ set(wanted)
    if different:
        raise InputError(
            f"query {min(different)} of {collection} was measured for one of re-ranking and retrieval: "
            "measure both on the same judgements"
        )
    places = {query: place for place, query in enumerate(queries)}
    return np.array([places[query] for query in wanted])
