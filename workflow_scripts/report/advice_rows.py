"""Rows of the advice table: the candidates with their means and costs, compared on their queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import ALL, Domain
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.paired import mean_difference
from workflow_scripts.analysis.query_values import QueryValues, standing_at
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.report.advice import USE, Advice, Comparisons, advise, choose, compare
from workflow_scripts.storage.errors import InputError

CELL, TEMPERATURE = "cell", "temperature"
ANY = "any"
NAMES = ("loss", "sampler", "teacher")
FACTORIAL = ("student", "teacher", "domain", "measure", "sampler", "loss", "temperature")


class Cells:
    """Means, spreads and costs of the grid's cells, from the tables that tell them."""

    def __init__(self, grid: Grid, measure: str, main: str | Path, cost: str | Path) -> None:
        self.grid, self.measure = grid, measure
        rows = read_columns(main, ("student", *NAMES, "domain", "collection", "measure", "mean", "std_seed"))
        rows = rows[(rows["collection"] == ALL) & (rows["measure"] == measure)]
        self._means = rows.set_index(["student", *NAMES, "domain"])[["mean", "std_seed"]].T.to_dict("list")
        costs = read_columns(cost, ("scope", "student", *NAMES, "energy_wh"))
        costs = costs[costs["scope"] == "student"].set_index(["student", *NAMES])["energy_wh"].to_dict()
        self._costs = {key: costs.get(standing_at(key, costs), 0) for key in grid.trained}

    def by_cost(self, student: str) -> tuple[list[tuple[str, str, str]], np.ndarray]:
        """The student's cells (loss, sampler, teacher), cheapest first, and their watt-hours."""
        cells = list(product(self.grid.losses, self.grid.samplers, self.grid.teachers))
        for cell in cells:
            if not self._costs[student, *cell] > 0:
                raise InputError(f"the cost table has no energy of {student} {'.'.join(cell)}: make it again")
        # Of equal costs the grid's first stays first.
        cells.sort(key=lambda cell: self._costs[student, *cell])
        return cells, np.array([self._costs[student, *cell] for cell in cells])

    def means(self, student: str, cells: Sequence[tuple[str, str, str]], domain: str) -> np.ndarray:
        """Mean and standard deviation over seeds of each cell  # (cells, 2)."""
        try:
            return np.array([self._means[student, *cell, domain] for cell in cells], dtype=float)
        except KeyError as error:
            told = " ".join(error.args[0])
            raise InputError(f"the main table lacks {self.measure} of {told}: make it with this grid") from None


def read_columns(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table's columns; names stay texts, whatever they look like."""
    texts = ("student", *NAMES, "domain", "collection", "measure", "scope")
    numbers = {name: [""] for name in columns if name not in texts}
    frame = pd.read_csv(path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=numbers)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}: make that table again")
    return frame


def cell_rows(
    found: Cells, student: str, domain: Domain, values: QueryValues, rule: Rule, budgets: Sequence[float | None]
) -> Iterator[dict]:
    """What to train: a row of the advice table for each budget, all from the same comparisons."""
    cells, cost = found.by_cost(student)
    means, seeds = found.means(student, cells, domain.name), found.grid.seeds
    rankers = [(student, loss, sampler, teacher) for loss, sampler, teacher in cells]
    arrays = {
        name: np.stack([values.of(ranker, seeds, name, found.measure) for ranker in rankers])
        for name in domain.collections
    }
    margin = rule.margin_for(values, domain, found.measure)
    comparisons = compare(arrays, domain.weights, margin=margin, rule=rule)
    queries = sum(array.shape[1] for array in arrays.values())
    for budget in budgets:
        advice = advise(cost, means[:, 0], comparisons, budget)
        yield {
            "question": CELL,
            "student": student,
            "domain": domain.name,
            "measure": found.measure,
            "budget": ANY if budget is None else f"{budget:g}",
            "n_queries": queries,
            "n_seeds": len(seeds),
            **_told(advice, [".".join(cell) for cell in cells], means, cost / cost[0], comparisons),
        }


def _told(
    advice: Advice, names: Sequence[str], means: np.ndarray, cost: np.ndarray, comparisons: Comparisons
) -> dict[str, object]:
    """The advice and its evidence: what the recommended cell, or else the best mean, is over the cheapest."""
    told: dict[str, object] = {"n_candidates": advice.number, "advice": advice.kind}
    places = {"recommended": advice.recommended, "best": advice.best, "cheapest": 0}
    for name, place in places.items():
        if place is not None:
            told |= {name: names[place], f"{name}_mean": means[place, 0], f"{name}_std_seed": means[place, 1]}
            told[f"{name}_cost"] = cost[place]
    told |= {"least_not_worse": names[advice.least], "least_not_worse_cost": cost[advice.least]}
    compared = advice.recommended if advice.kind == USE else advice.best
    if compared:
        told |= {"compared": names[compared], "against": names[0]}
        told |= {"difference": comparisons.difference[compared], "p_holm": comparisons.p[compared]}
        told |= {"ci_low": comparisons.low[compared], "ci_high": comparisons.high[compared]}
        told["outcome"] = comparisons.outcome[compared]
    return told


def temperature_rows(
    cells: pd.DataFrame, domains: Sequence[Domain], measure: str, values: QueryValues, rule: Rule
) -> Iterator[dict]:
    """Which of the teacher's temperatures: one row a student, teacher and domain of the factorial study."""
    named = {domain.name: domain for domain in domains}
    chosen = cells[(cells["measure"] == measure) & cells["domain"].isin(named)]
    for (student, teacher, domain), block in chosen.groupby(["student", "teacher", "domain"], sort=False):
        losses = dict(block[["temperature", "loss"]].drop_duplicates().itertuples(index=False))
        samplers = list(dict.fromkeys(block["sampler"]))
        if len(losses) < 2:
            continue  # nothing to choose from
        cells = [[(student, loss, sampler, teacher) for sampler in samplers] for loss in losses.values()]
        seeds = values.seeds(cells[0][0])
        arrays = {
            name: np.stack([np.mean([values.of(cell, seeds, name, measure) for cell in row], axis=0) for row in cells])
            for name in named[domain].collections
        }
        margin = rule.margin_for(values, named[domain], measure)
        yield {
            **{"question": TEMPERATURE, "student": student, "teacher": teacher, "domain": domain, "measure": measure},
            **{"budget": ANY, "n_candidates": len(losses), "n_seeds": len(seeds)},
            "n_queries": sum(array.shape[1] for array in arrays.values()),
            **_temperature(arrays, named[domain].weights, [f"{temperature:g}" for temperature in losses], margin, rule),
        }


def _temperature(
    arrays: Mapping[str, np.ndarray], weights: Mapping[str, float], names: Sequence[str], margin: float, rule: Rule
) -> dict[str, object]:
    kind, best, second, outcome = choose(arrays, weights, margin=margin, rule=rule)
    means = sum(weights[name] * array.mean(axis=1) for name, array in arrays.items())
    estimate = mean_difference({name: array[[best]] - array[[second]] for name, array in arrays.items()}, weights)
    pairs = len(names) * (len(names) - 1) / 2
    low, high = estimate.interval(1 - (1 - rule.confidence) / pairs)
    told = {"advice": kind, "best": names[best], "best_mean": means[best], "compared": names[best]}
    if kind == USE:
        told |= {"recommended": names[best], "recommended_mean": means[best]}
    evidence = {"difference": estimate.mean[0], "ci_low": low[0], "ci_high": high[0], "outcome": outcome}
    return told | {"against": names[second], **evidence}
