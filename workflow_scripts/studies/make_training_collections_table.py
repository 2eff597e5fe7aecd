"""Compute the table of training collections: the same samplers on several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.analysis.domains import ALL, Domain, parse_domains
from workflow_scripts.analysis.equivalence import NEW, VERDICT, Rule, judge_family, sampler_blocks
from workflow_scripts.analysis.measure_names import orders_candidates
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import BM25, TEACHER, Grid, summarise, with_intervals
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import POSITIVES
from workflow_scripts.storage.tables import write_numbers
from workflow_scripts.studies.scopes import stack_scopes

COLUMNS = (
    *("scope", "student", "loss", "sampler", "function", "teacher", "training", "training_b", "domain", "measure"),
    *("value", "std_seed", *VERDICT, *NEW),
    *("n_seeds", "n_queries"),
)
Samplers = Mapping[tuple[str, str], str]
"""Training collection and function to the sampler that draws so."""


def make_training_collections_table(*, spec: Mapping, metrics: Path, collections: Sequence[Path], output: Path) -> None:
    """Write the numbers; what ``value`` is depends on ``scope``:

    - ``queries``, ``positives``: of a training collection, its queries, and its judged positives a query;
    - ``reference``, ``student``: effectiveness on a domain, mean over seeds, bootstrap interval over queries;
    - ``difference``: trained on ``training`` minus on ``training_b``, judged over seeds and queries.

    ``spec``: the axes of the study (students, losses, samplers, teachers, seeds), ``trained_on`` (sampler to
    {collection, function}), ``training_collections`` (their ids, in the order of the manifests ``collections``),
    ``domains``, ``measures``, ``depth`` of the candidates, ``bootstrap``, ``rule`` (the fields of
    :class:`~workflow_scripts.analysis.equivalence.Rule`), ``controls`` and, for the layout, ``shared`` (training
    collection to the test collections over its corpus) and ``teacher_collections`` (teacher to the collection that it
    was trained on, without those of which that is not recorded).
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = spec["measures"]
    drawn = {sampler: spec["trained_on"][sampler] for sampler in grid.samplers}
    samplers = {(place["collection"], place["function"]): sampler for sampler, place in drawn.items()}
    values = QueryValues(metrics, measures)
    means = with_intervals(summarise(values, grid, domains, measures), values, grid, domains, spec["bootstrap"])
    means = means[means["collection"] == ALL].rename(columns={"mean": "value"})
    places = {sampler: place for place, sampler in samplers.items()}
    for number, name in enumerate(("training", "function")):
        means[name] = [places.get(sampler, ("", ""))[number] for sampler in means["sampler"]]
    references = means["student"].isin([BM25, TEACHER])
    frames = {
        **_densities(spec["training_collections"], collections),
        "reference": means[references],
        "student": means[~references],
        "difference": _differences(values, grid, domains, samplers, spec),
    }
    write_numbers(output, stack_scopes(frames, COLUMNS, [*COLUMNS[:10], "outcome", "basis", "new_outcome"]), spec)


def _densities(names: Sequence[str], manifests: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Queries and positives a query of each training collection."""
    queries, positives = [], []
    for manifest in manifests:
        artifact = Artifact(manifest)
        queries.append(pq.read_metadata(artifact.file("queries.parquet")).num_rows)
        positives.append(pq.read_metadata(artifact.file(POSITIVES)).num_rows / queries[-1])
    columns = {"queries": queries, "positives": positives}
    return {scope: pd.DataFrame({"training": names, "value": values}) for scope, values in columns.items()}


def _differences(
    values: QueryValues, grid: Grid, domains: Sequence[Domain], samplers: Samplers, spec: Mapping
) -> pd.DataFrame:
    """Each function's students on every two collections, the later one's minus the earlier one's.

    The samplers of a student, loss and teacher are a block, whatever they draw for; the functions and pairs of
    collections are a family.
    """
    pairs = [
        (function, later, earlier)
        for function in dict.fromkeys(function for _, function in samplers)
        for earlier, later in combinations(spec["training_collections"], 2)
        if (earlier, function) in samplers and (later, function) in samplers
    ]
    if not pairs:
        return pd.DataFrame()
    frames = []
    measures = [measure for measure in spec["measures"] if orders_candidates(measure, spec["depth"])]
    for (student, loss, teacher), cells in sampler_blocks(values, grid, spec["controls"]):
        named = dict(zip(grid.samplers, cells.cells, strict=True))
        contrasts = [
            cells.contrast({named[samplers[later, function]]: 1, named[samplers[earlier, function]]: -1})
            for function, later, earlier in pairs
        ]
        keys = dict(zip(("function", "training", "training_b"), zip(*pairs, strict=True), strict=True))
        for domain, measure in values.by_domain(domains, measures):
            judged = judge_family(cells, domain, measure, np.array(contrasts), Rule(**spec["rule"]))
            queries = values.number(domain.collections, measure)
            of_block = {"student": student, "loss": loss, "teacher": teacher, "domain": domain.name}
            frames.append(judged.assign(**of_block, **keys, measure=measure, n_queries=queries))
    table = pd.concat(frames, ignore_index=True).assign(n_seeds=len(grid.seeds))
    return table.rename(columns={"difference": "value"})


if __name__ == "__main__":
    run(make_training_collections_table)
