"""Compute the variance table: how much of the spread is student, loss, sampler, teacher and seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid, weighted_mean
from workflow_scripts.analysis.variance import COLUMNS, decompose
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers

FACTORS = ("student", "loss", "sampler", "teacher")


def make_variance_table(*, spec: Mapping, metrics: Path, output: Path) -> None:
    """Write the numbers: domain, measure and the columns of :func:`decompose`.

    What is decomposed is the value of each trained student and seed on a domain (macro mean over its collections).
    ``spec``: the lists of the grid, ``domains`` and ``measures``.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = spec["measures"]
    values = QueryValues(metrics, measures)
    shape = [len(axis) for axis in (grid.students, grid.losses, grid.samplers, grid.teachers, grid.seeds)]
    frames = []
    for domain in domains:
        for measure in values.measures(domain.collections, measures):
            found = [
                weighted_mean(values, ranker, seed, domain.weights, measure)
                for ranker in grid.trained
                for seed in grid.seeds
            ]
            table = decompose(np.reshape(found, shape), FACTORS)
            frames.append(table.assign(domain=domain.name, measure=measure))
    write_numbers(output, pd.concat(frames)[["domain", "measure", *COLUMNS]], spec)


if __name__ == "__main__":
    run(make_variance_table)
