"""The advice table a second time: every cell less the cheapest, all pairs, and what they amount to within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, product
from math import inf, nan

import numpy as np
import pandas as pd

from audit.contrasts import Block, Domain, Found, family
from audit.inference import ends
from audit.rows import Rows
from audit.sources import Cell, Sources
from audit.tables import margin_of, summary

SAME = ("question", "student", "teacher", "budget")


@dataclass(frozen=True)
class Choices:
    """Candidates of one student and domain: names, means, costs (alone and shared) over the first's, comparisons."""

    names: Sequence[str]
    of: Sequence[Mapping[str, float]]
    costs: Sequence[float]
    shared: Sequence[float]
    found: Sequence[Found]
    verdicts: Sequence[Mapping]
    worse: np.ndarray
    joint: float
    """Confidence of the intervals that hold for all comparisons with the first."""


def advice(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """What to train in each domain within each budget, and which temperature."""
    domains = {each["name"]: Domain.of(each) for each in spec["domains"]}
    rows: dict[int, dict] = {}
    for (student, name), own in frame[frame["question"] == "cell"].groupby(["student", "domain"], sort=False):
        choices = _choices(spec, sources, student, domains[name])
        budgets = {"any" if each is None else f"{each:g}": each or inf for each in spec["budgets"]}
        for index, budget in own["budget"].items():
            rows[index] = _advised(choices, budgets[budget])
    for row in frame[frame["question"] == "temperature"].itertuples():
        rows[row.Index] = _temperature(spec, sources, row.student, row.teacher, domains[row.domain])
    for index, found in rows.items():
        place, kind = frame.loc[index], ("advice", "recommended")
        alike = [other for other in rows if all(frame.loc[other, key] == place[key] for key in SAME)]
        same = [other for other in alike if all(rows[other].get(k, "") == found.get(k, "") for k in kind)]
        domain = domains[place["domain"]]
        values, ranker = sources.values["metrics"], ("bm25", "", "", "")
        queries = sum(len(values.of(ranker, None, name, spec["measure"])) for name in domain.weights)
        yield index, found | {"holds_on": len(same), "n_domains": len(alike), "n_queries": queries}


def _choices(spec: Mapping, sources: Sources, student: str, domain: Domain) -> Choices:
    values, (costs, _) = sources.values["metrics"], sources.numbers("cost")
    rows = costs[costs["scope"] == "student"].set_index(["student", "loss", "sampler", "teacher"])
    energy = {cell: (row["alone_wh"], row["energy_wh"]) for cell, row in rows.iterrows()}
    grid = [(student, *rest) for rest in product(spec["losses"], spec["samplers"], spec["teachers"])]
    cells = sorted(grid, key=lambda cell: energy[values.stands(cell)][0])
    blocks = [list(places) for _, places in groupby(_by_block(cells), key=lambda place: cells[place][1::2])]
    block = Block(values, cells, spec["seeds"], spec["controls"], blocks=blocks)
    number, measure = len(cells), spec["measure"]
    margin = margin_of(values, domain, measure, spec["rule"])

    def infer(one: int, other: int) -> Found:
        a = [float(place == one) - float(place == other) for place in range(number)]
        return block.infer(domain.weights, measure, a)

    found = [infer(place, 0) for place in range(1, number)]
    pairs = list(combinations(range(number), 2))
    of_pairs = [infer(*pair) for pair in pairs]
    worse = _worse(number, pairs, of_pairs, family(of_pairs, margin, spec["rule"]))
    verdicts = family(found, margin, spec["rule"])
    for place, (each, verdict) in enumerate(zip(found, verdicts, strict=True), start=1):
        shown = verdict["outcome"] == "different"
        worse[0, place], worse[place, 0] = shown and each.estimate > 0, shown and each.estimate < 0
    alone, shared = zip(*(energy[values.stands(cell)] for cell in cells), strict=True)
    return Choices(
        names=[".".join(cell[1:]) for cell in cells],
        of=[summary(values, cell, spec["seeds"], domain.weights, measure) for cell in cells],
        **{"costs": [cost / alone[0] for cost in alone], "shared": [cost / shared[0] for cost in shared]},
        **{"found": found, "verdicts": verdicts, "worse": worse},
        joint=1 - (1 - spec["rule"]["confidence"]) / max(number - 1, 1),
    )


def _by_block(cells: Sequence[Cell]) -> list[int]:
    """Places, those of a loss and teacher together."""
    return sorted(range(len(cells)), key=lambda place: cells[place][1::2])


def _worse(number: int, pairs: Sequence, found: Sequence[Found], verdicts: Sequence[Mapping]) -> np.ndarray:
    """Whether the row's candidate is shown to be worse than the column's."""
    worse = np.zeros((number, number), dtype=bool)
    for (one, other), each, verdict in zip(pairs, found, verdicts, strict=True):
        if verdict["outcome"] == "different":
            worse[(one, other) if each.estimate < 0 else (other, one)] = True
    return worse


def _advised(choices: Choices, budget: float) -> dict:
    within = [place for place, cost in enumerate(choices.costs) if cost <= budget * (1 + 1e-9)]
    means = [each["mean"] for each in choices.of]
    best = max(within, key=lambda place: (means[place], -place))
    least = next(place for place in within if not choices.worse[place, best])
    outcomes = ["equivalent", *(each["outcome"] for each in choices.verdicts)]
    better = [p for p in within[1:] if outcomes[p] == "different" and choices.found[p - 1].estimate > 0]
    if better:
        kind, recommended = "use", max(better, key=lambda place: (means[place], -place))
    elif best == 0 or outcomes[best] in ("equivalent", "same"):
        kind, recommended = ("equivalent" if best else "cheapest"), 0
    else:
        kind, recommended = ("one seed" if outcomes[best] == "one seed" else "undecided"), None
    row = {"n_candidates": len(within), "advice": kind, "least_not_worse": choices.names[least]}
    row["least_not_worse_cost"] = choices.costs[least]
    for name, place in (("recommended", recommended), ("best", best), ("cheapest", 0)):
        if place is not None:
            row |= {name: choices.names[place], f"{name}_mean": means[place]}
            row[f"{name}_std_seed"] = choices.of[place]["std_seed"]
            if name != "cheapest":
                row |= {f"{name}_cost": choices.costs[place], f"{name}_shared_cost": choices.shared[place]}
    if compared := recommended if kind == "use" else best:
        found, verdict = choices.found[compared - 1], choices.verdicts[compared - 1]
        low, high = ends(found.estimate, found.rows, choices.joint) if found.known else (nan, nan)
        row |= {"compared": choices.names[compared], "against": choices.names[0], "difference": found.estimate}
        row |= {"ci_low": low, "ci_high": high, "outcome": verdict["outcome"]}
        row |= {"p_difference": verdict["p_difference"], "p_holm": verdict["p_difference_holm"]}
    return row | {"n_seeds": choices.of[0]["n_seeds"], **_counted(choices.verdicts)}


def _counted(verdicts: Sequence[Mapping]) -> dict[str, float]:
    """Comparisons of a family that have a p-value, and the calls among them."""
    tested = [each for each in verdicts if each["p_difference"] == each["p_difference"]]
    called = [each["p_difference"] for each in tested if each["outcome"] == "different"]
    return {"tested": len(tested), "different": len(called), "largest_p": max(called, default=nan)}


def _temperature(spec: Mapping, sources: Sources, student: str, teacher: str, domain: Domain) -> dict:
    """The best mean over samplers, used where it is shown to be better than every other."""
    _, study = sources.numbers("factorial_cells")
    temperatures, samplers = [study["entropy"][loss] for loss in study["losses"]], study["samplers"]
    cells = [(student, loss, sampler, teacher) for loss, sampler in product(study["losses"], samplers)]
    block, number = Block(sources.values["metrics"], cells, study["seeds"], []), len(temperatures)
    margin = margin_of(block.values, domain, spec["measure"], spec["rule"])

    def infer(weights: Mapping[int, int]) -> Found:
        a = np.repeat([weights.get(place, 0) / len(samplers) for place in range(number)], len(samplers))
        return block.infer(domain.weights, spec["measure"], a)

    means = [infer({place: 1}).estimate for place in range(number)]
    best, second, *_ = sorted(range(number), key=lambda place: -means[place])
    pairs = list(combinations(range(number), 2))
    found = [infer({one: 1, other: -1}) for one, other in pairs]
    verdicts = family(found, margin, spec["rule"])
    worse = _worse(number, pairs, found, verdicts)
    outcome = next(v["outcome"] for pair, v in zip(pairs, verdicts, strict=True) if set(pair) == {best, second})
    kind = "use" if worse[:, best].sum() == number - 1 else "one seed" if outcome == "one seed" else "undecided"
    names, own = [f"{each:g}" for each in temperatures], infer({best: 1, second: -1})
    joint = 1 - (1 - spec["rule"]["confidence"]) / len(pairs)
    low, high = ends(own.estimate, own.rows, joint) if own.known else (nan, nan)
    row = {"advice": kind, "best": names[best], "best_mean": means[best], "compared": names[best]}
    row |= {"against": names[second], "difference": own.estimate, "ci_low": low, "ci_high": high, "outcome": outcome}
    row |= {"recommended": names[best], "recommended_mean": means[best]} if kind == "use" else {}
    row["p_difference"] = own.columns(margin, spec["rule"])["p_difference"]
    return row | {"n_candidates": number, "n_seeds": len(study["seeds"]), **_counted(verdicts)}
