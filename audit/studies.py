"""The studies' tables a second time: cuts, teachers, training collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from math import nan

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy import stats

from audit.contrasts import Block, Domain, Found, holm
from audit.inference import ends, p_values
from audit.locality import entropies, read_groups
from audit.rows import Rows
from audit.sources import Cell, Sources, Values, derived
from audit.tables import block_of, family_rows, interval, margin_of, pairs_of, summary

UNCUT = "all queries"
QUARTERS = ("lower-quartile", "middle-quarter", "upper-quartile")
HALVES = ("inner-quartiles", "below-median", "above-median")
BESIDE = dict.fromkeys(QUARTERS, "random-quarter") | dict.fromkeys(HALVES, "random-half")


def cuts(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Means of every cut; differences from all queries, and from the random cut of its size."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    keys = ["student", "loss", "sampler", "teacher", "domain", "measure"]
    for (student, loss, sampler, teacher, name, measure), rows in frame.groupby(keys, sort=False):
        names = {UNCUT: sampler} | {cut: of[sampler] for cut, of in spec["cuts"].items()}
        trained = rows[rows["mean"].notna()]
        cells: list[Cell] = [(student, loss, names[cut], teacher) for cut in trained["cut"]]
        domain, places = domains[name], {cut: place for place, cut in enumerate(trained["cut"])}
        found: dict[int, dict] = {}
        for index, cell in zip(trained.index, cells, strict=True):
            of = summary(values, cell, spec["seeds"], domain.weights, measure)
            found[index] = of | interval(
                values, cell, spec["seeds"], domain.weights, measure, spec["bootstrap"]["confidence"]
            )
        if rows["basis"].notna().any():  # a measure that the order of candidates changes
            block = Block(values, cells, spec["seeds"], spec["controls"])
            for prefix, others in (("", dict.fromkeys(places, UNCUT)), ("beside_", BESIDE)):
                pairs = {cut: others[cut] for cut in places if cut != UNCUT and others.get(cut) in places}
                contrasts = [[(i == places[a]) - (i == places[b]) for i in range(len(cells))] for a, b in pairs.items()]
                own = trained[trained["cut"].isin(pairs)]
                for index, columns in _judged(own, block, contrasts, domain, measure, spec):
                    found[index] |= {_renamed(prefix, column): value for column, value in columns.items()}
        kept = _kept(sources, sampler, teacher, spec)
        for index, cut in rows["cut"].items():
            found[index] = found.get(index, {}) | dict(zip(("groups", "share", "entropy"), kept[cut], strict=True))
        yield from found.items()


def _kept(sources: Sources, sampler: str, teacher: str, spec: Mapping) -> dict[str, np.ndarray]:
    """Queries of each cut, their share, their mean H: means over seeds."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for seed, draw in zip(spec["seeds"], spec["sampling"], strict=True):
        groups = read_groups(sources.folder, sampler, teacher, seed)
        h = entropies(groups.scores)
        first, third_octile, middle, fifth_octile, third = np.quantile(h, [0.25, 0.375, 0.5, 0.625, 0.75])
        low, high = first - spec["fence"] * (third - first), third + spec["fence"] * (third - first)
        order = np.argsort([derived(draw, "cut", query) for query in groups.queries])
        parts = {
            UNCUT: np.arange(len(h)),
            **{"lower-quartile": h <= first, "upper-quartile": h > third},
            **{"inner-quartiles": (h > first) & (h <= third), "outliers": (h < low) | (h > high)},
            **{"middle-quarter": (h > third_octile) & (h <= fifth_octile)},
            **{"below-median": h <= middle, "above-median": h > middle},
            **{"random-quarter": order[: round(len(h) / 4)], "random-half": order[: round(len(h) / 2)]},
        }
        for cut, places in parts.items():
            number = len(h[places])
            found.setdefault(cut, []).append((number, number / len(h), h[places].mean() if number else nan))
    return {cut: np.mean(each, axis=0) for cut, each in found.items()}


def _renamed(prefix: str, column: str) -> str:
    if not prefix and column in ("ci_low", "ci_high"):
        return f"difference_{column}"
    return prefix + column


def _judged(rows: pd.DataFrame, block: Block, contrasts: Sequence, domain: Domain, measure: str, spec: Mapping) -> Rows:
    """A family's verdicts under the name ``difference``."""
    for index, columns in family_rows(rows, block, contrasts, domain, measure, spec["rule"], "difference", 0):
        yield index, {name: value for name, value in columns.items() if name not in ("n_queries", "n_seeds")}


def training_collections(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Means, and the same function on two collections."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    yield from _means(frame, spec, values, domains)
    for row in frame[frame["scope"].isin(["queries", "positives"])].itertuples():
        folder = sources.folder / "collections" / row.training
        number, positives = (pq.read_metadata(folder / f"{n}.parquet").num_rows for n in ("queries", "positives"))
        yield row.Index, {"value": number if row.scope == "queries" else positives / number}
    samplers = {(of["collection"], of["function"]): name for name, of in spec["trained_on"].items()}
    places = {name: place for place, name in enumerate(spec["samplers"])}
    differences = frame[frame["scope"] == "difference"]
    for key, rows in differences.groupby(["student", "loss", "teacher", "domain", "measure"], sort=False):
        contrasts = []
        for row in rows.itertuples():
            one, other = (places[samplers[name, row.function]] for name in (row.training, row.training_b))
            contrasts.append([(i == one) - (i == other) for i in range(len(places))])
        block = block_of(values, spec, key[:3])
        yield from family_rows(
            rows, block, contrasts, domains[key[3]], key[4], spec["rule"], "value", len(spec["seeds"])
        )


def _means(frame: pd.DataFrame, spec: dict, values: Values, domains: Mapping[str, Domain]) -> Rows:
    """Rows of effectiveness, of students and references."""
    for row in frame[frame["scope"].isin(["student", "teacher", "reference"])].itertuples():
        cell, weights = (row.student, row.loss, row.sampler, row.teacher), domains[row.domain].weights
        seeds = spec["seeds"] if row.loss else values.seeds(cell)
        of = summary(values, cell, seeds, weights, row.measure)
        ends_of = interval(values, cell, seeds, weights, row.measure, spec["bootstrap"]["confidence"])
        yield row.Index, {"value": of.pop("mean"), **of, **ends_of}


def teachers(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Comparisons of samplers under each teacher, their orders, and what becomes of each comparison."""
    values, domains = sources.values["metrics"], {each["name"]: Domain.of(each) for each in spec["domains"]}
    places = frame[frame["scope"] == "student"].groupby(["student", "loss", "teacher", "domain", "measure"], sort=False)
    ranks = places["value"].rank(ascending=False, method="min")
    for index, columns in _means(frame, spec, values, domains):
        yield index, columns | ({"place": ranks[index]} if index in ranks.index else {})
    keys = ["student", "loss", "domain", "measure"]
    for key, rows in frame[frame["scope"] == "comparison"].groupby([*keys, "teacher"], sort=False):
        block, pairs = block_of(values, spec, (key[0], key[1], key[4])), pairs_of(len(spec["samplers"]))
        judged = family_rows(rows, block, pairs, domains[key[2]], key[3], spec["rule"], "value", len(spec["seeds"]))
        for index, of in judged:
            sign = {"different": f"different ({'+' if of['value'] > 0 else '-'})"}
            found = {"verdict": sign.get(of["outcome"], of["outcome"]), "p": of["p_difference_holm"]}
            kept = ("value", "ci_low", "ci_high", "p_difference", "n_queries", "n_seeds")
            yield index, {**found, "p_equivalence": of["p_equivalence_holm"], **{name: of[name] for name in kept}}
    for row in frame[frame["scope"] == "order"].itertuples():
        weights = domains[row.domain].weights
        orders = [
            [
                round(summary(values, (row.student, row.loss, s, t), spec["seeds"], weights, row.measure)["mean"], 12)
                for s in spec["samplers"]
            ]
            for t in (row.teacher, row.teacher_b)
        ]
        tied = any(len(set(order)) == 1 for order in orders)
        yield row.Index, {"value": nan if tied else stats.kendalltau(*orders).statistic}
    for key, rows in frame[frame["scope"] == "conclusion"].groupby(keys, sort=False):
        yield from _conclusions(rows, key, spec, values, domains[key[2]])


def _conclusions(rows: pd.DataFrame, key: tuple, spec: dict, values: Values, domain: Domain) -> Rows:
    """The largest change of each two samplers' difference between two teachers, Holm over all changes of the block."""
    student, loss, _, measure = key
    cells = [(student, loss, sampler, teacher) for teacher in spec["teachers"] for sampler in spec["samplers"]]
    width, rule = len(spec["samplers"]), spec["rule"]
    starts = range(0, len(cells), width)
    block = Block(values, cells, spec["seeds"], spec["controls"], blocks=[range(s, s + width) for s in starts])
    margin, changes = margin_of(values, domain, measure, rule), []
    for (a, b), (one, two) in product(combinations(spec["samplers"], 2), combinations(spec["teachers"], 2)):
        signs = {(a, two): 1, (b, two): -1, (a, one): -1, (b, one): 1}
        contrast = [signs.get((sampler, teacher), 0) for *_, sampler, teacher in cells]
        changes.append(((a, b), (one, two), block.infer(domain.weights, measure, contrast)))
    beyond, within = _holm_of(changes, margin)
    for row in rows.itertuples():
        own = [place for place, (pair, *_) in enumerate(changes) if pair == (row.sampler, row.sampler_b)]
        verdict = _concluded([(changes[p][2], beyond[p], within[p]) for p in own], rule)
        plain = {
            p: p_values(f.estimate, f.rows, margin)["beyond"] if f.tested else nan for p in own for f in changes[p][2:]
        }
        moved = [place for place in own if beyond[place] <= rule["difference_alpha"]]
        if moved:
            shown = min(moved, key=lambda place: beyond[place])
        else:
            shown = max(own, key=lambda place: abs(changes[place][2].estimate))
        found = changes[shown][2]
        low, high = ends(found.estimate, found.rows, rule["confidence"]) if found.known else (nan, nan)
        yield (
            row.Index,
            {
                **{"value": found.estimate, "ci_low": low, "ci_high": high, "p_difference": plain[shown]},
                **{"p": beyond[shown], "p_equivalence": within[shown], "verdict": verdict},
                **{"tested": sum(p == p for p in plain.values()), "different": len(moved)},
                "largest_p": max((plain[place] for place in moved), default=nan),
            },
        )


def _holm_of(changes: Sequence, margin: float) -> tuple[list[float], list[float]]:
    """Corrected p-values of all changes: beyond the margin, and within it."""
    untested = {"beyond": nan, "equivalence": nan}
    p = [p_values(each.estimate, each.rows, margin) if each.tested else untested for *_, each in changes]
    return holm([each["beyond"] for each in p]), holm([each["equivalence"] for each in p])


def _concluded(changes: Sequence[tuple[Found, float, float]], rule: Mapping) -> str:
    moved = [(beyond, within) for found, beyond, within in changes if not found.same]
    if not moved:
        return "same students"
    if any(beyond != beyond for beyond, _ in moved):
        return "one seed"
    if min(beyond for beyond, _ in moved) <= rule["difference_alpha"]:
        return "changes"
    return "holds" if max(within for _, within in moved) <= rule["alpha"] else "undecided"
