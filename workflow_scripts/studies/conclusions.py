"""Do conclusions about samplers outlast another teacher? Their differences compared between teachers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import Rule, compare_samplers
from workflow_scripts.analysis.families import COUNTED, DIFFERENT, ONE_SEED, UNDECIDED, counted, false_calls, holm
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid

HOLDS, CHANGES, SAME_STUDENTS = "holds", "changes", "same students"
BETTER, WORSE = "different (+)", "different (-)"
KEYS = ("student", "loss", "domain", "measure")
"""What stays the same where teachers are compared."""
CONCLUSION = (
    *(*KEYS, "sampler_a", "sampler_b", "teacher_a", "teacher_b", "change", "ci_low", "ci_high"),
    *("p_difference", "p", "p_equivalence", "verdict", "basis", *COUNTED),
)


def compare_under_teachers(
    values: QueryValues, grid: Grid, domains: Sequence[Domain], measures: Sequence[str], spec: Mapping
) -> pd.DataFrame:
    """The rows of :func:`compare_samplers` with ``verdict``: its outcome, a difference with the sign of a minus b."""
    table = compare_samplers(values, grid, domains, measures, Rule(**spec["rule"]), spec["controls"], spec["depth"])
    signed = np.where(table["mean_difference"] > 0, BETTER, WORSE)
    return table.assign(verdict=np.where(table["outcome"] == DIFFERENT, signed, table["outcome"]))


def conclude(beyond: Sequence[float], within: Sequence[float], rule: Rule) -> str:
    """What becomes of one comparison of samplers: of p-values of its changes between every two teachers.

    ``beyond``: that a change is larger than the margin; ``within``: that it is smaller. One that is shown to be beyond
    *changes* the comparison; it *holds* where every change is shown to be within. A verdict that is there under one
    teacher and not under another shows no change.
    """
    if np.isnan(beyond).any():
        return ONE_SEED
    if min(beyond) <= rule.difference_alpha:
        return CHANGES
    return HOLDS if max(within) <= rule.alpha else UNDECIDED


def conclusions(
    comparisons: pd.DataFrame, values: QueryValues, grid: Grid, domains: Sequence[Domain], spec: Mapping
) -> pd.DataFrame:
    """One row for each two samplers of a student, loss, domain and measure, columns :data:`CONCLUSION`.

    ``change``: difference a - b under teacher_b minus that under teacher_a, of the two teachers between which it is
    largest (where the verdict is *changes*: is most clearly beyond the margin), with its interval (not corrected);
    ``p``, that it is beyond the margin, and ``p_equivalence``, that it is within, Holm-corrected over all pairs of
    samplers and teachers of the row's block (``p_difference``: ``p`` without). ``COUNTED``: of the row's changes, those
    between all teachers. Students that are the same under all teachers (they read none) are ``same students``.
    """
    named = {domain.name: domain for domain in domains}
    keys = comparisons[list(KEYS)].drop_duplicates().itertuples(index=False, name=None)
    rows = [row for each in keys for row in _of_block(values, grid, each, named[each[2]], spec)]
    return pd.DataFrame(rows, columns=list(CONCLUSION))


def _of_block(values: QueryValues, grid: Grid, keys: tuple, domain: Domain, spec: Mapping) -> Iterator[tuple]:
    """Rows of a student, loss, domain and measure, one for each two samplers."""
    student, loss, _, measure = keys
    rule, width = Rule(**spec["rule"]), len(grid.samplers)
    cells = [(student, loss, sampler, teacher) for teacher, sampler in product(grid.teachers, grid.samplers)]
    blocks = [range(start, start + width) for start in range(0, len(cells), width)]
    compared = ComparedCells(values, cells, blocks, spec["seeds"], spec["controls"])
    pairs, teachers = (list(combinations(axis, 2)) for axis in (grid.samplers, grid.teachers))
    contrasts = [_change(compared, keys, pair, two) for pair, two in product(pairs, teachers)]
    found = compared.infer(domain.weights, measure, np.array(contrasts))
    margin = rule.margin_for(values, domain, measure)
    beyond, within = (np.where(found.tested, p, np.nan) for p in (found.beyond_p(margin), found.equivalence_p(margin)))
    numbers = (found.mean, *found.interval(rule.confidence), beyond, holm(beyond), holm(within))
    shape = len(pairs), len(teachers)
    arrays = [array.reshape(shape) for array in numbers]
    same, known = found.same.reshape(shape), found.known.reshape(shape)
    for row, pair in enumerate(pairs):
        changed = ~same[row]
        p_beyond, p_within = (array[row][changed] for array in arrays[4:])
        verdict = conclude(p_beyond, p_within, rule) if changed.any() else SAME_STUDENTS
        shown = np.nanargmin(arrays[4][row]) if verdict == CHANGES else np.abs(arrays[0][row]).argmax()
        basis = found.basis if known[row].all() else ONE_SEED
        calls = false_calls(arrays[3][row], arrays[4][row] <= rule.difference_alpha, 1, rule.difference_alpha)
        numbers_shown = (array[row, shown] for array in arrays)
        yield (*keys, *pair, *teachers[shown], *numbers_shown, verdict, basis, *counted(calls).values())


def _change(cells: ComparedCells, keys: tuple, pair: tuple[str, str], teachers: tuple[str, str]) -> np.ndarray:
    """Difference of two samplers under the second teacher minus that under the first."""
    signs = zip(product(teachers[::-1], pair), (1, -1, -1, 1), strict=True)
    return cells.contrast({(*keys[:2], sampler, teacher): sign for (teacher, sampler), sign in signs})


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
