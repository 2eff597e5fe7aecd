"""Claims about training groups, trainings and score curves, from what was measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.inference import DIGITS, infer, infer_runs
from workflow_scripts.claims.cell_claims import NotTestable, spread
from workflow_scripts.claims.verdicts import Finding, Row, p_values
from workflow_scripts.presentation.contrasts import contrast_in_words
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.storage.tables import read_table

EACH = "each-hard"
FEWEST_SAMPLERS = 5
"""Of four the smallest p that relabelling can give is .083."""
MOST_RELABELLED = 9
"""Samplers up to which all relabellings are made; of more, as many are drawn."""
LAST_STEPS = 0.1
"""Share of the steps over which the final loss is averaged."""

Trainings = Mapping[tuple, Mapping[str, float]]
"""Student, loss, sampler, teacher, seed to the training's quantities."""


def group_rows(claim: Mapping, quantities: pd.DataFrame, spec: Mapping) -> Iterator[Row]:
    """A row a teacher; ``quantities``: sampler, teacher, quantity, query_id, value of the groups, mean over seeds.

    Groups are drawn query by query, so queries are the sample and no training is in it.
    """
    rule = Rule(**spec["rule"])
    for teacher in spec["teachers"]:
        findings = []
        for number, part in enumerate(claim["parts"]):
            own = quantities[(quantities["teacher"] == teacher) & (quantities["quantity"] == part["quantity"])]
            table = own.pivot(index="query_id", columns="sampler", values="value")
            for named in _each(part, spec["hard"]):
                found = _of_groups(named, table, rule)
                findings.append(replace(found, number=number, predicted=part["shown"]))
        yield Row(teacher, findings=findings)


def _each(part: Mapping, hard: Sequence[str]) -> list[Mapping]:
    """The part for every hard sampler, where it speaks of each."""
    if EACH not in part["samplers"]:
        return [part]
    others = {name: value for name, value in part["samplers"].items() if name != EACH}
    return [{**part, "samplers": {name: part["samplers"][EACH], **others}} for name in hard]


def _of_groups(part: Mapping, table: pd.DataFrame, rule: Rule) -> Finding:
    text = f"{part['quantity']}: {contrast_in_words(part)}"
    try:
        coefficients = spread(part["samplers"], {}, list(table.columns), "sampler")
    except NotTestable as error:
        return Finding(text, why=str(error))
    values = table[list(coefficients)].dropna()
    contrast = values.to_numpy() @ np.array(list(coefficients.values()))
    found = infer({"": contrast[None, None]}, {"": 1.0}, np.ones((1, 1)), blocks=[])
    p, opposite = p_values(found, part["shown"], contradicts=part["contradicts"])
    low, high = (float(end[0]) for end in found.interval(rule.confidence))
    return Finding(text, float(found.mean[0]), low, high, p, opposite)


def curve_rows(fits: pd.DataFrame) -> Iterator[Row]:
    """A row a domain, a part a ranker: the power law's held-out error less its best rival's, Holm over the rankers."""
    for domain, own in fits[fits["form"] == "power law"].groupby("domain", sort=False):
        findings = []
        for row in own.itertuples():
            p = row.p_holm if row.difference < 0 else 1.0
            opposite = row.p if row.difference > 0 else 1.0
            text = f"{row.ranker}: held-out error of the power law minus that of the {row.rival}"
            ends = row.difference_low, row.difference_high
            findings.append(Finding(text, row.difference, *ends, p, opposite, predicted="below 0"))
        yield Row("", domain=domain, findings=findings)


def read_trainings(keys: Sequence[Sequence], manifests: Sequence[Path], warmup: float) -> Trainings:
    """Each training's ``gradient variance`` and ``final loss``.

    The first is the logarithm of the variance of its gradient norm after the warm-up, steps that overflowed left out;
    the second the mean loss over the last tenth of its steps.
    """
    found = {}
    for key, manifest in zip(keys, manifests, strict=True):
        history = read_table(Artifact(manifest).file("history.parquet"), ["loss", "gradient_norm"])
        norms = history["gradient_norm"].to_numpy(float)[int(np.ceil(warmup * len(history))) :]
        norms = norms[np.isfinite(norms)]
        last = max(round(LAST_STEPS * len(history)), 1)
        variance = float(np.var(norms, ddof=1)) if len(norms) > 1 else 0.0
        values = {"final loss": float(history["loss"].tail(last).mean())}
        values["gradient variance"] = float(np.log(variance)) if variance > 0 else np.nan
        found[tuple(key)] = values
    return found


def run_rows(claim: Mapping, trainings: Trainings, locality: pd.DataFrame, spec: Mapping) -> Iterator[Row]:
    """A row a teacher: rank correlations of the samplers' means, over every student and loss, by relabelling samplers.

    The samplers are the sample: one relabelling for all blocks, the statistic their mean rho. Beside it, counting for
    nothing, the trend over the factorial study's levels of locality, which speaks of that dial alone. A sampler whose
    pools leave documents out has an infinite kappa and is no point; its kappa on the support falls as nu narrows.
    """
    for teacher in spec["teachers"]:
        findings = []
        for number, part in enumerate(claim["parts"]):
            own = locality[locality["teacher"] == teacher].pivot(index="sampler", columns="quantity", values="value")
            own = own.reindex(columns=["bounded", part["along"]])
            if part["along"] == "kappa":
                own = own[own["bounded"] == 1]
            along = own[part["along"]].reindex(spec["samplers"]).dropna()
            found = _association(part, trainings, along, teacher, spec)
            findings.append(replace(found, number=number, predicted=part["shown"]))
            findings += [replace(each, number=number) for each in _dial(part, trainings, spec)]
        yield Row(teacher, findings=findings)


def _association(part: Mapping, trainings: Trainings, along: pd.Series, teacher: str, spec: Mapping) -> Finding:
    text = f"{part['quantity']} against {part['along']} of {len(along)} samplers, mean rho"
    if len(along) < FEWEST_SAMPLERS:
        what = "samplers with a finite kappa" if part["along"] == "kappa" else "samplers"
        return Finding(text, why=f"{len(along)} of the {FEWEST_SAMPLERS} {what} that it takes")
    blocks = [
        [_of_seeds(trainings, part, (*cell, sampler, teacher), spec["seeds"]).mean() for sampler in along.index]
        for cell in product(spec["students"], spec["losses"])
    ]
    if np.isnan(blocks).any():
        return Finding(text, why=f"a training without {part['quantity']}")
    rho, p = mean_rank_correlation(np.array(blocks), along.to_numpy())
    sign = 1 if part["shown"] == "above 0" else -1
    return Finding(text, rho, p=p if sign * rho > 0 else 1.0, p_opposite=p if sign * rho < 0 else 1.0)


def _of_seeds(trainings: Trainings, part: Mapping, ranker: tuple, seeds: Sequence[int]) -> np.ndarray:
    """The part's quantity of each training of a ranker  # (seeds,)."""
    return np.array([trainings[*ranker, seed][part["quantity"]] for seed in seeds])


def mean_rank_correlation(blocks: np.ndarray, along: np.ndarray) -> tuple[float, float]:
    """Mean Spearman correlation of the blocks' values  # (blocks, samplers) with ``along``, and its two-sided exact p.

    The p-value is the share of relabellings of the samplers whose mean correlation is at least as far from 0.
    """
    centred = _ranks(blocks) - (blocks.shape[1] + 1) / 2
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    mean = centred.mean(axis=0)
    ranks = _ranks(along[None])[0] - (len(along) + 1) / 2
    ranks /= np.linalg.norm(ranks)
    if len(along) <= MOST_RELABELLED:
        orders = np.array(list(permutations(range(len(along)))))
    else:
        generator = np.random.default_rng(derive_seed(0, "relabelling"))
        orders = np.array([generator.permutation(len(along)) for _ in range(100_000)])
    relabelled = ranks[orders] @ mean
    observed = round(float(ranks @ mean), DIGITS)
    return observed, float(np.mean(np.abs(relabelled) >= abs(observed) - 1e-12))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks within rows, ties sharing their mean."""
    return pd.DataFrame(values).rank(axis=1).to_numpy()


def _dial(part: Mapping, trainings: Trainings, spec: Mapping) -> list[Finding]:
    """The trend of a quantity over the factorial's levels of locality; empty with fewer than three levels or seeds."""
    study = spec["factorial"]
    if study is None or len(study["samplers"]) < 3 or len(study["seeds"]) < 3:
        return []
    levels = np.array([study["locality"][sampler] for sampler in study["samplers"]])
    levels = (levels - levels.mean()) / ((levels - levels.mean()) ** 2).sum()
    places = list(product(study["students"], study["losses"], study["teachers"]))
    values = np.array(
        [
            _of_seeds(trainings, part, (student, loss, sampler, teacher), study["seeds"])
            for (student, loss, teacher), sampler in product(places, study["samplers"])
        ]
    )
    if np.isnan(values).any():
        return []
    blocks = [range(start, start + len(levels)) for start in range(0, len(values), len(levels))]
    found = infer_runs(values, np.tile(levels, len(places))[None] / len(places), blocks)
    low, high = (float(end[0]) for end in found.interval(spec["rule"]["confidence"]))
    text = f"{part['quantity']}: slope over the dial {study['samplers'][0]} to {study['samplers'][-1]}"
    return [Finding(text, float(found.mean[0]), low, high, counts=False)]
