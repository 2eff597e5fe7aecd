"""Score against rank a second time: profiles from the runs, curves by MINPACK, intervals by draws of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize

from audit.contrasts import Domain, holm
from audit.inference import ends, p_values, rows_of
from audit.rows import Near, Rows
from audit.sources import KEYS, Sources, by_query, derived
from audit.tables import resamples

POWER, EXPONENTIAL, STRETCHED = FORMS = ("power law", "exponential", "stretched exponential")
SAMPLES = 400
STARTS = {1: [(rate,) for rate in (-3, -1, 0, 2)], 2: list(product((-2, 0, 1), (-1, 0)))}
"""Logarithms of rate (and stretch) from which the curves are searched."""
LEAST_STRETCH, MOST = 0.1, {POWER: 3.5, EXPONENTIAL: 6.0, STRETCHED: 6.0}
"""Of a stretch, and the logarithm of a rate beyond which a curve is 0 everywhere."""


def score_by_rank(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Every line's fits in every domain, and the power law's held-out error less its rival's."""
    lines = _lines(sources, spec)
    for domain in map(Domain.of, spec["domains"]):
        rows = frame[frame["domain"] == domain.name]
        found = {name: dict(_line(line, domain, spec)) for name, line in lines.items()}
        corrected = dict(zip(found, holm([each[POWER]["p"] for each in found.values()]), strict=True))
        for row in rows.itertuples():
            of_power = {"p_holm": corrected[row.ranker]} if row.form == POWER else {}
            yield row.Index, found[row.ranker][row.form] | of_power


Profiles = Mapping[str, np.ndarray]
"""Collection to queries x ratios."""


def _lines(sources: Sources, spec: Mapping) -> dict[str, Profiles]:
    """Each line's profiles: of a teacher, or the mean over all that a student was trained by."""
    table = pd.read_parquet(sources.folder / "analysis" / "profiles.parquet")
    points = table["rank_ratio"].nunique()
    rankers = table[KEYS[:5]].drop_duplicates().astype(object).itertuples(index=False, name=None)
    found: dict[str, list] = {}
    for *cell, seed in rankers:
        cell = tuple(cell)
        if cell[0] in spec["students"]:
            found.setdefault(cell[0], []).append((cell, int(seed)))
        elif cell[0] == "teacher" and cell[3] in spec["teachers"]:
            label = f"teacher {cell[3]}" if len(spec["teachers"]) > 1 else "teacher"
            found.setdefault(label, []).append((cell, None))
    path, names = sources.values["metrics"].path, {name for each in spec["domains"] for name in Domain.of(each).weights}
    return {
        label: {name: _mean([path(*key, name) for key in keys], points) for name in names}
        for label, keys in found.items()
    }


def _mean(runs: list[Path], points: int) -> np.ndarray:
    """Mean profile of each query over the runs that have it, as it is stored  # (queries sorted, points)."""
    profiles = pd.concat([_profiles(run, points) for run in runs])
    return profiles.groupby(level=0).mean().sort_index().to_numpy().astype(np.float32).astype(float)


def _profiles(run: Path, points: int) -> pd.DataFrame:
    grid, found = np.arange(1, points + 1) / points, {}
    for query, rows in by_query(run).items():
        scores = np.array([score for _, score in sorted(rows.values())])
        if scores.max() > scores.min():
            scaled = (scores - scores.min()) / (scores.max() - scores.min())
            found[query] = np.interp(grid, np.arange(1, len(scores) + 1) / len(scores), scaled)
    return pd.DataFrame.from_dict(found, orient="index")


@dataclass(frozen=True)
class Fit:
    """A curve and its weighted mean squared error."""

    scale: float
    rate: float
    stretch: float
    error: float


def shape(form: str, ratios: np.ndarray, rate: float, stretch: float) -> np.ndarray:
    """The curve before its scale."""
    return ratios**-rate if form == POWER else np.exp(-rate * ratios**stretch)


def fit(form: str, ratios: np.ndarray, scores: np.ndarray, start: Fit | None = None) -> Fit:
    """Least squares with weights 1 / ratio, the scale projected out; from a fit that is near, or several places."""
    weights = (1 / ratios) / (1 / ratios).sum()
    free = 2 if form == STRETCHED else 1

    def at(logs: np.ndarray) -> tuple[float, float, float, np.ndarray]:
        rate, stretch = np.exp(min(logs[0], MOST[form])), max(np.exp(logs[1]), LEAST_STRETCH) if free == 2 else 1.0
        curve = shape(form, ratios, rate, stretch)
        scale = (weights * curve * scores).sum() / (weights * curve**2).sum()
        return scale, rate, stretch, np.sqrt(weights) * (scores - scale * curve)

    starts = STARTS[free] if start is None else [np.log([start.rate, start.stretch])[:free]]
    options = {"method": "lm", "xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14} if start is None else {"method": "lm"}
    fits = (optimize.least_squares(lambda logs: at(logs)[3], each, **options) for each in starts)
    *curve, rest = at(min(fits, key=lambda each: each.cost).x)
    return Fit(*curve, float(rest @ rest))


def _line(profiles: Profiles, domain: Domain, spec: Mapping) -> list[tuple[str, dict]]:
    low, high = spec["fit_range"]
    points = next(iter(profiles.values())).shape[1]
    ratios = np.arange(1, points + 1) / points
    inside = (ratios >= low) & (ratios <= high)
    ratios, own = ratios[inside], {name: profiles[name][:, inside] for name in domain.weights}
    mean, confidence = _whole(own, domain), spec["bootstrap"]["confidence"]
    draws = [resamples(place, len(own[name]), SAMPLES) @ own[name] for place, name in enumerate(domain.weights)]
    again = sum(weight * each for weight, each in zip(domain.weights.values(), draws, strict=True))
    errors, rival = _held_out(own, domain, ratios, spec["bootstrap"]["seed"])
    of_form = {form: _whole({name: errors[name][form] for name in own}, domain) for form in FORMS}
    weights = 1 / ratios
    spread = np.average((mean - np.average(mean, weights=weights)) ** 2, weights=weights)
    rows = []
    for form in FORMS:
        curve = fit(form, ratios, mean)
        found = {"r_squared": 1 - curve.error / spread, "held_out_error": of_form[form]}
        fits = [fit(form, ratios, each, curve) for each in again]
        for name in ("scale", "rate", "stretch"):
            drawn = np.array([getattr(each, name) for each in fits])
            found[name] = getattr(curve, name)
            for end, place in (("low", (1 - confidence) / 2), ("high", (1 + confidence) / 2)):
                found[f"{name}_{end}"] = Near(np.quantile(drawn, place), 0.6 * drawn.std())
        found |= {"best": of_form[form] == min(of_form.values()), "n_queries": sum(map(len, own.values()))}
        rows.append((form, found))
    contrast = {name: (errors[name][POWER] - errors[name][rival])[None, None] for name in own}
    estimate, row, *_ = rows_of(contrast, domain.weights, [1.0], [])
    first, last = ends(estimate, [row], confidence)
    rows[0][1].update({"rival": rival, "difference": estimate, "difference_low": first, "difference_high": last})
    rows[0][1]["p"] = p_values(estimate, [row], 0)["difference"]
    return rows


def _whole(values: Mapping[str, np.ndarray], domain: Domain) -> np.ndarray:
    return sum(weight * values[name].mean(axis=0) for name, weight in domain.weights.items())


def _held_out(
    profiles: Profiles, domain: Domain, ratios: np.ndarray, seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], str]:
    """Each query's error under the curves of the half that it is not in, and the better rival of the power law."""
    weights = (1 / ratios) / (1 / ratios).sum()
    halves = {name: _halves(seed, name, len(scores)) for name, scores in profiles.items()}
    found = {name: {form: np.zeros(len(scores)) for form in FORMS} for name, scores in profiles.items()}
    misfit = dict.fromkeys(FORMS, 0.0)
    for half, form in product((0, 1), FORMS):
        mean = _whole({name: scores[halves[name] == half] for name, scores in profiles.items()}, domain)
        curve = fit(form, ratios, mean)
        misfit[form] += curve.error
        fitted = curve.scale * shape(form, ratios, curve.rate, curve.stretch)
        for name, scores in profiles.items():
            others = halves[name] != half
            found[name][form][others] = ((scores[others] - fitted) ** 2 * weights).sum(axis=1)
    return found, min(FORMS[1:], key=lambda form: misfit[form])


@cache
def _halves(seed: int, collection: str, number: int) -> np.ndarray:
    """The half of each query: a draw, and so repeated as it was made."""
    return np.random.default_rng(derived(seed, "halves", collection)).permutation(number) % 2
