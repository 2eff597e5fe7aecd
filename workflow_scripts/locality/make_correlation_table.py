"""Make the correlation table: teacher entropy, and teacher-student KL, against per-query effectiveness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.measures import parse_measures
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import BM25, TEACHER, Grid
from workflow_scripts.locality.candidates import TeacherCandidates
from workflow_scripts.locality.correlations import PEARSON, SPEARMAN, pooled_correlation
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

COLUMNS = (
    "student",
    "loss",
    "sampler",
    "teacher",
    "domain",
    "measure",
    "predictor",
    "method",
    "correlation",
    "ci_low",
    "ci_high",
    "n_queries",
    "n_seeds",
)
ENTROPY, KL = "entropy", "kl"
Arrays = Mapping[str, np.ndarray]
"""Collection to an array over its queries."""


def make_correlation_table(
    *,
    spec: Mapping,
    metrics: Path,
    teachers: Sequence[Path],
    students: Sequence[Path],
    csv: Path,
    md: Path,
    tex: Path,
) -> pd.DataFrame:
    """Write the table three times and return its rows, columns :data:`COLUMNS`.

    ``spec``: the lists of the grid, ``domains``, ``measure``, ``depth`` (candidates of a query: the teacher's first)
    and ``confidence``. ``teachers`` and ``students``: manifests of their runs, in the grid's order (students, losses,
    samplers, teachers, seeds, the last the fastest). Queries with fewer than two candidates have no entropy and are
    left out (n_queries counts the rest). Effectiveness and KL are averaged over seeds before they are correlated. A
    student's teacher is that of its cell, whether its loss reads it or not. BM25 and the teachers themselves have rows
    for entropy. Correlations: :func:`~workflow_scripts.locality.correlations.pooled_correlation`.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measure = str(parse_measures([spec["measure"]])[0])
    if len(teachers) != len(grid.teachers) or len(students) != len(grid.trained) * len(grid.seeds):
        raise InputError("give a manifest of runs for each teacher, and for each student and seed, in the grid's order")
    values = QueryValues(metrics, [measure])
    collections = list(dict.fromkeys(name for domain in domains for name in domain.collections))
    candidates = {
        teacher: {name: TeacherCandidates(manifest, name, spec["depth"], values.queries(name)) for name in collections}
        for teacher, manifest in zip(grid.teachers, teachers, strict=True)
    }
    entropies = {
        teacher: {name: queries.entropy() for name, queries in found.items()} for teacher, found in candidates.items()
    }
    rows = []
    for ranker, teacher, seeds, manifests in _rankers(values, grid, students):
        found = candidates[teacher]
        effectiveness = {
            name: values.of(ranker, seeds, name, measure)[_places(values.queries(name), found[name].queries)]
            for name in collections
        }
        predictors = {ENTROPY: entropies[teacher]}
        if manifests:
            predictors[KL] = {
                name: np.mean([found[name].divergence(manifest) for manifest in manifests], axis=0)
                for name in collections
            }
        keys = (*ranker[:3], teacher)
        for domain, (predictor, arrays), method in product(domains, predictors.items(), (PEARSON, SPEARMAN)):
            result = _correlate(domain, arrays, effectiveness, method, spec["confidence"])
            queries = sum(len(effectiveness[name]) for name in domain.collections)
            rows.append((*keys, domain.name, measure, predictor, method, *result, queries, len(seeds)))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_tables(table, _text_table(table, grid), _caption(grid, measure, spec), csv=csv, md=md, tex=tex)
    return table


def _rankers(
    values: QueryValues, grid: Grid, students: Sequence[str | Path]
) -> Iterator[tuple[RankerKey, str, Sequence[int | None], Sequence[str | Path]]]:
    """Ranker, whose entropy is its predictor, seeds, and manifests of the runs that are compared with the teacher's."""
    for teacher in grid.teachers:
        for ranker in ((BM25, "", "", ""), (TEACHER, "", "", teacher)):
            yield ranker, teacher, values.seeds(ranker), ()
    for index, ranker in enumerate(grid.trained):
        start = index * len(grid.seeds)
        yield ranker, ranker[3], grid.seeds, students[start : start + len(grid.seeds)]


def _places(judged: Sequence[str], queries: Sequence[str]) -> list[int]:
    """Where each of the ``queries`` stands among the judged."""
    places = {query: place for place, query in enumerate(judged)}
    return [places[query] for query in queries]


def _correlate(domain: Domain, x: Arrays, y: Arrays, method: str, confidence: float) -> tuple[float, float, float]:
    pairs = {name: (x[name], y[name]) for name in domain.collections}
    return pooled_correlation(pairs, domain.weights, method=method, confidence=confidence)


def _text_table(table: pd.DataFrame, grid: Grid) -> TextTable:
    """References, then student x loss x sampler; for each domain Spearman's coefficient of entropy and of KL."""
    several = len(grid.teachers) > 1
    shown = table[table["method"] == SPEARMAN]
    domains = list(dict.fromkeys(shown["domain"]))
    found = shown.set_index(["student", "loss", "sampler", "teacher", "domain", "predictor"])
    found = found[["correlation", "ci_low", "ci_high"]].T.to_dict("list")
    sections: dict[tuple, list] = {}
    for ranker in dict.fromkeys(map(tuple, shown[["student", "loss", "sampler", "teacher"]].to_numpy())):
        texts = [
            _format(*found.get((*ranker, domain, predictor), (np.nan,) * 3))
            for domain in domains
            for predictor in (ENTROPY, KL)
        ]
        labels = ({BM25: "BM25"}.get(ranker[0], ranker[0]), *(ranker[1:] if several else ranker[1:3]))
        section = ranker[:2] if ranker[1] else ()
        sections.setdefault(section, []).append((labels, [Cell(text) for text in texts]))
    labels = ("student", "loss", "sampler", "teacher") if several else ("student", "loss", "sampler")
    return TextTable(labels, [(domain, ("entropy", "KL")) for domain in domains], list(sections.values()))


def _format(value: float, low: float, high: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def _caption(grid: Grid, measure: str, spec: Mapping) -> str:
    seeds = f", both averaged over {len(grid.seeds)} seeds" if len(grid.seeds) > 1 else " (one seed)"
    return (
        f"Spearman's correlation over test queries with {measure}{seeds}, {100 * spec['confidence']:g}% intervals (in "
        "the CSV Pearson's too). Entropy: the teacher's, mean over pairs of its first "
        f"{spec['depth']} candidates, bits. KL: of the teacher's softmax over the same candidates from the student's, "
        "bits; it depends on the scale of the student's scores, which LCE and RankNet do not tie to the teacher's. "
        "Correlations are within collections, averaged over a domain's. Empty: undefined or no such predictor. BM25's "
        "and the teacher's rows show how much of a correlation is the query's difficulty for any ranker.\n"
    )


if __name__ == "__main__":
    run(make_correlation_table)
