"""Fit curves to the score profiles of teachers and students: how scores fall with the rank, and which curve is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bootstrap import percentile_interval, resampled_means
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.families import holm
from workflow_scripts.analysis.inference import infer
from workflow_scripts.report.profiles import lines_of
from workflow_scripts.report.rank_curves import FORMS, POWER, fit_curve, rank_weights
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.storage.tables import read_table, write_numbers

PARAMETERS = ("scale", "rate", "stretch")
COLUMNS = (
    *("domain", "ranker", "form", *PARAMETERS, *(f"{name}_{end}" for name in PARAMETERS for end in ("low", "high"))),
    *("r_squared", "held_out_error", "rival", "difference", "difference_low", "difference_high", "p", "p_holm"),
    *("best", "n_queries"),
)

Profiles = Mapping[str, np.ndarray]
"""Collection to the queries' scores  # (queries, ratios)."""


def fit_profiles(*, spec: Mapping, queries: Path, output: Path) -> None:
    """Write a row for each domain, line of the figure ``score_by_rank`` and form of curve, columns :data:`COLUMNS`.

    ``spec``: ``domains``, ``students``, ``teachers``, ``fit_range`` of the rank ratio (both ends included),
    ``bootstrap`` (samples, seed, confidence). ``queries``: each query's profile, as ``profile_scores`` writes them. The
    parameters are :func:`~workflow_scripts.report.rank_curves.fit_curve`'s of the domain's mean profile, their
    intervals percentiles of fits to resampled queries. ``held_out_error``, and the power law's ``difference`` from its
    ``rival``: :func:`held_out_errors`; Holm's correction is over the lines of a domain.
    """
    frame, rows = read_table(queries), []
    for domain in parse_domains(spec["domains"]):
        found = [_line(label, own, domain, spec) for label, own in lines_of(frame, spec)]
        table = pd.DataFrame([row for line in found for row in line])
        power = table["form"] == POWER
        table.loc[power, "p_holm"] = holm(table.loc[power, "p"])
        rows.append(table)
    write_numbers(output, pd.concat(rows, ignore_index=True)[list(COLUMNS)], spec)


def _line(label: str, own: pd.DataFrame, domain: Domain, spec: Mapping) -> list[dict]:
    """Rows of one line, a form each."""
    profiles, ratios = _in_range(own, domain, spec["fit_range"])
    bootstrap = spec["bootstrap"]
    mean = _domain_mean(profiles, domain)
    resampled = sum(
        weight * resampled_means(profiles[name].T, bootstrap["samples"], bootstrap["seed"], name)
        for name, weight in domain.weights.items()
    ).T  # (samples, ratios)
    held_out, rival = held_out_errors(profiles, domain, ratios, bootstrap["seed"])
    errors = {form: _domain_mean({name: own[form] for name, own in held_out.items()}, domain) for form in FORMS}
    contrasts = {name: (own[POWER] - own[rival])[None, None] for name, own in held_out.items()}
    # Curves of trained models: queries are all that varies, and a cell of no block brings no variance of training.
    difference = infer(contrasts, domain.weights, np.ones((1, 1)), blocks=[])
    low, high = difference.interval(bootstrap["confidence"])
    versus = {"rival": rival, "difference": difference.mean[0], "difference_low": low[0], "difference_high": high[0]}
    versus["p"] = difference.difference_p()[0]
    spread = np.average((mean - np.average(mean, weights=rank_weights(ratios))) ** 2, weights=rank_weights(ratios))
    rows = []
    for form in FORMS:
        curve, again = fit_curve(form, ratios, mean[None]), fit_curve(form, ratios, resampled)
        row = {"domain": domain.name, "ranker": label, "form": form, "held_out_error": float(errors[form])}
        for name in PARAMETERS:
            ends = percentile_interval(getattr(again, name), bootstrap["confidence"])
            row |= {name: getattr(curve, name)[0], f"{name}_low": ends[0], f"{name}_high": ends[1]}
        row |= {"r_squared": 1 - curve.error[0] / spread, "best": errors[form] == min(errors.values())}
        rows.append(row | {"n_queries": sum(map(len, profiles.values()))} | (versus if form == POWER else {}))
    return rows


def _in_range(own: pd.DataFrame, domain: Domain, fit_range: Sequence[float]) -> tuple[Profiles, np.ndarray]:
    """Collection to its queries' scores within the range, and the ratios there."""
    low, high = fit_range
    rows = {name: own[own["collection"] == name] for name in domain.collections}
    for name, part in rows.items():
        if len(part) < 4:
            raise InputError(f"{name} has {len(part)} queries with a profile: two halves to fit and to test need four")
    whole = {
        name: np.stack(part.sort_values("query_id")["scores"].to_list()).astype(float) for name, part in rows.items()
    }
    points = next(iter(whole.values())).shape[1]
    ratios = np.arange(1, points + 1) / points
    inside = (ratios >= low) & (ratios <= high)
    if inside.sum() < 4:
        raise InputError(f"a curve needs four points between the rank ratios {low} and {high}: rank deeper")
    return {name: scores[:, inside] for name, scores in whole.items()}, ratios[inside]


def _domain_mean(values: Mapping[str, np.ndarray], domain: Domain) -> np.ndarray:
    return sum(weight * values[name].mean(axis=0) for name, weight in domain.weights.items())


def held_out_errors(
    profiles: Profiles, domain: Domain, ratios: np.ndarray, seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], str]:
    """Collection to form to each query's squared error, and the power law's best rival.

    A query's error is the weighted mean over the ratios of (its score - the curve)^2; the curve is fitted to the other
    half's mean profile, so every query is held out once. The rival is chosen by its error of fit to both halves. Halves
    are drawn within collections.
    """
    halves = {name: _halves(len(scores), seed, name) for name, scores in profiles.items()}
    weights = rank_weights(ratios)
    errors = {name: {form: np.empty(len(scores)) for form in FORMS} for name, scores in profiles.items()}
    of_fit = dict.fromkeys(FORMS, 0.0)
    for half in (0, 1):
        mean = _domain_mean({name: scores[halves[name] == half] for name, scores in profiles.items()}, domain)
        for form in FORMS:
            curve = fit_curve(form, ratios, mean[None])
            of_fit[form] += float(curve.error[0])
            for name, scores in profiles.items():
                tested = halves[name] != half
                errors[name][form][tested] = (scores[tested] - curve.at(ratios)) ** 2 @ weights
    return errors, min(set(FORMS) - {POWER}, key=lambda form: of_fit[form])


def _halves(number: int, seed: int, collection: str) -> np.ndarray:
    """0 or 1 of each query, as many of both (one more where the number is odd)."""
    order = np.random.default_rng(derive_seed(seed, "halves", collection)).permutation(number)
    return order % 2


if __name__ == "__main__":
    run(fit_profiles)
