"""Compute the advice table: what to train in which domain within which budget, with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.equivalence import Rule, judge
from workflow_scripts.analysis.families import COUNTED
from workflow_scripts.analysis.inference import Estimates
from workflow_scripts.analysis.query_values import RANKER, QueryValues
from workflow_scripts.analysis.summaries import Grid, values_at, whole_domains
from workflow_scripts.report.advice import USE, advise, choose, compare
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers

CELL, TEMPERATURE = "cell", "temperature"
ANY = "any"
_OF = ("mean", "std_seed", "cost", "shared_cost")
COLUMNS = (
    *("question", "student", "teacher", "domain", "measure", "budget", "n_candidates", "advice"),
    *("recommended", *(f"recommended_{what}" for what in _OF), "best", *(f"best_{what}" for what in _OF)),
    *("cheapest", "cheapest_mean", "cheapest_std_seed", "least_not_worse", "least_not_worse_cost"),
    *("compared", "against", "difference", "ci_low", "ci_high", "p_difference", "p_holm", "outcome", "basis"),
    *("n_queries", "n_seeds", "holds_on", "n_domains", *COUNTED),
)
TEXTS = ["teacher", "recommended", "cheapest", "least_not_worse", "compared", "against", "outcome", "basis"]


def make_advice_table(
    *, spec: Mapping, main: Path, cost: Path, metrics: Path, factorial: Path | None = None, output: Path
) -> None:
    """Write the numbers, a row a student, domain and budget.

    ``spec``: the axes of the main grid (students, losses, samplers, teachers, seeds), ``domains``, ``measure``,
    ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`), ``controls`` and ``budgets``,
    multiples of the energy of the cheapest cell of the same student, null for any. ``main`` and ``cost``: the numbers
    of these tables; a cell's cost is that of one trained model bought alone, ``shared_cost`` that with the pools made
    for all samplers, each over the cheapest cell's. A cell is named loss.sampler.teacher.
    ``difference`` is ``compared`` minus ``against``; see :mod:`workflow_scripts.report.advice` for ``advice``.
    ``holds_on``: domains with the same advice and, unless it is ``undecided``, the same recommended cell, this one
    among them. :data:`~workflow_scripts.analysis.families.COUNTED`: of all comparisons of the row's family.

    ``factorial``: the numbers of the factorial study's cells; adds rows of the question ``temperature``, whose
    candidates are its temperatures, each the mean over its samplers, at no difference in cost.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measure = spec["measure"]
    if not spec["budgets"]:
        raise InputError("the spec's list of budgets is empty: name one, null for any")
    values = QueryValues(metrics, [measure])
    candidates = _candidates(grid, domains, measure, main, cost)
    rows = []
    for student, domain in product(grid.students, domains):
        cells = candidates[(candidates["student"] == student) & (candidates["domain"] == domain.name)]
        cells = cells.sort_values("alone_wh", kind="stable")  # of equal costs the grid's first stays first
        for row in _cell_rows(cells, domain, values, spec):
            rows.append({"question": CELL, "student": student, **row})
    if factorial is not None:
        rows += _temperature_rows(factorial, domains, values, spec)
    table = pd.DataFrame(rows).assign(measure=measure).reindex(columns=list(COLUMNS))
    table[TEXTS] = table[TEXTS].fillna("")
    same = ["question", "student", "teacher", "budget"]
    table["holds_on"] = table.groupby([*same, "advice", "recommended"], sort=False)["domain"].transform("size")
    table["n_domains"] = table.groupby(same, sort=False)["domain"].transform("size")
    write_numbers(output, table, spec)


def _candidates(grid: Grid, domains: Sequence[Domain], measure: str, main: Path, cost: Path) -> pd.DataFrame:
    """Ranker, domain, energy_wh, alone_wh, mean and std_seed of every cell of the grid, in its order."""
    means, costs = read_numbers(main)[0], read_numbers(cost)[0]
    of_students = costs[costs["scope"] == "student"].set_index(list(RANKER))
    cells = [(*ranker, domain.name) for ranker in grid.trained for domain in domains]
    table = pd.DataFrame(cells, columns=[*RANKER, "domain"])
    energies = ("energy_wh", "alone_wh")
    table = table.assign(**{name: values_at(table, of_students[name].to_dict()) for name in energies})
    means = whole_domains(means, measure)
    table = table.merge(means[[*RANKER, "domain", "mean", "std_seed"]], how="left", on=[*RANKER, "domain"])
    for absent, message in (
        (~(table["alone_wh"] > 0), "the cost table has no energy of {}: make it again"),
        (table["mean"].isna(), f"the main table lacks {measure} of {{}}: make it with this grid"),
    ):
        if absent.any():
            raise InputError(message.format(" ".join(table.loc[absent.idxmax(), [*RANKER, "domain"]])))
    return table


def _cell_rows(cells: pd.DataFrame, domain: Domain, values: QueryValues, spec: Mapping) -> Iterator[dict]:
    """What to train: a row for each budget, all from the same comparisons with the cheapest of ``cells``, the first."""
    names = cells[list(RANKER[1:])].agg(".".join, axis=1).tolist()
    means, spreads = cells["mean"].to_numpy(), cells["std_seed"].to_numpy(dtype=float)
    cost, shared = (cells[name].to_numpy() for name in ("alone_wh", "energy_wh"))
    rankers = list(cells[list(RANKER)].itertuples(index=False, name=None))
    # The samplers of a loss and teacher are a block.
    blocks = list(cells.reset_index(drop=True).groupby(["loss", "teacher"], sort=False).indices.values())
    compared_cells = ComparedCells(values, rankers, blocks, spec["seeds"], spec["controls"])
    rule, measure = Rule(**spec["rule"]), spec["measure"]
    infer = partial(compared_cells.infer, domain.weights, measure)
    found = compare(infer, len(rankers), margin=rule.margin_for(values, domain, measure), rule=rule)
    queries = values.number(domain.collections, measure)
    for budget in spec["budgets"]:
        advice = advise(cost, means, found, budget)
        row = {"domain": domain.name, "budget": ANY if budget is None else f"{budget:g}", "n_queries": queries}
        row |= {"n_seeds": len(spec["seeds"]), "n_candidates": advice.number, "advice": advice.kind, **found.counted}
        for name, place in (("recommended", advice.recommended), ("best", advice.best), ("cheapest", 0)):
            if place is not None:
                costs = cost[place] / cost[0], shared[place] / shared[0]
                numbers = zip(_OF, (means[place], spreads[place], *costs), strict=True)
                row |= {name: names[place], **{f"{name}_{what}": number for what, number in numbers}}
        least, compared = advice.least, advice.recommended if advice.kind == USE else advice.best
        row |= {"least_not_worse": names[least], "least_not_worse_cost": cost[least] / cost[0]}
        if compared:
            row |= {"compared": names[compared], "against": names[0], "outcome": found.outcome[compared]}
            row |= {"difference": found.difference[compared], "p_holm": found.p[compared]}
            row |= {"ci_low": found.low[compared], "ci_high": found.high[compared]}
            row |= {"p_difference": found.p_difference[compared], "basis": found.basis[compared]}
        yield row


def _temperature_rows(factorial: Path, domains: Sequence[Domain], values: QueryValues, spec: Mapping) -> Iterator[dict]:
    """Which of the teacher's temperatures: one row a student, teacher and domain of the factorial study."""
    cells, study = read_numbers(factorial)
    named, rule, measure = {domain.name: domain for domain in domains}, Rule(**spec["rule"]), spec["measure"]
    chosen = cells[(cells["measure"] == measure) & cells["domain"].isin(named)]
    for (student, teacher, name), block in chosen.groupby(["student", "teacher", "domain"], sort=False):
        domain = named[name]
        losses = dict(block[["temperature", "loss"]].drop_duplicates().itertuples(index=False))
        samplers = block["sampler"].unique()
        if len(losses) < 2:
            continue  # nothing to choose from
        rankers = [(student, loss, sampler, teacher) for loss in losses.values() for sampler in samplers]
        compared = ComparedCells(values, rankers, [range(len(rankers))], study["seeds"])
        yield {
            **{"question": TEMPERATURE, "student": student, "teacher": teacher, "domain": name, "budget": ANY},
            **{"n_candidates": len(losses), "n_seeds": len(study["seeds"])},
            "n_queries": values.number(domain.collections, measure),
            **_temperature(compared, [f"{temperature:g}" for temperature in losses], domain, measure, rule),
        }


def _temperature(
    cells: ComparedCells, names: Sequence[str], domain: Domain, measure: str, rule: Rule
) -> dict[str, object]:
    """The choice of a temperature, each the mean over its samplers; ``cells``: a temperature's next to one another."""
    number, each = len(names), len(cells.cells) // len(names)
    means = np.kron(np.eye(number), np.full((1, each), 1 / each))  # (temperatures, cells)

    def infer(contrasts: np.ndarray) -> Estimates:
        return cells.infer(domain.weights, measure, contrasts @ means)

    margin = rule.margin_for(cells.values, domain, measure)
    kind, best, second, outcome, of_family = choose(infer, number, margin=margin, rule=rule)
    found = infer(np.eye(number)[[best]] - np.eye(number)[[second]])
    judged = judge(found, margin, rule)
    low, high = found.interval(1 - (1 - rule.confidence) / (number * (number - 1) / 2))
    mean = float(infer(np.eye(number)).mean[best])
    return {
        **{"advice": kind, "best": names[best], "best_mean": mean, "compared": names[best], "against": names[second]},
        **({"recommended": names[best], "recommended_mean": mean} if kind == USE else {}),
        **{"difference": found.mean[0], "ci_low": low[0], "ci_high": high[0], "outcome": outcome},
        **{"p_difference": judged["p_difference"][0], "basis": judged["basis"][0], **of_family},
    }


if __name__ == "__main__":
    run(make_advice_table)
