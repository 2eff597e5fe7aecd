"""Compute the retrieval table: bi-encoders as first stages beside their re-ranking of BM25's candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.equivalence import JUDGED, Rule, judge_family, sampler_blocks
from workflow_scripts.analysis.query_values import RANKER, QueryValues, RankerKey
from workflow_scripts.analysis.summaries import Grid, weighted_mean
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

COLUMNS = (
    *(*RANKER, "domain", "measure", "reranked", "reranked_std_seed"),
    *("retrieved", "retrieved_std_seed", *JUDGED, "n_queries", "n_seeds"),
)


def make_retrieval_table(*, spec: Mapping, reranked: Path, retrieved: Path, output: Path) -> None:
    """Write the numbers, a row for each student, domain and measure, columns :data:`COLUMNS`.

    ``spec``: the lists of the grid (students: bi-encoders and, where ``candidates`` names the dense system whose
    documents they re-rank instead, cross-encoders; losses, samplers, teachers, seeds), ``domains``,
    ``measures``, ``rule`` and ``controls`` as in the equivalence table, ``reranked_depth`` and ``retrieved_depth``
    (documents a query). ``reranked`` and ``retrieved`` are tables of metrics with the same keys; a cell that one lacks
    is an error.

    The columns ``reranked`` and ``retrieved`` are the mean over seeds of the domain's values (the weighted mean of its
    collections' means), with their standard deviation over seeds, NaN for one. ``difference``, retrieved minus
    reranked, is a contrast of one trained model with itself, over other seeds and queries
    (:mod:`~workflow_scripts.analysis.inference`), a family the samplers of a student, loss, teacher, domain and
    measure. A measure that not all collections of a domain have is left out there.
    """
    grid, rule, measures = Grid.of(spec), Rule(**spec["rule"]), spec["measures"]
    stages = {"reranked": QueryValues(reranked, measures), "retrieved": QueryValues(retrieved, measures)}
    shown = stages["reranked"].by_domain(parse_domains(spec["domains"]), measures)
    differences, frames = StageDifferences(**stages), []
    for _, cells in sampler_blocks(differences, grid, spec["controls"]):
        for domain, measure in shown:
            margin = rule.margin_for(stages["reranked"], domain, measure)
            judged = judge_family(cells, domain, measure, np.eye(len(cells.cells)), rule, margin)
            columns = dict(zip(RANKER, zip(*cells.cells, strict=True), strict=True))
            for stage, values in stages.items():
                columns |= _summary(stage, values, cells, domain, measure)
            columns |= {"domain": domain.name, "measure": measure, "n_seeds": len(grid.seeds)}
            columns["n_queries"] = stages["reranked"].number(domain.collections, measure)
            frames.append(judged.assign(**columns)[list(COLUMNS)])
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))
    write_numbers(output, table, spec)


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
    return pd.Index(queries).get_indexer(wanted)


if __name__ == "__main__":
    run(make_retrieval_table)
