"""Compute the variance table: how much student, loss, sampler, teacher and seed vary, and a cell trained again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bands import retraining_band_of_controls, retraining_bands
from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.equivalence import sampler_blocks
from workflow_scripts.analysis.inference import CONTROLS, SEEDS
from workflow_scripts.analysis.query_values import RANKER, QueryValues
from workflow_scripts.analysis.summaries import Grid, weighted_mean
from workflow_scripts.analysis.training_noise import TrainingNoise, training_noise
from workflow_scripts.analysis.variance import COLUMNS, decompose
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers

SOURCE, CELL = "source", "cell"
"""Scopes: a source of variance, and a cell that is trained again."""
AGAIN = ("mean", "sd", "sd_noise", "degrees", "band_low", "band_high", "joint_low", "joint_high", "basis")


def make_variance_table(*, spec: Mapping, metrics: Path, output: Path) -> None:
    """Write the numbers: scope, domain, measure, the columns of :func:`decompose`, then a cell and :data:`AGAIN`.

    What is decomposed is the value of each trained student and seed on a domain (macro mean over its collections).
    Rows of the scope ``cell`` are :func:`_trained_again`'s. ``spec``: the lists of the grid, ``domains``, ``measures``,
    ``controls`` and ``confidence`` of the bands.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = spec["measures"]
    values = QueryValues(metrics, measures)
    shape = [len(axis) for axis in (grid.students, grid.losses, grid.samplers, grid.teachers, grid.seeds)]
    frames = []
    for domain, measure in values.by_domain(domains, measures):
        found = [
            weighted_mean(values, ranker, seed, domain.weights, measure)
            for ranker in grid.trained
            for seed in grid.seeds
        ]
        again = pd.DataFrame(_trained_again(values, grid, domain, measure, spec))
        for scope, table in ((SOURCE, decompose(np.reshape(found, shape), RANKER)), (CELL, again)):
            frames.append(table.assign(scope=scope, domain=domain.name, measure=measure))
    columns = ["scope", "domain", "measure", *COLUMNS, *RANKER, *AGAIN]
    write_numbers(output, pd.concat(frames, ignore_index=True).reindex(columns=columns), spec)


def _trained_again(
    values: QueryValues, grid: Grid, domain: Domain, measure: str, spec: Mapping
) -> Iterator[dict[str, object]]:
    """A row a cell: what its trainings differ by, and the bands in which one more would lie.

    ``sd``: of the domain's mean over trainings, on these queries; ``sd_noise``: the part of it that is seed x query
    noise. With one seed both are pooled over the controls of the cell's student; a cell that no control speaks for has
    no row. ``joint``: the band that holds for all cells of the domain at once.
    """
    number = len({values.standing_at(cell) for cell in grid.trained})
    confidence = spec["confidence"]
    for _, cells in sampler_blocks(values, grid, spec["controls"]):
        means = cells.means(domain.weights, measure)
        noise = _noise_by_place(cells, domain.weights, measure)
        for place, of_cell in noise.items():
            mean = means[place].mean()
            if len(grid.seeds) > 1:
                half, joint = (retraining_bands(means, each, confidence)[place] for each in (1, number))
            else:
                half, joint = (retraining_band_of_controls(of_cell, each, confidence) for each in (1, number))
            numbers = (mean, np.sqrt(of_cell.total), np.sqrt(of_cell.both), of_cell.degrees)
            bands = (mean - half, mean + half, mean - joint, mean + joint)
            basis = SEEDS if len(grid.seeds) > 1 else CONTROLS
            yield dict(zip((*RANKER, *AGAIN), (*cells.cells[place], *numbers, *bands, basis), strict=True))


def _noise_by_place(cells: ComparedCells, weights: Mapping[str, float], measure: str) -> dict[int, TrainingNoise]:
    """Each cell's own noise of training from its seeds, or its student's from controls."""
    if len(cells.seeds) == 1:
        return {place: each for each in cells.noise(weights, measure) for place in each.places}
    arrays = cells.arrays(weights, measure)
    return {
        place: training_noise([place], [{name: array[place] for name, array in arrays.items()}], weights)
        for place in range(len(cells.cells))
    }


if __name__ == "__main__":
    run(make_variance_table)
