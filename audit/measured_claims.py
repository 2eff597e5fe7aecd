"""Claims about groups, trainings and score curves a second time: the places of each, a list of parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations, product
from math import ceil, nan

import numpy as np
import pandas as pd
from scipy import stats

from audit.cell_claims import Part, both_p
from audit.inference import ends, seed_rows
from audit.locality import by_query, quantities
from audit.rows import Near
from audit.sources import Cell, Sources

RELABELLED, DRAWN = 9, 100_000
"""Samplers up to which every relabelling is made, and how many are drawn of more."""


def groups(claim: Mapping, spec: Mapping, sources: Sources) -> Iterator[list[Part]]:
    """Contrasts of groups, a place a teacher, by scipy's t test over queries."""
    _, of_locality = sources.numbers("locality")
    for teacher in spec["teachers"]:
        parts = []
        for part in claim["parts"]:
            seeds: dict[str, list[pd.Series]] = {}
            for sampler, _, seed in (row for row in of_locality["rows"] if row[1] == teacher):
                of = by_query(sources.folder, sampler, teacher, seed, of_locality["quantile"])
                seeds.setdefault(sampler, []).append(of[part["quantity"]])
            table = pd.DataFrame({sampler: pd.concat(each, axis=1).mean(axis=1) for sampler, each in seeds.items()})
            others = {name: value for name, value in part["samplers"].items() if name != "each-hard"}
            for hard in spec["hard"] if "each-hard" in part["samplers"] else [None]:
                named = {**({hard: part["samplers"]["each-hard"]} if hard else {}), **others}
                parts.append(_of_groups(part, spec["rule"], table, named))
        yield parts


def _of_groups(part: Mapping, rule: Mapping, table: pd.DataFrame, samplers: Mapping[str, float]) -> Part:
    absent = [name for name in samplers if name not in table.columns]
    if absent:
        return Part(why=f"no sampler {absent[0]}")
    contrast = sum(value * table[name] for name, value in samplers.items()).dropna()
    tested = stats.ttest_1samp(contrast, 0)
    low, high = tested.confidence_interval(rule["confidence"])
    row = (float(contrast.var() / len(contrast)), len(contrast) - 1.0)
    p, opposite = both_p(float(contrast.mean()), [row], part["shown"], rule["margin"])
    return Part(float(contrast.mean()), low, high, p, opposite if part["contradicts"] else nan)


def runs(claim: Mapping, spec: Mapping, sources: Sources) -> Iterator[list[Part]]:
    """Correlations of the samplers' means, a place a teacher, and the trend over the factorial's dial."""
    _, of_locality = sources.numbers("locality")
    for teacher in spec["teachers"]:
        parts = []
        for part in claim["parts"]:
            along = {}
            for sampler in spec["samplers"]:
                seeds = [seed for name, other, seed in of_locality["rows"] if (name, other) == (sampler, teacher)]
                if seeds:
                    of_seeds = [quantities(sources, sampler, teacher, seed) for seed in seeds]
                    if part["along"] == "kappa" and any(not each["bounded"].all() for each in of_seeds):
                        continue  # infinite
                    of = [each[part["along"]] for each in of_seeds]
                    along[sampler] = float(np.mean([each.mean() for each in of]))
            parts += [_association(part, spec, sources, along, teacher), *_dial(part, spec, sources)]
        yield parts


def _association(part: Mapping, spec: Mapping, sources: Sources, along: Mapping[str, float], teacher: str) -> Part:
    if len(along) < 5:
        what = "samplers with a finite kappa" if part["along"] == "kappa" else "samplers"
        return Part(why=f"{len(along)} of the 5 {what} that it takes")
    blocks = [
        [
            np.mean([_quantity(part, spec, sources, (student, loss, sampler, teacher), seed) for seed in spec["seeds"]])
            for sampler in along
        ]
        for student, loss in product(spec["students"], spec["losses"])
    ]
    if np.isnan(blocks).any():
        return Part(why=f"a training without {part['quantity']}")
    places = list(along.values())
    rho = float(np.mean([stats.spearmanr(block, places).statistic for block in blocks]))
    p = _relabelled(np.array(blocks), np.array(places), rho)
    shown = rho > 0 if part["shown"] == "above 0" else rho < 0
    against = rho < 0 if part["shown"] == "above 0" else rho > 0
    return Part(rho, p=p if shown else 1.0, p_opposite=p if against else 1.0)


def _quantity(part: Mapping, spec: Mapping, sources: Sources, cell: Cell, seed: int) -> float:
    student, loss, sampler, teacher = sources.values["metrics"].stands(cell)
    place = sources.folder / "students" / student / f"{loss}.{sampler}.{teacher}" / f"seed{seed}"
    history = pd.read_parquet(place / "history.parquet")
    if part["quantity"] == "final loss":
        return float(history["loss"].iloc[-max(round(0.1 * len(history)), 1) :].mean())
    norms = history["gradient_norm"].astype(float).iloc[ceil(spec["warmup"] * len(history)) :]
    of_norms = norms[np.isfinite(norms)].var()
    return float(np.log(of_norms)) if of_norms > 0 else nan


def _dial(part: Mapping, spec: Mapping, sources: Sources) -> list[Part]:
    study = spec["factorial"]
    if study is None or len(study["samplers"]) < 3 or len(study["seeds"]) < 3:
        return []
    dial = np.array([study["locality"][sampler] for sampler in study["samplers"]], dtype=float)
    slope = (dial - dial.mean()) / ((dial - dial.mean()) ** 2).sum()
    blocks = list(product(study["students"], study["losses"], study["teachers"]))
    means = [
        [_quantity(part, spec, sources, (student, loss, sampler, teacher), seed) for seed in study["seeds"]]
        for student, loss, teacher in blocks
        for sampler in study["samplers"]
    ]
    if np.isnan(means).any():
        return []
    means = np.round(means, 12)
    a = np.tile(slope, len(blocks)) / len(blocks)
    places = [range(start, start + len(dial)) for start in range(0, len(means), len(dial))]
    estimate = float(np.mean(a @ means))
    low, high = ends(estimate, [seed_rows(means, a, places)], spec["rule"]["confidence"])
    return [Part(estimate, low, high, counts=False)]


def curves(claim: Mapping, spec: Mapping, sources: Sources) -> Iterator[list[Part]]:
    """Held-out errors of the power law less its rival's, by the table score-by-rank."""
    table, _ = sources.numbers("score_by_rank")
    for _, rows in table[table["form"] == "power law"].groupby("domain", sort=False):
        columns = ("difference", "difference_low", "difference_high", "p", "p_holm")
        yield [
            Part(estimate, low, high, corrected if estimate < 0 else 1.0, p if estimate > 0 else 1.0)
            for estimate, low, high, p, corrected in rows[list(columns)].itertuples(index=False, name=None)
        ]


def _relabelled(blocks: np.ndarray, along: np.ndarray, rho: float) -> float:
    """Share of relabellings of the samplers whose mean correlation is as far from 0; drawn where they are many."""
    scores = np.mean([stats.zscore(stats.rankdata(block)) for block in blocks], axis=0) / len(along)
    ranks, number = stats.zscore(stats.rankdata(along)), len(along)
    if number <= RELABELLED:
        orders = np.array(list(permutations(range(number))))
    else:
        orders = np.argsort(np.random.default_rng(0).random((DRAWN, number)), axis=1)
    share = float(np.mean(np.abs(ranks[orders] @ scores) >= abs(rho) - 1e-9))
    return share if number <= RELABELLED else Near(share, 5 * (share * (1 - share) * 2 / DRAWN) ** 0.5 + 5 / DRAWN)
