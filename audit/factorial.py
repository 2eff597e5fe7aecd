"""The factorial's tables a second time: contrasts of the grid, and statsmodels' analysis of variance by each effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import nan

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy import optimize, stats
from statsmodels.stats.anova import AnovaRM, anova_lm

from audit.contrasts import Block, Domain
from audit.inference import ends
from audit.locality import by_query, entropies, read_groups
from audit.rows import Rows
from audit.sources import Sources, Values
from audit.tables import family_rows, margin_of, summary

BLOCK = ["student", "teacher", "domain", "measure"]
EFFECTS = {"locality": "a", "entropy": "b", "interaction": "a:b"}
SMALLEST = 1e-12
"""Share of the sum of squares up to which an effect is rounding."""
LARGEST_F = 1e8


def grid_of(values: Values, study: Mapping, student: str, teacher: str) -> Block:
    """The factorial's cells, losses fastest."""
    cells = [(student, loss, sampler, teacher) for sampler, loss in product(study["samplers"], study["losses"])]
    return Block(values, cells, study["seeds"], [])


def rectangles(study: Mapping) -> Iterator[tuple[str, list[float]]]:
    """Of every two levels of each dial: their names and the contrast of their four cells."""
    grid = list(product(study["samplers"], study["losses"]))
    for (near, far), (sharp, flat) in product(combinations(study["samplers"], 2), combinations(study["losses"], 2)):
        signs = {(near, sharp): 1, (near, flat): -1, (far, sharp): -1, (far, flat): 1}
        yield f"{near}, {far} x {sharp}, {flat}", [float(signs.get(cell, 0)) for cell in grid]


def factorial(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Dials, interaction and rectangles."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    samplers, losses, rule, seeds = (spec[name] for name in ("samplers", "losses", "rule", "seeds"))
    grid = list(product(samplers, losses))
    dials = [
        [((sampler == samplers[-1]) - (sampler == samplers[0])) / len(losses) for sampler, _ in grid],
        [((loss == losses[-1]) - (loss == losses[0])) / len(samplers) for _, loss in grid],
    ]
    for key, rows in frame.groupby(BLOCK, sort=False):
        student, teacher, name, measure = key
        block, domain = grid_of(values, spec, student, teacher), domains[name]
        margin = margin_of(values, domain, measure, rule)
        common = domain, measure, rule, "difference", len(seeds)
        found = dict(family_rows(rows[rows["source"].isin(["locality", "entropy"])], block, dials, *common))
        corners = rows[rows["source"] == "rectangle"]
        names, contrasts = zip(*rectangles(spec), strict=True)
        own = margin * spec["interaction_margin"]
        four = dict(family_rows(corners, block, contrasts, *common, margin=own))
        for index, levels in zip(corners.index, names, strict=True):
            four[index]["levels"] = levels
        whole = names.index(f"{samplers[0]}, {samplers[-1]} x {losses[0]}, {losses[-1]}")
        (place,) = rows.index[rows["source"] == "interaction"]
        found[place] = _interaction(list(four.values()), whole, rule)
        analysis = _analysis(values, block, domain, measure, rule["confidence"])
        for row in rows[rows["source"] != "rectangle"].itertuples():
            found[row.Index] = found.get(row.Index, {"n_seeds": len(seeds)}) | analysis[row.source]
        yield from (found | four).items()


def _interaction(four: Sequence[Mapping], whole: int, rule: Mapping) -> dict:
    """The rectangle from end to end, with the verdict of all: some is not 0, or each is within the margin."""
    table = pd.DataFrame(four)
    row = {name: value for name, value in four[whole].items() if not name.startswith("new_") and name != "levels"}
    row |= {name: table[name].min() for name in ("p_difference", "p_difference_holm")}
    row |= dict.fromkeys(("p_equivalence", "p_equivalence_holm"), table["p_equivalence"].max())
    row["smallest_margin"] = table["smallest_margin"].max()
    outcomes = set(table["outcome"])
    if "one seed" in outcomes or outcomes == {"same"}:
        row["outcome"] = "one seed" if "one seed" in outcomes else "same"
    elif row["p_equivalence"] <= rule["alpha"]:
        row["outcome"] = "equivalent"
    else:
        row["outcome"] = "different" if row["p_difference_holm"] <= rule["difference_alpha"] else "undecided"
    return row


def _analysis(values: Values, block: Block, domain: Domain, measure: str, confidence: float) -> dict[str, dict]:
    """Of each source: the analysis of variance of cells' means, seeds a factor; tests by repeated measures."""
    rows = [
        (sampler, loss, f"s{seed}", values.mean((student, loss, sampler, teacher), seed, domain.weights, measure))
        for student, loss, sampler, teacher in block.cells
        for seed in block.seeds
    ]
    data = pd.DataFrame(rows, columns=["a", "b", "s", "y"])
    several = len(block.seeds) > 1
    with np.errstate(all="ignore"):
        table = anova_lm(smf.ols("y ~ a * b * s" if several else "y ~ a * b", data).fit()).drop(index="Residual")
    names = {**EFFECTS, "seed": "s", **{f"{name}:seed": f"{term}:s" for name, term in EFFECTS.items()}}
    total, found = table["sum_sq"].sum(), {}
    for name, term in names.items() if several else EFFECTS.items():
        squares = table.loc[term, "sum_sq"]
        found[name] = {"df": table.loc[term, "df"], "sum_squares": squares, "eta_squared": squares / total}
    if several:
        tests = AnovaRM(data, "y", "s", within=["a", "b"]).fit().anova_table
        for name, term in EFFECTS.items():
            found[name] |= _tested(found[name], found[f"{name}:seed"], tests.loc[term], len(data), confidence)
    return found


def _tested(effect: Mapping, error: Mapping, test: Mapping, number: int, confidence: float) -> dict:
    columns = {"error_df": test["Den DF"]}
    if effect["eta_squared"] <= SMALLEST or error["eta_squared"] <= SMALLEST**2:
        return columns
    f, df = test["F Value"], test["Num DF"]
    gain = df * (f - 1)
    columns |= {"f": f, "p": test["Pr > F"], "partial_omega_squared": gain / (gain + number)}
    for name, chance in (("share_low", (1 + confidence) / 2), ("share_high", (1 - confidence) / 2)):
        size = _noncentrality(min(f, LARGEST_F), df, test["Den DF"], chance)
        columns[name] = size / (size + number)
    return columns


def _noncentrality(f: float, df: float, rest: float, chance: float) -> float:
    """Where the non-central F distribution has f at ``chance``; 0 where nothing has."""
    if stats.f.cdf(f, df, rest) <= chance:
        return 0.0
    high = 1.0 + df * f
    while stats.ncf.cdf(f, df, rest, high) > chance:
        high *= 2
    return optimize.brentq(lambda size: stats.ncf.cdf(f, df, rest, size) - chance, 0, high, rtol=1e-12)


def factorial_cells(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Means and intervals of the grid's cells, and what the dials did."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    _, of_locality = sources.numbers("locality")
    for key, rows in frame.groupby(BLOCK, sort=False):
        student, teacher, name, measure = key
        block, weights = grid_of(values, spec, student, teacher), domains[name].weights
        for place, (row, cell) in enumerate(zip(rows.itertuples(), block.cells, strict=True)):
            of = block.infer(weights, measure, np.eye(len(block.cells))[place])
            low, high = ends(of.estimate, of.rows, spec["rule"]["confidence"]) if of.known else (nan, nan)
            temperature = spec["entropy"][row.loss]
            drawn = [(sources.folder, row.sampler, teacher, seed) for seed in spec["seeds"]]
            diameters = [by_query(*each, of_locality["quantile"])["diameter"].mean() for each in drawn]
            labels = [entropies(read_groups(*each).scores / temperature).mean() for each in drawn]
            yield (
                row.Index,
                {
                    **summary(values, cell, spec["seeds"], weights, measure),
                    **{"ci_low": low, "ci_high": high, "share": spec["locality"][row.sampler]},
                    **{"temperature": temperature, "diameter": np.mean(diameters), "entropy": np.mean(labels)},
                },
            )
