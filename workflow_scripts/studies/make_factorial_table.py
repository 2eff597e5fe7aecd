"""Compute the factorial table, whether locality and entropy act apart, and the values of the cells behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.measure_names import EXCESS_RISK, orders_candidates
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.sampled_groups import read_labels, read_sampled_groups
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers
from workflow_scripts.studies.factorial import COLUMNS, ENTROPY, LOCALITY, analyse

BLOCK = ("student", "teacher", "domain", "measure")
DIALS = ("share", "temperature")
CELLS = (
    *(*BLOCK, "sampler", "loss", *DIALS, "mean", "std_seed", "ci_low", "ci_high", "n_seeds", "n_queries"),
    *("diameter", "entropy"),
)


def make_factorial_table(
    *,
    spec: Mapping,
    metrics: Path,
    labels: Sequence[Path],
    groups: Sequence[Path],
    locality: Path,
    output: Path,
    cells: Path,
) -> None:
    """Write the effects to ``output`` and the cells to ``cells``.

    ``spec``: the lists of the study (students, losses, samplers, teachers, seeds), the dials' levels ``locality``
    (sampler to share of near negatives) and ``entropy`` (loss to teacher_temperature), in the lists' order;
    ``domains``, ``measures`` (excess risk is added, last), ``depth`` of the candidates, ``rule`` (the fields of
    :class:`~workflow_scripts.analysis.equivalence.Rule`) and the ``interaction_margin``, in margins. ``labels`` and
    ``groups``: of every sampler, teacher and seed, the last fastest. ``locality``: the numbers of the locality table.
    An effect's row holds the block and what :func:`~workflow_scripts.studies.factorial.analyse` gives; a cell's row its
    dials, its value and what the dials did: the sampler's diameter and the entropy of the labels, H(g / tau) in bits.
    """
    grid, rule = Grid.of(spec), Rule(**spec["rule"])
    dials = _dials(spec, grid, labels, groups, locality)
    measures, domains = [*spec["measures"], EXCESS_RISK], parse_domains(spec["domains"])
    values = QueryValues(metrics, measures)
    shown = [name for name in measures if orders_candidates(name, spec["depth"])]
    effects, cell_values = [], []
    for student, teacher, domain in product(grid.students, grid.teachers, domains):
        named = [(student, loss, sampler, teacher) for sampler, loss in product(grid.samplers, grid.losses)]
        # What controls tell of other cells does not decide a factorial.
        block = ComparedCells(values, named, [range(len(named))], grid.seeds)
        own = dials[dials["teacher"] == teacher].drop(columns="teacher").reset_index(drop=True)
        for measure in values.measures(domain.collections, shown):
            keys = dict(zip(BLOCK, (student, teacher, domain.name, measure), strict=True))
            levels = grid.samplers, grid.losses
            found = analyse(block, levels, domain, measure, rule, spec["interaction_margin"])
            effects.append(found.assign(**keys))
            cell_values.append(_cell_means(block, domain, measure, rule.confidence).join(own).assign(**keys))
    write_numbers(output, pd.concat(effects)[[*BLOCK, *COLUMNS]], spec)
    write_numbers(cells, pd.concat(cell_values)[list(CELLS)], spec)


def _cell_means(cells: ComparedCells, domain: Domain, measure: str, confidence: float) -> pd.DataFrame:
    """Mean of each cell, its deviation over seeds, its interval over seeds and queries; NaN, the last two, for one."""
    means = cells.means(domain.weights, measure)
    found = cells.infer(domain.weights, measure, np.eye(len(cells.cells)))
    low, high = found.interval(confidence)
    spread = means.std(axis=1, ddof=1) if means.shape[1] > 1 else np.nan
    frame = pd.DataFrame({"mean": found.mean, "std_seed": spread, "ci_low": low, "ci_high": high})
    return frame.assign(n_seeds=means.shape[1], n_queries=cells.values.number(domain.collections, measure))


def _dials(spec: Mapping, grid: Grid, labels: Sequence[Path], groups: Sequence[Path], locality: Path) -> pd.DataFrame:
    """teacher, sampler, loss, share, temperature, diameter and entropy of each cell, losses fastest in a teacher."""
    keys = list(product(grid.samplers, grid.teachers, grid.seeds))
    temperatures = [spec[ENTROPY][loss] for loss in grid.losses]
    entropies: dict[tuple[str, str], list[list[float]]] = {}
    for (sampler, teacher, _), label, group in zip(keys, labels, groups, strict=True):
        scores = read_labels(label, read_sampled_groups(group))
        found = [pairwise_entropy(scores / temperature).mean() for temperature in temperatures]
        entropies.setdefault((sampler, teacher), []).append(found)
    table, _ = read_numbers(locality)
    diameters = table[table["quantity"] == "diameter"].set_index(["sampler", "teacher"])["value"].to_dict()
    rows = []
    for teacher, sampler in product(grid.teachers, grid.samplers):
        if (sampler, teacher) not in diameters:
            raise InputError(
                f"{locality} has no diameter of {sampler} under {teacher}: make that table with the study's"
            )
        by_loss = np.mean(entropies[sampler, teacher], axis=0)  # (losses,)
        share, diameter = spec[LOCALITY][sampler], diameters[sampler, teacher]
        for loss, temperature, entropy in zip(grid.losses, temperatures, by_loss, strict=True):
            rows.append((teacher, sampler, loss, share, temperature, diameter, entropy))
    return pd.DataFrame(rows, columns=["teacher", "sampler", "loss", *DIALS, "diameter", "entropy"])


if __name__ == "__main__":
    run(make_factorial_table)
