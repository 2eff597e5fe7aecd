"""The bound's terms a second time, from groups, labels, vectors and the headers of the students' weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from math import ceil, inf, log, prod, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize

from audit.contrasts import Domain
from audit.locality import quantities, read_groups, read_vectors
from audit.rows import Rows
from audit.sources import RISK, Sources
from audit.tables import summary

ALIKE, SAME_SCORE = 1e-6, 1e-5
"""Vectors and scores that are nearer are of one text."""
TAKEN = ("diameter", "kappa", "outside", "bounded", "misordered")


def bound(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Every quantity of each sampler and teacher, and of the estimation term for each student and unit."""
    for (sampler, teacher), rows in frame.groupby(["sampler", "teacher"], sort=False):
        seeds = [seed for *key, seed in spec["rows"] if key == [sampler, teacher]]
        found = _of_groups(sources, spec, sampler, teacher, seeds)
        groups = [read_groups(sources.folder, sampler, teacher, seed) for seed in seeds]
        students = {name: _student(sources, spec, name) for name in spec["students"]}
        least, documents = min(len(each.queries) for each in groups), groups[0].documents.shape[1]
        queries = {name: min(seen, least) for name, (_, seen) in students.items()}
        terms = [_term(students[name][0], queries[name], spec["delta"]) for name in students]
        for row in rows.itertuples():
            if row.quantity == "verdict":
                yield row.Index, {"note": _verdict(found, min(terms))}
            elif row.quantity == "measured_risk":
                yield row.Index, {"value": _risk(sources, spec, row.student, sampler, teacher)}
            elif row.student:
                number = queries[row.student] * (documents * (documents - 1) // 2 if row.unit == "pairs" else 1)
                of = _estimation(students[row.student][0], number, spec["delta"])
                yield row.Index, {"value": of[row.quantity]}
            else:
                yield row.Index, {"value": found[row.quantity]}


def _of_groups(sources: Sources, spec: Mapping, sampler: str, teacher: str, seeds: list[int]) -> dict[str, float]:
    """Quantities of a sampler and teacher: means over seeds, of the Lipschitz maxima the largest."""
    every = [quantities(sources, sampler, teacher, seed) for seed in seeds]
    means = {name: float(np.mean([each[name].mean() for each in every])) for name in every[0]}
    found = {name: means[name] for name in TAKEN if name in means}
    found["kappa_factor"] = means["kappa"] if means["bounded"] == 1 else inf
    found |= {"entropy_bits": means["entropy"], "entropy_nats": means["entropy"] * log(2)}
    h = means["entropy_positive"]
    found |= {"misordering_least": max(0.0, 0.5 - sqrt((1 - h) * log(2) / 2)), "misordering_most": h / 2}
    ratios = [_ratios(sources.folder, sampler, teacher, seed) for seed in seeds]
    quantiles = [np.quantile(each, spec["quantile"], method="inverted_cdf") for each in ratios]
    found |= {"lipschitz_max": max(each.max() for each in ratios), "lipschitz_quantile": float(np.mean(quantiles))}
    found["lipschitz_infinite"] = float(np.mean([np.isinf(each).mean() for each in ratios]))
    steep = {name: found[f"lipschitz_{name}"] * found["diameter"] for name in ("max", "quantile")}
    return found | {f"lipschitz_diameter_{name}": value for name, value in steep.items()}


def _ratios(results: Path, sampler: str, teacher: str, seed: int) -> np.ndarray:
    """Score difference over distance of all pairs that are not the same text."""
    groups, found = read_groups(results, sampler, teacher, seed), []
    first, second = np.triu_indices(groups.documents.shape[1], 1)
    for place, distances in read_vectors(results).distances(groups):
        apart, steps = distances > ALIKE, np.abs(groups.scores[place][first] - groups.scores[place][second])
        near = steps <= SAME_SCORE * (1 + np.abs(groups.scores[place][second]))
        found.append(np.where(apart, steps / np.where(apart, distances, 1), inf)[apart | ~near])
    return np.concatenate(found)


@cache
def _header(path: Path) -> dict:
    with open(path, "rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))


def _student(sources: Sources, spec: Mapping, name: str) -> tuple[int, int]:
    """Weights that a student of the grid learned, and different groups that it saw."""
    sampler, teacher, seed = spec["rows"][0]
    cell = sources.values["metrics"].stands((name, spec["losses"][0], sampler, teacher))
    folder = sources.folder / "students" / name / ".".join(cell[1:]) / f"seed{seed}"
    manifest = json.loads((folder / "manifest.json").read_text())
    pooler = manifest["spec"]["architecture"] == "bi-encoder"
    weights = {key: value for key, value in _header(folder / "model.safetensors").items() if key != "__metadata__"}
    learned = sum(prod(value["shape"]) for key, value in weights.items() if not (pooler and "pooler." in key))
    counts = manifest["counts"]
    return learned, min(counts["groups"], counts["documents"] // manifest["spec"]["group_size"])


def _term(capacity: float, samples: float, delta: float) -> float:
    capacity = np.minimum(capacity, samples)
    return np.sqrt((capacity * (np.log(2 * samples / capacity) + 1) + log(4 / delta)) / samples)


def _estimation(parameters: int, samples: int, delta: float) -> dict[str, float]:
    below = np.flatnonzero(_term(np.arange(1, samples + 1), samples, delta) < 1)
    largest = int(below[-1]) + 1 if len(below) else 0
    root = optimize.brentq(lambda n: _term(parameters, n, delta) - 1, parameters, 100 * parameters + 100, xtol=1e-6)
    return {
        **{"n": samples, "parameters": parameters, "estimation": _term(parameters, samples, delta)},
        **{"largest_d": largest, "parameters_per_d": parameters / largest if largest else inf, "n_needed": ceil(root)},
    }


def _risk(sources: Sources, spec: Mapping, student: str, sampler: str, teacher: str) -> float:
    """Mean over the losses of the grid on the first domain."""
    values, (_, of_risk) = sources.values["metrics"], sources.numbers("risk")
    domain = next(Domain.of(each) for each in of_risk["domains"] if each["name"] == spec["domain"])
    seeds = {tuple(cell): [s for *other, s in of_risk["rankers"] if other == cell] for *cell, _ in of_risk["rankers"]}
    cells = [values.stands((student, loss, sampler, teacher)) for loss in spec["losses"]]
    return float(np.mean([summary(values, cell, _of(seeds, cell), domain.weights, RISK)["mean"] for cell in cells]))


def _of(seeds: Mapping[tuple, list], cell: tuple) -> list:
    return seeds.get(cell) or next(own for other, own in seeds.items() if other[:3] == cell[:3])


def _verdict(found: Mapping[str, float], term: float) -> str:
    infinite = found["kappa_factor"] == inf
    factor = 1.0 if infinite else found["kappa_factor"]
    because = ["kappa"] * infinite + ["estimation"] * bool(factor * term >= 0.5)
    if because:
        return f"vacuous: {', '.join(because)}"
    steep = factor * (term + found["lipschitz_diameter_quantile"]) >= 0.5
    return f"cannot say: {'L Delta' if steep else 'L, zeta, d'}"
