"""Compute the pipelines table: what another backbone and another teacher change, beside what training again does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.stats import chi2

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.equivalence import BLOCK, VERDICT, Rule, compare_samplers, sampler_blocks
from workflow_scripts.analysis.measure_names import orders_candidates
from workflow_scripts.analysis.query_values import QueryValues, row_groups
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers
from workflow_scripts.studies.scopes import stack_scopes

SPREAD = (
    *("sd", "sd_low", "sd_high", "training_sd", "training_low", "training_high"),
    *("added", "added_low", "added_high", "sd_pair", "n_seeds"),
)
PAIR = ("sampler_a", "sampler_b")
COLUMNS = ("scope", *BLOCK, *SPREAD, *PAIR, "mean_difference", *VERDICT, "n_queries")


def make_pipelines_table(*, spec: Mapping, metrics: Sequence[Path], controls: Path, output: Path) -> None:
    """Write the numbers; a scope is ``spread`` (a row for a block of samplers) or ``comparison`` (for two of them).

    ``metrics``: this experiment's first, then those of experiments that differ from it by the seeds of backbone,
    teacher and students alone; each is one seed of every cell. ``spread``: :data:`SPREAD`, see :func:`spread`.
    ``comparison``: :func:`~workflow_scripts.analysis.equivalence.compare_samplers`, over other pipelines and queries.
    ``controls``: numbers of the controls table. ``spec``: the lists of the grid, ``domains``, ``measures``, ``depth``
    and ``rule`` as in the equivalence table, ``confidence`` of the intervals, ``experiments``: names, as ``metrics``.
    """
    grid, domains = Grid.of(spec | {"seeds": list(range(len(metrics)))}), parse_domains(spec["domains"])
    measures = [measure for measure in spec["measures"] if orders_candidates(measure, spec["depth"])]
    values = QueryValues(joined(metrics), measures)
    compared = compare_samplers(values, grid, domains, measures, Rule(**spec["rule"]), (), spec["depth"])
    training = read_numbers(controls)[0].set_index(["student", "loss", "domain", "measure"])
    rows = []
    for block, cells in sampler_blocks(values, grid):
        for domain, measure in values.by_domain(domains, measures):
            again = training.loc[(*block[:2], domain.name, measure)]
            means = cells.means(domain.weights, measure)
            numbers = spread(means, float(again["sd"]), float(again["df"]), spec["confidence"])
            rows.append(dict(zip(BLOCK, (*block, domain.name, measure), strict=True)) | numbers)
    frames = {"spread": pd.DataFrame(rows), "comparison": compared}
    write_numbers(output, stack_scopes(frames, COLUMNS, ["scope", *BLOCK, *PAIR, "outcome", "basis"]), spec)


def joined(metrics: Sequence[Path]) -> Iterator[pd.DataFrame]:
    """The metrics of all pipelines: each one's first seed under its place in the list, other rankers from the first.

    The first experiment's further seeds are its controls, which trained a cell again under the same backbone and
    teacher. Raises :class:`InputError` for a table without students.
    """
    for place, path in enumerate(metrics):
        first = pc.min(pq.read_table(path, columns=["seed"])["seed"]).as_py()
        if first is None:
            raise InputError(f"{path} holds no students: make that experiment first")
        for rows in row_groups(path):
            seeds = rows["seed"].astype("Int32")
            kept = (seeds == first).fillna(place == 0)
            yield rows.assign(seed=seeds.where(seeds.isna(), place))[kept.astype(bool)]


def spread(means: np.ndarray, training_sd: float, degrees: float, confidence: float) -> dict[str, float]:
    """What pipelines change in the cells of a block, columns :data:`SPREAD`; ``means``  # (cells, pipelines).

    ``sd``: root of the mean, over cells, of the variance over S pipelines. The cells of one pipeline share its backbone
    and teacher, so its interval is that of S - 1 degrees of freedom. ``training_sd``: the same of cells trained again
    under one backbone and teacher, with ``degrees``. ``added``: root of the difference of the two variances, at least
    0; its interval takes each end of both at half the error, so it holds at ``confidence`` or more. ``sd_pair``: of the
    difference between two samplers, which what all samplers of a pipeline share leaves unchanged.
    """
    pipelines = means.shape[1]
    deviations = means - means.mean(axis=1, keepdims=True)
    sd = float(np.sqrt((deviations**2).sum(axis=1).mean() / (pipelines - 1)))
    own = deviations - deviations.mean(axis=0)
    pair = float(np.sqrt(2 * (own**2).sum() / ((len(means) - 1) * (pipelines - 1)))) if len(means) > 1 else np.nan
    low, high = _interval(sd, pipelines - 1, confidence)
    training_low, training_high = _interval(training_sd, degrees, confidence)
    careful = (1 + confidence) / 2
    ends, training_ends = _interval(sd, pipelines - 1, careful), _interval(training_sd, degrees, careful)
    added = (
        np.sqrt(max(one**2 - other**2, 0))
        for one, other in ((sd, training_sd), (ends[0], training_ends[1]), (ends[1], training_ends[0]))
    )
    numbers = (sd, low, high, training_sd, training_low, training_high, *map(float, added), pair, pipelines)
    return dict(zip(SPREAD, numbers, strict=True))


def _interval(sd: float, degrees: float, confidence: float) -> tuple[float, float]:
    """Ends of the interval of a standard deviation with so many degrees of freedom, of normal values."""
    low, high = np.sqrt(degrees / chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], degrees))
    return sd * float(low), sd * float(high)


if __name__ == "__main__":
    run(make_pipelines_table)
