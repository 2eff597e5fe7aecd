"""Compute the controls table: what training a cell again changes, and what a test over queries makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from workflow_scripts.analysis.domains import ALL, Domain, parse_domains
from workflow_scripts.analysis.measure_names import orders_candidates
from workflow_scripts.analysis.query_values import RANKER, QueryValues
from workflow_scripts.analysis.training_noise import training_noise
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers

COLUMNS = (
    *("student", "loss", "domain", "measure", "n_cells", "n_queries", "df"),
    *("sd", "sd_low", "sd_high", "noise", "called"),
)
NOMINAL = 0.05
"""Error rate of the test over queries alone."""


def make_controls_table(*, spec: Mapping, metrics: Path, output: Path) -> None:
    """Write the numbers, columns COLUMNS: a row for each student, loss (``all``: its losses together) and domain.

    ``sd``: standard deviation over trainings of a cell's mean on the domain, the root of s2, with the interval that its
    ``df`` degrees of freedom leave it; ``noise``: the part of it that is seed x query noise, the root of e (see
    :func:`~workflow_scripts.analysis.training_noise.training_noise`). ``called``: see :func:`called_different`.
    ``spec``: ``controls``, ``domains``, ``measures``, ``depth`` of the re-ranked lists, ``confidence`` of the interval.
    """
    controls, domains = spec["controls"], parse_domains(spec["domains"])
    shown = [measure for measure in spec["measures"] if orders_candidates(measure, spec["depth"])]
    values, rows = QueryValues(metrics, shown), []
    for student, loss, cells in _groups(controls):
        for domain, measure in values.by_domain(domains, shown):
            numbers = _changes(values, cells, domain, measure, spec["confidence"])
            rows.append((student, loss, domain.name, measure, len(cells), *numbers))
    write_numbers(output, pd.DataFrame(rows, columns=list(COLUMNS)), spec)


def _groups(controls: Sequence[Mapping]) -> Iterator[tuple[str, str, list[Mapping]]]:
    """Each student with each of its losses, then with all of them: what is pooled."""
    for student in dict.fromkeys(cell["student"] for cell in controls):
        own = [cell for cell in controls if cell["student"] == student]
        for loss in dict.fromkeys(cell["loss"] for cell in own):
            yield student, loss, [cell for cell in own if cell["loss"] == loss]
        yield student, ALL, own


def _changes(
    values: QueryValues, controls: Sequence[Mapping], domain: Domain, measure: str, confidence: float
) -> tuple[float, ...]:
    """Queries, degrees of freedom, deviation over trainings with its interval, noise, and how often it is called."""
    cells = []
    for control in controls:
        ranker, seeds = tuple(control[name] for name in RANKER), control["seeds"]
        collections = domain.collections
        cells.append({name: np.stack([values.of(ranker, [s], name, measure) for s in seeds]) for name in collections})
    found = training_noise([], cells, domain.weights)
    variance, noise, degrees = float(found.total), float(found.both), found.degrees
    tails = chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], degrees)
    low, high = np.sqrt(degrees * variance / tails)
    queries = values.number(domain.collections, measure)
    return queries, degrees, np.sqrt(variance), low, high, np.sqrt(noise), called_different(variance, noise)


def called_different(variance: float, noise: float) -> float:
    """How often a test over queries alone, at 5%, calls two trainings of one cell different.

    It takes their difference to vary by V_q = 2e, seed x query noise, which the spread over queries shows; the
    difference varies by V = 2 max(s2, e). The rate is 2 Phi(-z sqrt(V_q / V)); NaN where nothing varies.
    """
    if max(variance, noise) == 0:
        return np.nan
    return float(2 * norm.cdf(norm.ppf(NOMINAL / 2) * np.sqrt(noise / max(variance, noise))))


if __name__ == "__main__":
    run(make_controls_table)
