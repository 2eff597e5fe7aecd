"""Compute the correlation table: teacher entropy, and teacher-student KL, against per-query effectiveness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import BM25, TEACHER, Grid
from workflow_scripts.locality.candidates import TeacherCandidates
from workflow_scripts.locality.correlations import PEARSON, SPEARMAN, pooled_correlation
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.runs import by_ranker
from workflow_scripts.storage.tables import write_numbers

COLUMNS = (
    *("student", "loss", "sampler", "teacher", "domain", "measure", "predictor", "method", "correlation"),
    *("ci_low", "ci_high", "n_queries", "n_seeds"),
)
ENTROPY, KL = "entropy", "kl"


def make_correlation_table(
    *,
    spec: Mapping,
    metrics: Path,
    teachers: Sequence[Path],
    students: Sequence[Path],
    output: Path,
    calibrations: Sequence[Path] = (),
) -> None:
    """Write the numbers, columns :data:`COLUMNS`.

    ``spec``: the lists of the grid, ``domains``, ``measure``, ``depth`` (candidates of a query: the teacher's first),
    ``confidence`` and ``calibrated``, the teachers whose scores are divided by a temperature, as their labels are;
    ``calibrations``: theirs, in that order. ``teachers`` and ``students``: manifests of their runs, in the grid's order
    (students, losses, samplers, teachers, seeds, the last the fastest) and of each as many as there are evaluation
    sets. Queries with fewer than two candidates have no entropy and are left out (n_queries counts the rest).
    Effectiveness and KL are averaged over seeds, to nine decimals, before they are correlated: below these, equal
    means differ, and would be ranked. A student's teacher is that of its cell, whether its loss reads it or not. BM25
    and the teachers themselves have rows for entropy. Correlations:
    :func:`~workflow_scripts.locality.correlations.pooled_correlation`.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measure = spec["measure"]
    values = QueryValues(metrics, [measure])
    collections = list(dict.fromkeys(name for domain in domains for name in domain.collections))
    candidates = _candidates(spec, values, collections, by_ranker(teachers, len(grid.teachers)), calibrations)
    entropies = {
        teacher: {name: queries.entropy() for name, queries in found.items()} for teacher, found in candidates.items()
    }
    places = {
        (teacher, name): pd.Index(values.queries(name, measure)).get_indexer(candidates[teacher][name].queries)
        for teacher, name in product(grid.teachers, collections)
    }
    rows = []
    trained = by_ranker(students, len(grid.trained) * len(grid.seeds))
    for ranker, teacher, seeds, runs in _rankers(values, grid, trained):
        found = candidates[teacher]
        effectiveness = {
            name: values.of(ranker, seeds, name, measure)[places[teacher, name]].round(9) for name in collections
        }
        predictors = {ENTROPY: entropies[teacher]}
        if runs:
            predictors[KL] = {
                name: np.mean([found[name].divergence(each) for each in runs], axis=0).round(9) for name in collections
            }
        keys = (*ranker[:3], teacher)
        for domain, (predictor, arrays), method in product(domains, predictors.items(), (PEARSON, SPEARMAN)):
            pairs = {name: (arrays[name], effectiveness[name]) for name in domain.collections}
            result = pooled_correlation(pairs, domain.weights, method=method, confidence=spec["confidence"])
            queries = sum(len(effectiveness[name]) for name in domain.collections)
            rows.append((*keys, domain.name, measure, predictor, method, *result, queries, len(seeds)))
    write_numbers(output, pd.DataFrame(rows, columns=list(COLUMNS)), spec)


def _candidates(
    spec: Mapping,
    values: QueryValues,
    collections: Sequence[str],
    teachers: Sequence[Sequence[Path]],
    calibrations: Sequence[Path],
) -> dict[str, dict[str, TeacherCandidates]]:
    """Of each teacher its candidates by collection, their scores divided by its temperature if it has one."""
    temperatures = [Artifact(calibration).counts["temperature"] for calibration in calibrations]
    fitted = dict(zip(spec["calibrated"], temperatures, strict=True))
    judged = {name: values.queries(name, spec["measure"]) for name in collections}
    return {
        teacher: {
            name: TeacherCandidates(runs, name, spec["depth"], queries, fitted.get(teacher, 1.0))
            for name, queries in judged.items()
        }
        for teacher, runs in zip(spec["teachers"], teachers, strict=True)
    }


def _rankers(
    values: QueryValues, grid: Grid, students: Sequence[Sequence[Path]]
) -> Iterator[tuple[RankerKey, str, Sequence[int | None], Sequence[Sequence[Path]]]]:
    """Ranker, whose entropy is its predictor, seeds, and each seed's runs that are compared with the teacher's."""
    for teacher in grid.teachers:
        for ranker in ((BM25, "", "", ""), (TEACHER, "", "", teacher)):
            yield ranker, teacher, values.seeds(ranker), ()
    for index, ranker in enumerate(grid.trained):
        start = index * len(grid.seeds)
        yield ranker, ranker[3], grid.seeds, students[start : start + len(grid.seeds)]


if __name__ == "__main__":
    run(make_correlation_table)
