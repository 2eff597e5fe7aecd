"""Which samplers differ: comparisons of every two samplers within each loss, student and teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.families import DIFFERENT, ONE_SEED, SAME, holm, outcome
from workflow_scripts.analysis.inference import Estimates
from workflow_scripts.analysis.letters import compact_letters
from workflow_scripts.analysis.measure_names import orders_candidates
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import BM25, Grid
from workflow_scripts.storage.errors import InputError

BLOCK = ("student", "loss", "teacher", "domain", "measure")
"""What the samplers of one family of comparisons share."""
VERDICT = (
    *("ci_low", "ci_high", "margin", "smallest_margin", "p_difference", "p_equivalence"),
    *("p_difference_holm", "p_equivalence_holm", "outcome", "basis"),
)
"""What :func:`judge` says of each contrast of a family."""
NEW = ("new_ci_low", "new_ci_high", "new_p_difference_holm", "new_p_equivalence_holm", "new_outcome")
"""What :func:`judge_new_collections` says of it where collections are a sample."""
JUDGED = ("difference", *VERDICT, *NEW)
"""Columns of :func:`judge_family`."""
COLUMNS = (*BLOCK, "sampler_a", "sampler_b", "mean_difference", *VERDICT, *NEW, "n_queries", "n_seeds")
_MEMBERS = 5
"""Members of a domain from which on new collections have a verdict; of three or four the interval alone says enough."""


@dataclass(frozen=True)
class Rule:
    """How a comparison is decided; fixed by the experiment's config before any result is seen.

    ``margin``: the smallest difference that matters, in the measure's units, or (``margin_of`` "baseline") as a share
    of BM25's value on the domain, which no trained ranker influences. ``alpha``: error rate of equivalence,
    ``difference_alpha`` of difference, each within one family. ``confidence``: of the intervals.
    """

    margin: float
    margin_of: str
    alpha: float
    difference_alpha: float
    confidence: float

    def verdicts(self, p_difference: Sequence[float], p_equivalence: Sequence[float]) -> list[str]:
        """The outcome of each comparison by its (corrected) p-values."""
        alphas = {"difference_alpha": self.difference_alpha, "alpha": self.alpha}
        return [outcome(*p, **alphas) for p in zip(p_difference, p_equivalence, strict=True)]

    def margin_for(self, values: QueryValues, domain: Domain, measure: str) -> float:
        """The margin in the measure's units."""
        if self.margin_of == "absolute":
            return self.margin
        baseline = (BM25, "", "", "")
        seeds = values.seeds(baseline)
        means = {name: values.of(baseline, seeds, name, measure).mean() for name in domain.collections}
        return self.margin * sum(weight * means[name] for name, weight in domain.weights.items())


def judge(found: Estimates, margin: float, rule: Rule) -> dict[str, object]:
    """Verdicts on the contrasts of one family, columns :data:`VERDICT`.

    Interval and smallest margin are each contrast's by itself, p-values also with Holm's correction over the family,
    differences and equivalences apart. Where nothing differs (``same``) or nothing tells what training again changes
    (``one seed``) nothing is tested, all of these are NaN and the family is without that contrast. ``basis``: what
    tells the variance of training.
    """
    low, high = found.interval(rule.confidence)
    p_difference, p_equivalence = found.difference_p(), found.equivalence_p(margin)
    numbers = (low, high, found.smallest_margin(rule.alpha), p_difference, p_equivalence)
    low, high, smallest, p_difference, p_equivalence = (np.where(found.tested, array, np.nan) for array in numbers)
    corrected = holm(p_difference), holm(p_equivalence)
    return {
        "ci_low": low,
        "ci_high": high,
        "margin": margin,
        "smallest_margin": smallest,
        "p_difference": p_difference,
        "p_equivalence": p_equivalence,
        "p_difference_holm": corrected[0],
        "p_equivalence_holm": corrected[1],
        "outcome": np.where(found.same, SAME, rule.verdicts(*corrected)),
        "basis": np.where(found.known, found.basis, ONE_SEED),
    }


def judge_new_collections(found: Estimates | None, members: int, margin: float, rule: Rule) -> dict[str, object]:
    """Columns :data:`NEW`: the same with collections as a sample; NaN, and no outcome, for too few of them."""
    if found is None:
        return dict.fromkeys(NEW, np.nan) | {"new_outcome": ""}
    verdicts = judge(found, margin, rule)
    columns = {name: verdicts[name.removeprefix("new_")] for name in NEW}
    if members < _MEMBERS:
        columns |= dict.fromkeys(NEW[2:], np.nan) | {"new_outcome": ""}
    return columns


def judge_family(
    cells: ComparedCells, domain: Domain, measure: str, contrasts: np.ndarray, rule: Rule, margin: float | None = None
) -> pd.DataFrame:
    """A row a contrast, columns :data:`JUDGED`; ``contrasts``  # (contrasts, cells).

    Over other seeds and other queries, see :mod:`~workflow_scripts.analysis.inference`; Holm's correction is over these
    contrasts. ``margin``: None for the rule's own.
    """
    contrasts = np.reshape(contrasts, (-1, len(cells.cells)))
    margin = rule.margin_for(cells.values, domain, measure) if margin is None else margin
    found = cells.infer(domain.weights, measure, contrasts)
    new = cells.infer_new_collections(domain, measure, contrasts)
    columns = {"difference": found.mean, **judge(found, margin, rule)}
    columns |= judge_new_collections(new, len(domain.members), margin, rule)
    return pd.DataFrame(columns, index=range(len(contrasts)))[list(JUDGED)]


def compare_samplers(
    values: QueryValues,
    grid: Grid,
    domains: Sequence[Domain],
    measures: Sequence[str],
    rule: Rule,
    controls: Sequence[Mapping] = (),
    depth: int | None = None,
) -> pd.DataFrame:
    """One row for each two samplers, columns :data:`COLUMNS`; mean_difference is sampler_a minus sampler_b.

    The estimand is over other seeds and other queries of the domain's collections, see
    :mod:`~workflow_scripts.analysis.inference`; a family is the pairs of samplers of a :data:`BLOCK`. ``controls``: see
    :class:`~workflow_scripts.analysis.compared_cells.ComparedCells`. ``depth``: of the re-ranked lists; a measure of
    the set of candidates, which re-ranking does not change, is left out.
    """
    if len(grid.samplers) < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    frames = []
    sampler_a, sampler_b = zip(*combinations(grid.samplers, 2), strict=True)
    shown = [measure for measure in measures if depth is None or orders_candidates(measure, depth)]
    for block, cells in sampler_blocks(values, grid, controls):
        for domain, measure in values.by_domain(domains, shown):
            found = judge_family(cells, domain, measure, cells.pairs(), rule)
            keys = dict(zip(BLOCK, (*block, domain.name, measure), strict=True))
            keys |= {"sampler_a": sampler_a, "sampler_b": sampler_b, "n_seeds": len(grid.seeds)}
            frames.append(found.assign(**keys, n_queries=values.number(domain.collections, measure)))
    if not frames:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(frames, ignore_index=True).rename(columns={"difference": "mean_difference"})[list(COLUMNS)]


def sampler_blocks(
    values: QueryValues, grid: Grid, controls: Sequence[Mapping] = ()
) -> Iterator[tuple[tuple[str, str, str], ComparedCells]]:
    """Each student, loss and teacher of a grid with the cells of its samplers, which are compared with one another."""
    for student, loss, teacher in product(grid.students, grid.losses, grid.teachers):
        cells = [(student, loss, sampler, teacher) for sampler in grid.samplers]
        yield (student, loss, teacher), ComparedCells(values, cells, [range(len(cells))], grid.seeds, controls)


def sampler_letters(
    comparisons: pd.DataFrame, means: Mapping[tuple[str, str, str, str, str], Mapping[str, float]]
) -> dict[tuple[str, ...], dict[str, str]]:
    """Letters of the samplers of each block: two samplers share one where their outcome is not "different".

    ``means``: block (student, loss, teacher, domain, measure) to its samplers' means; the best gets an a. A block with
    a pair that has no verdict (``one seed``), or with one sampler, has no letters. Raises :class:`InputError` for a
    pair of samplers that was not compared.
    """
    found = dict(iter(comparisons.groupby(list(BLOCK), sort=False)))
    letters = {}
    for block, of_sampler in means.items():
        rows = found.get(block, comparisons.iloc[:0])
        outcomes = dict(zip(zip(rows["sampler_a"], rows["sampler_b"], strict=True), rows["outcome"], strict=True))
        for pair in combinations(of_sampler, 2):
            if pair not in outcomes and pair[::-1] not in outcomes:
                raise InputError(
                    f"{' and '.join(pair)} were not compared for {' '.join(block)}: make the equivalence table again"
                )
        if len(of_sampler) == 1 or ONE_SEED in outcomes.values():
            continue
        best_first = sorted(of_sampler, key=lambda sampler: -of_sampler[sampler])
        letters[block] = compact_letters(best_first, [pair for pair, what in outcomes.items() if what == DIFFERENT])
    return letters
