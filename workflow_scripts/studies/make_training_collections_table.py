"""Compute the table of training collections: the same samplers on several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.analysis.domains import ALL, Domain, parse_domains
from workflow_scripts.analysis.equivalence import BLOCK, Rule, compare_samplers
from workflow_scripts.analysis.intervals import with_intervals
from workflow_scripts.analysis.measures import collection_means
from workflow_scripts.analysis.paired import holm
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import BM25, TEACHER, Grid, Means, summarise
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers
from workflow_scripts.studies.scopes import stack_scopes

COLUMNS = (
    *("scope", "student", "loss", "sampler", "function", "teacher", "training", "training_b", "domain", "measure"),
    *("value", "std_seed", "ci_low", "ci_high", "p_difference_holm", "p_equivalence_holm", "outcome"),
    *("n_seeds", "n_queries"),
)
Samplers = Mapping[tuple[str, str], str]
"""Training collection and function to the sampler that draws so."""


def make_training_collections_table(*, spec: Mapping, metrics: Path, collections: Sequence[Path], output: Path) -> None:
    """Write the numbers; what ``value`` is depends on ``scope``:

    - ``queries``, ``positives``: of a training collection, its queries, and its judged positives a query;
    - ``reference``, ``student``: effectiveness on a domain, mean over seeds, bootstrap interval over queries;
    - ``difference``: paired, trained on ``training`` minus on ``training_b``, with its interval (not corrected).

    ``spec``: the axes of the study (students, losses, samplers, teachers, seeds), ``trained_on`` (sampler to
    {collection, function}), ``training_collections`` (their ids, in the order of the manifests ``collections``),
    ``domains``, ``measures``, ``bootstrap``, ``rule`` (the fields of
    :class:`~workflow_scripts.analysis.equivalence.Rule`) and, for the layout, ``shared`` (training collection to the
    test collections over its corpus) and ``teacher_collections`` (teacher to the collection that it was trained on,
    without those of which that is not recorded).
    """
    grid, rule, domains = Grid.of(spec), Rule(**spec["rule"]), parse_domains(spec["domains"])
    measures = spec["measures"]
    drawn = {sampler: spec["trained_on"][sampler] for sampler in grid.samplers}
    samplers = {(place["collection"], place["function"]): sampler for sampler, place in drawn.items()}
    values = QueryValues(metrics, measures)
    means = summarise(Means(collection_means(metrics)), grid, domains, measures)
    means = with_intervals(means, values, grid, domains, spec["bootstrap"])
    means = means[means["collection"] == ALL].rename(columns={"mean": "value"})
    places = {sampler: place for place, sampler in samplers.items()}
    for number, name in enumerate(("training", "function")):
        means[name] = [places.get(sampler, ("", ""))[number] for sampler in means["sampler"]]
    references = means["student"].isin([BM25, TEACHER])
    frames = {
        **_densities(spec["training_collections"], collections),
        "reference": means[references],
        "student": means[~references],
        "difference": _differences(values, grid, domains, measures, rule, spec["training_collections"], samplers),
    }
    write_numbers(output, stack_scopes(frames, COLUMNS, [*COLUMNS[:10], "outcome"]), spec)


def _densities(names: Sequence[str], manifests: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Queries and positives a query of each training collection."""
    queries, positives = [], []
    for manifest in manifests:
        artifact = Artifact(manifest)
        queries.append(pq.read_metadata(artifact.file("queries.parquet")).num_rows)
        positives.append(pq.read_metadata(artifact.file("positives.parquet")).num_rows / queries[-1])
    columns = {"queries": queries, "positives": positives}
    return {scope: pd.DataFrame({"training": names, "value": values}) for scope, values in columns.items()}


def _differences(
    values: QueryValues,
    grid: Grid,
    domains: Sequence[Domain],
    measures: Sequence[str],
    rule: Rule,
    collections: Sequence[str],
    samplers: Samplers,
) -> pd.DataFrame:
    """Each function's students on every two collections, the later one's minus the earlier one's.

    Holm's correction is over the functions (and pairs of collections) of a BLOCK.
    """
    frames = []
    for function in dict.fromkeys(function for _, function in samplers):
        for earlier, later in combinations(collections, 2):
            if (earlier, function) in samplers and (later, function) in samplers:
                two = [samplers[name, function] for name in (later, earlier)]
                pair = Grid(grid.students, grid.losses, two, grid.teachers, grid.seeds)
                found = compare_samplers(values, pair, domains, measures, rule)
                frames.append(found.assign(function=function, training=later, training_b=earlier))
    if not frames:
        return pd.DataFrame()
    table = pd.concat(frames).reset_index(drop=True)
    for name in ("p_difference", "p_equivalence"):
        table[f"{name}_holm"] = table.groupby(list(BLOCK), sort=False)[name].transform(holm)
    table["outcome"] = rule.verdicts(table["p_difference_holm"], table["p_equivalence_holm"])
    return table.rename(columns={"mean_difference": "value"})


if __name__ == "__main__":
    run(make_training_collections_table)
