"""Do conclusions about samplers outlast another teacher? Verdicts and orders compared between teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import Rule, compare_samplers
from workflow_scripts.analysis.paired import DIFFERENT, EQUIVALENT, UNDECIDED, holm, mean_difference
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid

HOLDS, CHANGES, SAME = "holds", "changes", "same students"
BETTER, WORSE = "different (+)", "different (-)"
KEYS = ("student", "loss", "domain", "measure")
"""What stays the same where teachers are compared."""
CONCLUSION = (*KEYS, "sampler_a", "sampler_b", "teacher_a", "teacher_b", "change", "ci_low", "ci_high", "p", "verdict")


def compare_under_teachers(
    values: QueryValues, grid: Grid, domains: Sequence[Domain], measures: Sequence[str], rule: Rule
) -> pd.DataFrame:
    """The rows of :func:`compare_samplers` with ``verdict``: its outcome, a difference with the sign of a minus b."""
    table = compare_samplers(values, grid, domains, measures, rule)
    signed = np.where(table["mean_difference"] > 0, BETTER, WORSE)
    return table.assign(verdict=np.where(table["outcome"] == DIFFERENT, signed, table["outcome"]))


def conclude(verdicts: Sequence[str], changed: Mapping[tuple[int, int], bool]) -> str:
    """What becomes of one comparison under several teachers.

    Holds: decided under each, and each time the same. Changes: different in opposite directions under two teachers, or
    different under one, equivalent under another and the difference itself shown to change between them (``changed``,
    by the teachers' places). Without the last, a difference just above the margin and one just below would count.
    Undecided: all else.
    """
    if len(set(verdicts)) == 1 and verdicts[0] != UNDECIDED:
        return HOLDS
    for pair in combinations(range(len(verdicts)), 2):
        found = {verdicts[place] for place in pair}
        if found == {BETTER, WORSE} or (EQUIVALENT in found and found & {BETTER, WORSE} and changed[pair]):
            return CHANGES
    return UNDECIDED


def conclusions(
    comparisons: pd.DataFrame, values: QueryValues, grid: Grid, domains: Sequence[Domain], rule: Rule
) -> pd.DataFrame:
    """One row for each two samplers of a student, loss, domain and measure, columns :data:`CONCLUSION`.

    ``change``: difference a - b under teacher_b minus that under teacher_a, of the two teachers between which it is
    largest, with its interval (not corrected) and its ``p``, Holm-corrected over all pairs of samplers and teachers of
    the row's block. Students that are the same under all teachers (they read none) are ``same students``.
    """
    weights = {domain.name: domain.weights for domain in domains}
    samplers, teachers = (list(combinations(axis, 2)) for axis in (grid.samplers, grid.teachers))
    places = list(combinations(range(len(grid.teachers)), 2))
    rows = []
    for keys, block in comparisons.groupby(list(KEYS), sort=False):
        verdicts = block.set_index(["teacher", "sampler_a", "sampler_b"])["verdict"]
        found = {
            name: _differences(values, grid, keys, name) for name in weights[keys[2]]
        }  # (teachers, pairs, queries)
        changes = {name: np.concatenate([d[two] - d[one] for one, two in places]) for name, d in found.items()}
        estimate = mean_difference(changes, weights[keys[2]])
        shape = (len(places), len(samplers))
        p = holm(estimate.difference_p()).reshape(shape)
        mean, low, high = (array.reshape(shape) for array in (estimate.mean, *estimate.interval(rule.confidence)))
        for column, pair in enumerate(samplers):
            largest = int(np.abs(mean[:, column]).argmax())
            changed = dict(zip(places, p[:, column] <= rule.difference_alpha, strict=True))
            verdict = conclude([verdicts[teacher, *pair] for teacher in grid.teachers], changed)
            if _same_students(values, grid, keys, pair, found):
                verdict = SAME
            numbers = (array[largest, column] for array in (mean, low, high, p))
            rows.append((*keys, *pair, *teachers[largest], *numbers, verdict))
    return pd.DataFrame(rows, columns=list(CONCLUSION))


def _differences(values: QueryValues, grid: Grid, keys: tuple, collection: str) -> np.ndarray:
    """Sampler a minus sampler b on each query  # (teachers, pairs of samplers, queries)."""
    found = _values(values, grid, keys, collection, grid.samplers)
    places = list(combinations(range(len(grid.samplers)), 2))
    return np.stack([found[:, one] - found[:, other] for one, other in places], axis=1)


def _values(values: QueryValues, grid: Grid, keys: tuple, collection: str, samplers: Sequence[str]) -> np.ndarray:
    """Values on each query, averaged over seeds  # (teachers, samplers, queries)."""
    student, loss, _, measure = keys
    cells = [(student, loss, sampler, teacher) for teacher, sampler in product(grid.teachers, samplers)]
    found = np.stack([values.of(cell, grid.seeds, collection, measure) for cell in cells])
    return found.reshape(len(grid.teachers), len(samplers), -1)


def _same_students(values: QueryValues, grid: Grid, keys: tuple, pair: tuple[str, str], collections: Mapping) -> bool:
    """Whether each sampler's student ranks every query equally well, to the last digit, under every teacher."""
    every = [_values(values, grid, keys, name, pair) for name in collections]
    return all((found == found[:1]).all() for found in every)


def order_agreement(means: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """Kendall's tau-b between the samplers' orders under each two teachers: KEYS, teacher_a, teacher_b, tau.

    ``means``: KEYS, sampler, teacher, mean. Samplers with the same mean (to twelve decimals) are tied; where all are
    tied under a teacher there is no order, and tau is NaN. A handful of samplers gives tau few values, so it has no
    test here.
    """
    rows = []
    for keys, block in means.groupby(list(KEYS), sort=False):
        found = block.pivot(index="sampler", columns="teacher", values="mean").round(12)
        for pair in combinations(grid.teachers, 2):
            one, other = (found[teacher].to_numpy() for teacher in pair)
            tied = np.ptp(one) == 0 or np.ptp(other) == 0
            rows.append((*keys, *pair, np.nan if tied else float(kendalltau(one, other).statistic)))
    return pd.DataFrame(rows, columns=[*KEYS, "teacher_a", "teacher_b", "tau"])
