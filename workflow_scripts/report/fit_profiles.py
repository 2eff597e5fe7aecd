"""Fit power laws to the score profiles of teachers and students: how fast scores fall with the rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.report.profiles import domain_profiles, lines_of, positive
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table, write_numbers


def fit_profiles(*, spec: Mapping, profiles: Path, output: Path) -> None:
    """Write domain, ranker, exponent, scale, r_squared of each line of the figure ``score_by_rank``.

    ``spec``: ``domains``, ``students``, ``teachers``, ``fit_range`` of the rank ratio. A fit is :func:`fit_power_law`
    of a line: a teacher, or the mean over a student's losses, samplers, teachers and seeds.
    """
    frame, rows = read_table(profiles), []
    for domain in parse_domains(spec["domains"]):
        for label, chosen in lines_of(frame, spec):
            ratios, curves = domain_profiles(chosen, domain)
            law = fit_power_law(ratios, positive(curves.mean(axis=0)), spec["fit_range"])
            rows.append({"domain": domain.name, "ranker": label, **law})
    write_numbers(output, pd.DataFrame(rows), spec)


def fit_power_law(ratios: np.ndarray, scores: np.ndarray, fit_range: Sequence[float]) -> dict[str, float]:
    """``exponent``, ``scale`` and ``r_squared`` of score = scale x ratio^-exponent.

    Least squares of log score on log ratio over ``fit_range`` (both ends included), each point weighing 1 / ratio:
    ranks are spaced evenly, their logarithms are not, and without weights the tail would decide alone. R^2, the share
    of the logarithm's variance that the law explains, has the same weights. The range has to end before the last
    ratio, where a normalised score is 0. Raises :class:`InputError` for fewer than three points or a score that is not
    positive within the range.
    """
    low, high = fit_range
    inside = (ratios >= low) & (ratios <= high)
    if inside.sum() < 3:
        raise InputError(f"a power law needs three points between the rank ratios {low} and {high}: rank deeper")
    if not (scores[inside] > 0).all():
        raise InputError(f"a score between the rank ratios {low} and {high} is not positive: end the range earlier")
    x, y, weights = np.log(ratios[inside]), np.log(scores[inside]), 1 / ratios[inside]
    x_mean, y_mean = np.average(x, weights=weights), np.average(y, weights=weights)
    slope = np.sum(weights * (x - x_mean) * (y - y_mean)) / np.sum(weights * (x - x_mean) ** 2)
    residual = np.sum(weights * (y - y_mean - slope * (x - x_mean)) ** 2)
    spread = np.sum(weights * (y - y_mean) ** 2)
    explained = 1 - residual / spread if spread > 0 else 1.0
    return {"exponent": float(-slope), "scale": float(np.exp(y_mean - slope * x_mean)), "r_squared": float(explained)}


if __name__ == "__main__":
    run(fit_profiles)
