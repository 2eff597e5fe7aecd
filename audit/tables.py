"""Each table's numbers computed again, by row: a dict of the columns that were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations, product
from math import nan, sqrt
from statistics import fmean, median, pvariance, stdev

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from audit.contrasts import Block, Domain, family
from audit.inference import control_rows, residual_sum
from audit.rows import Near, Rows
from audit.sources import RISK, Cell, Sources, Values

CELL = ["student", "loss", "sampler", "teacher"]
BLOCK = ["student", "loss", "teacher", "domain", "measure"]
NOTHING = 1e-12
"""Values that lie no further apart are the same."""
SAMPLES = 4000
"""Bootstrap samples of the second path: its own draws, so ends agree within the error of both simulations."""


def main(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Means and intervals of every ranker; bands, letters and families of the students."""
    values = sources.values["metrics"]
    compared, _ = sources.numbers("equivalence")
    families = dict(iter(compared.groupby(BLOCK, sort=False)))
    bands: dict = {}
    domains = {domain["name"]: Domain.of(domain) for domain in spec["domains"]}
    for row in frame.itertuples():
        cell, weights = _cell(row), domains[row.domain].entities[row.collection]
        seeds = spec["seeds"] if row.loss else values.seeds(cell)
        found = summary(values, cell, seeds, weights, row.measure)
        found |= interval(values, cell, seeds, weights, row.measure, spec["bootstrap"]["confidence"])
        key = (row.student, row.loss, row.teacher, row.domain, row.measure)
        rows = families.get(key)
        if row.loss and rows is not None:
            if (key, row.collection) not in bands:
                bands[key, row.collection] = _noise_band(values, spec, key, weights)
            found["noise_band"] = bands[key, row.collection]
            if row.collection == "all":
                found |= _calls(rows, row.letters, row.sampler, frame, key)
        yield row.Index, found


def _calls(rows: pd.DataFrame, letters: str, sampler: str, frame: pd.DataFrame, key: tuple) -> dict:
    """A block's calls; letters are right where two samplers share one exactly where they were not called different."""
    different = rows[rows["outcome"] == "different"]
    block = frame[(frame[BLOCK] == list(key)).all(axis=1) & (frame["collection"] == "all")]
    of = dict(zip(block["sampler"], block["letters"], strict=True))
    pairs = {frozenset(pair) for pair in zip(different["sampler_a"], different["sampler_b"], strict=True)}
    verdicts = not rows["outcome"].isin(["one seed"]).any()
    right = all(bool(set(of[sampler]) & set(of[o])) != (frozenset((sampler, o)) in pairs) for o in of if o != sampler)
    p = rows["p_difference"]
    return {
        "tested": int(p.notna().sum()),
        "different": len(different),
        "largest_p": p[rows["outcome"] == "different"].max(),
        "letters": letters if right or not verdicts else f"not {letters}",
    }


def _noise_band(values: Values, spec: dict, key: tuple, weights: Mapping) -> float:
    block = block_of(values, spec, key[:3])
    found = [block.infer(weights, key[-1], a) for a in pairs_of(len(block.cells))]
    if not all(each.known for each in found):
        return nan
    widths = [each.half(spec["bootstrap"]["confidence"]) for each in found if not each.same]
    return median(widths) if widths else nan


def per_collection(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Means of a student's models on the members of domains."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    for row in frame.itertuples():
        seeds = spec["seeds"] if row.loss else values.seeds(_cell(row))
        weights = domains[row.domain].entities[row.collection]
        found = summary(values, _cell(row), seeds, weights, spec["measure"])
        band = {}
        if row.noise_band == row.noise_band:
            key = (row.student, row.loss, row.teacher, spec["measure"])
            bootstrap = sources.numbers("main")[1]["bootstrap"]
            band = {"noise_band": _noise_band(values, spec | {"bootstrap": bootstrap}, key, weights)}
        yield row.Index, {"mean": found["mean"], "std_seed": found["std_seed"], **band}


def published(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """The main table's values, which are found again by themselves, less published figures."""
    table, _ = sources.numbers("main")
    for row in frame.itertuples():
        keys = {name: getattr(row, name) for name in (*CELL, "domain", "collection", "measure") if getattr(row, name)}
        rows = table[(table[list(keys)] == list(keys.values())).all(axis=1)]
        if rows.empty:
            yield row.Index, {"verdict": "not measured"}
            continue
        ours = rows.iloc[0][["mean", "ci_low", "ci_high", "n_seeds", "n_queries"]].to_dict()
        difference = ours["mean"] - row.published
        beyond = "above" if difference > 0 else "below"
        verdict = "within" if abs(difference) <= row.tolerance + 1e-9 else beyond
        yield row.Index, {**ours, "difference": difference, "verdict": verdict}


def equivalence(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Every two samplers of a block, a family."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    for key, rows in frame.groupby(BLOCK, sort=False):
        block, domain = block_of(values, spec, key[:3]), domains[key[3]]
        contrasts = pairs_of(len(block.cells))
        yield from family_rows(
            rows, block, contrasts, domain, key[4], spec["rule"], "mean_difference", len(spec["seeds"])
        )


def family_rows(
    rows: pd.DataFrame,
    block: Block,
    contrasts: Sequence[Sequence[float]],
    domain: Domain,
    measure: str,
    rule: Mapping,
    estimate: str,
    seeds: int,
    margin: float | None = None,
) -> Rows:
    """The verdicts of a family, whose rows stand in the contrasts' order; on new collections too."""
    margin = margin_of(block.values, domain, measure, rule) if margin is None else margin
    found = [block.infer(domain.weights, measure, a) for a in contrasts]
    verdicts, members = family(found, margin, rule), len(domain.members)
    new = family([block.infer(domain, measure, a) for a in contrasts], margin, rule) if members >= 3 else []
    queries = sum(len(block.values.of(block.cells[0], block.seeds[0], name, measure)) for name in domain.weights)
    for place, (index, each, verdict) in enumerate(zip(rows.index, found, verdicts, strict=True)):
        columns = verdict | {estimate: each.estimate, "n_queries": queries, "n_seeds": seeds}
        names = ["ci_low", "ci_high"] * (members >= 3)
        names += ["p_difference_holm", "p_equivalence_holm", "outcome"] * (members >= 5)
        yield index, columns | {f"new_{name}": new[place][name] for name in names}


def retrieval(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """A bi-encoder's search less its re-ranking."""
    first, second = sources.values["metrics"], sources.values["retrieval"]
    domains = {each["name"]: Domain.of(each) for each in spec["domains"]}
    for key, rows in frame.groupby(BLOCK, sort=False):
        domain, measure = domains[key[3]], key[4]
        block = Block(second, _cells(spec, key[:3]), spec["seeds"], spec["controls"], minus=first)
        single = np.eye(len(block.cells)).tolist()
        verdicts = family_rows(rows, block, single, domain, measure, spec["rule"], "difference", len(spec["seeds"]))
        for (index, columns), cell in zip(verdicts, block.cells, strict=True):
            for name, values in (("reranked", first), ("retrieved", second)):
                of = summary(values, cell, spec["seeds"], domain.weights, measure)
                columns |= {name: of["mean"], f"{name}_std_seed": of["std_seed"]}
            margin = margin_of(first, domain, measure, spec["rule"])
            yield index, columns | {"margin": margin}


def controls(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """What training again changes."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    for row in frame.itertuples():
        own = [c for c in spec["controls"] if c["student"] == row.student and row.loss in (c["loss"], "all")]
        weights, block = domains[row.domain].weights, Block(values, [], [], [])
        tables = [{c: block.table(_key(cell), cell["seeds"], c, row.measure) for c in weights} for cell in own]
        degrees = sum(len(cell["seeds"]) - 1 for cell in own)
        squares = noise = 0.0
        for table, cell in zip(tables, own, strict=True):
            means = [sum(weights[c] * fmean(table[c][s]) for c in weights) for s in range(len(cell["seeds"]))]
            squares += sum((mean - fmean(means)) ** 2 for mean in means)
        for c, weight in weights.items():
            n = len(tables[0][c][0])
            noise += weight**2 * sum(residual_sum(table[c]) for table in tables) / (degrees * (n - 1)) / n
        tails = [(1 - spec["confidence"]) / 2, (1 + spec["confidence"]) / 2]
        low, high = (sqrt(squares / stats.chi2.isf(tail, degrees)) for tail in tails)
        largest = max(squares / degrees, noise)
        yield (
            row.Index,
            {
                **{"n_cells": len(own), "df": degrees, "sd": sqrt(squares / degrees), "sd_low": low, "sd_high": high},
                **{"noise": sqrt(noise), "n_queries": sum(len(of[0]) for of in tables[0].values())},
                "called": 2 * stats.norm.sf(stats.norm.isf(0.025) * sqrt(noise / largest)) if largest else nan,
            },
        )


def variance(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Sums of squares by statsmodels' analysis of variance, type II."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    axes = {"student": "students", "loss": "losses", "sampler": "samplers", "teacher": "teachers"}
    varied = [factor for factor, axis in axes.items() if len(spec[axis]) > 1]
    cells = list(product(*(spec[axis] for axis in axes.values())))
    most = len(varied) if len(spec["seeds"]) > 1 else min(2, len(varied) - 1)
    for (domain, measure), rows in frame[frame["scope"] == "source"].groupby(["domain", "measure"], sort=False):
        weights = domains[domain].weights
        found = [(*cell, values.mean(cell, seed, weights, measure)) for cell in cells for seed in spec["seeds"]]
        if most < 1:  # nothing is left to test against
            continue
        if np.ptp([y for *_, y in found]) < NOTHING:
            untested = dict.fromkeys(("f", "p", "eta_squared", "component_share"), nan)
            yield from ((index, {"sum_squares": 0.0, "component": 0.0, **untested}) for index in rows.index)
            continue
        fit = smf.ols(f"y ~ ({' + '.join(varied)}) ** {most}", pd.DataFrame(found, columns=[*axes, "y"])).fit()
        table = anova_lm(fit, typ=2)
        components = _components(table, {name: len(spec[axes[name]]) for name in varied}, len(found))
        for row in rows.itertuples():
            source = "Residual" if row.source in ("seed", "residual") else row.source
            of = table.loc[source]
            columns = {"sum_squares": of["sum_sq"], "df": of["df"], "f": of["F"], "p": of["PR(>F)"]}
            columns |= {"component": components[source], "eta_squared": of["sum_sq"] / table["sum_sq"].sum()}
            yield row.Index, columns | {"component_share": components[source] / sum(components.values())}
    yield from _trained_again(frame[frame["scope"] == "cell"], spec, values, domains)


def _components(table: pd.DataFrame, levels: Mapping[str, int], size: int) -> dict[str, float]:
    """Variance components from mean squares: E[MS_T] = rest + sum over U >= T of n_U s2_U."""
    squares, found = table["sum_sq"] / table["df"], {"Residual": 0.0}
    rest = found["Residual"] = float(squares["Residual"])
    raw: dict[frozenset, float] = {}
    for source in sorted(table.index.drop("Residual"), key=lambda name: -name.count(":")):
        own = frozenset(source.split(":"))
        behind = {other: size / np.prod([levels[name] for name in other]) for other in [*raw, own]}
        larger = sum(behind[other] * raw[other] for other in raw if other > own)
        raw[own] = (float(squares[source]) - rest - larger) / behind[own]
        found[source] = max(raw[own], 0.0)
    return found


def _trained_again(frame: pd.DataFrame, spec: dict, values: Values, domains: Mapping[str, Domain]) -> Rows:
    """Cells: what their trainings differ by, and the bands in which one more would lie."""
    seeds = len(spec["seeds"])
    every = product(spec["students"], spec["losses"], spec["samplers"], spec["teachers"])
    number = len({values.stands(cell) for cell in every})
    for row in frame.itertuples():
        weights, cell = domains[row.domain].weights, _cell(row)
        block = block_of(values, spec, (row.student, row.loss, row.teacher))
        y, place = block.values_of(weights, row.measure), spec["samplers"].index(row.sampler)
        means = [
            [sum(w * fmean(y[c][i][s]) for c, w in weights.items()) for s in range(seeds)]
            for i in range(len(block.cells))
        ]
        mean = summary(values, cell, spec["seeds"], weights, row.measure)["mean"]
        if seeds > 1:
            total, degrees = pvariance(means[place]) * seeds / (seeds - 1), seeds - 1
            own = sum(
                w**2 * residual_sum(y[c][place]) / ((seeds - 1) * (len(y[c][0][0]) - 1)) / len(y[c][0][0])
                for c, w in weights.items()
            )
            again = max(total, fmean(stdev(each) ** 2 for each in means))
            of_band = len(block.cells) * (seeds - 1)
        else:
            (cells,) = [cells for places, cells in block.controlled(weights, row.measure) if place in places]
            whole, degrees, own = control_rows([1.0], weights, [([0], cells)])
            total, again, of_band = _pooled(cells, weights), whole, degrees
        band = {}
        for name, cells_in in (("band", 1), ("joint", number)):
            half = stats.t.isf((1 - spec["confidence"]) / 2 / cells_in, of_band) * sqrt(again * (1 + 1 / seeds))
            band |= {f"{name}_low": mean - half, f"{name}_high": mean + half}
        yield row.Index, {"mean": mean, "sd": sqrt(total), "sd_noise": sqrt(own), "degrees": degrees, **band}


def _pooled(cells: Sequence[Mapping], weights: Mapping) -> float:
    """Variance over seeds within control cells."""
    means = [
        [sum(w * fmean(cell[c][s]) for c, w in weights.items()) for s in range(len(next(iter(cell.values()))))]
        for cell in cells
    ]
    return sum(sum((m - fmean(each)) ** 2 for m in each) for each in means) / sum(len(each) - 1 for each in means)


def risk(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Mean excess risk of every ranker."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    seeds: dict[Cell, list] = {}
    for *cell, seed in spec["rankers"]:
        seeds.setdefault(tuple(cell), []).append(seed)
    for row in frame.itertuples():
        cell, weights = _cell(row), domains[row.domain].weights
        found = summary(values, cell, seeds[cell], weights, RISK)
        queries = sum(len(values.of(cell, seeds[cell][0], name, spec["measure"])) for name in weights)
        bounds = interval(values, cell, seeds[cell], weights, RISK, spec["bootstrap"]["confidence"])
        yield (
            row.Index,
            {
                **{"risk": found["mean"], "std_seed": found["std_seed"], "n_seeds": found["n_seeds"], **bounds},
                **{"n_queries": found["n_queries"], "n_left_out": queries - found["n_queries"]},
            },
        )


def _cell(row: tuple) -> Cell:
    return row.student, row.loss, row.sampler, row.teacher


def _key(cell: Mapping) -> Cell:
    return tuple(cell[name] for name in CELL)


def _cells(spec: Mapping, block: tuple) -> list[Cell]:
    student, loss, teacher = block
    return [(student, loss, sampler, teacher) for sampler in spec["samplers"]]


def block_of(values: Values, spec: Mapping, block: tuple) -> Block:
    """The samplers of a student, loss and teacher."""
    return Block(values, _cells(spec, block), spec["seeds"], spec["controls"])


def pairs_of(number: int) -> list[list[float]]:
    """Contrasts of every two of so many cells."""
    return [[(i == one) - (i == other) for i in range(number)] for one, other in combinations(range(number), 2)]


def margin_of(values: Values, domain: Domain, measure: str, rule: Mapping) -> float:
    """The margin in the measure's units."""
    if rule["margin_of"] == "absolute":
        return rule["margin"]
    return rule["margin"] * values.mean(("bm25", "", "", ""), None, domain.weights, measure)


def summary(values: Values, cell: Cell, seeds: Sequence, weights: Mapping, measure: str) -> dict:
    """Mean over seeds, their standard deviation, and what stands behind."""
    means = [values.mean(cell, seed, weights, measure) for seed in seeds]
    queries = sum(len(values.of(cell, seeds[0], name, measure)) for name in weights)
    spread = stdev(means) if len(means) > 1 else nan
    return {"mean": fmean(means), "std_seed": spread, "n_seeds": len(seeds), "n_queries": queries}


def interval(values: Values, cell: Cell, seeds: Sequence, weights: Mapping, measure: str, confidence: float) -> dict:
    """Ends of a percentile bootstrap over queries, by draws of its own."""
    means = np.zeros(SAMPLES)
    for place, (name, weight) in enumerate(weights.items()):
        tables = [values.of(cell, seed, name, measure) for seed in seeds]
        x = np.mean([[table[query] for query in sorted(tables[0])] for table in tables], axis=0)
        means += weight * (resamples(place, len(x)) @ x)
    tail, error = (1 - confidence) / 2, 0.5 * means.std()
    ends = np.quantile(means, [tail, 1 - tail])
    return dict(zip(("ci_low", "ci_high"), (Near(end, error) for end in ends), strict=True))


@cache
def resamples(collection: int, queries: int, samples: int = SAMPLES) -> np.ndarray:
    """Each query's share in each bootstrap sample of a domain's collection  # (samples, queries)."""
    generator = np.random.default_rng([collection, queries])
    return generator.multinomial(queries, np.full(queries, 1 / queries), samples) / queries
