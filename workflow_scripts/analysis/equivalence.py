"""Which samplers differ: paired comparisons of every two samplers within each loss, student and teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.letters import compact_letters
from workflow_scripts.analysis.paired import DIFFERENT, holm, mean_difference, outcome, randomisation_p
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import BM25, Grid
from workflow_scripts.storage.errors import InputError

BLOCK = ("student", "loss", "teacher", "domain", "measure")
"""What the samplers of one family of comparisons share."""
COLUMNS = (
    *BLOCK,
    *("sampler_a", "sampler_b", "mean_difference", "ci_low", "ci_high", "margin", "smallest_margin"),
    *("p_difference", "p_randomisation", "p_equivalence", "p_difference_holm", "p_equivalence_holm"),
    *("outcome", "n_queries", "n_seeds"),
)


@dataclass(frozen=True)
class Rule:
    """How a comparison is decided; fixed by the experiment's config before any result is seen.

    ``margin``: the smallest difference that matters, in the measure's units, or (``margin_of`` "baseline") as a share
    of BM25's value on the domain, which no trained ranker influences. ``alpha``: error rate of equivalence,
    ``difference_alpha`` of difference, each within one family of sampler pairs. ``confidence``: of the intervals.
    ``randomisations`` and ``seed``: of the randomisation test.
    """

    margin: float
    margin_of: str
    alpha: float
    difference_alpha: float
    randomisations: int
    seed: int
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


def compare_samplers(
    values: QueryValues, grid: Grid, domains: Sequence[Domain], measures: Sequence[str], rule: Rule
) -> pd.DataFrame:
    """One row for each two samplers, columns :data:`COLUMNS`; mean_difference is sampler_a minus sampler_b.

    A query's value is averaged over the seeds first, so the tests speak of new queries for these trained models, not
    of new training runs. A domain's estimand is the macro mean over its collections (:func:`mean_difference`). Holm's
    correction is over the pairs of samplers of a :data:`BLOCK`, for differences and for equivalences apart. The
    interval and ``smallest_margin`` are one comparison's, not corrected; ``p_randomisation`` is a check on the t test.
    """
    frames = [
        _compare(values, grid, domain, measure, rule)
        for domain in domains
        for measure in values.measures(domain.collections, measures)
        if len(grid.samplers) > 1
    ]
    table = pd.concat(frames) if frames else pd.DataFrame(columns=list(COLUMNS))
    # Students outermost; the domains, measures and pairs stay in their order.
    axes = zip(BLOCK[:3], (grid.students, grid.losses, grid.teachers), strict=True)
    keys = [table[name].map({value: place for place, value in enumerate(axis)}) for name, axis in axes]
    order = np.lexsort([np.arange(len(table)), *reversed(keys)])
    return table.iloc[order].reset_index(drop=True)


def _compare(values: QueryValues, grid: Grid, domain: Domain, measure: str, rule: Rule) -> pd.DataFrame:
    """Every comparison on one domain and measure."""
    pairs = list(combinations(grid.samplers, 2))
    blocks = list(product(grid.students, grid.losses, grid.teachers))
    rows = [(*block, *pair) for block in blocks for pair in pairs]
    differences = {}
    for name in domain.collections:
        found = {
            (student, loss, teacher, sampler): values.of((student, loss, sampler, teacher), grid.seeds, name, measure)
            for student, loss, teacher in blocks
            for sampler in grid.samplers
        }
        differences[name] = np.stack([found[*block, one] - found[*block, other] for *block, one, other in rows])
    estimate = mean_difference(differences, domain.weights)
    margin = rule.margin_for(values, domain, measure)
    low, high = estimate.interval(rule.confidence)
    tests = {"p_difference": estimate.difference_p(), "p_equivalence": estimate.equivalence_p(margin)}
    # Rows of a block follow one another: a family is a row of (blocks, pairs).
    for name in list(tests):
        families = tests[name].reshape(len(blocks), len(pairs))
        tests[f"{name}_holm"] = np.concatenate([holm(family) for family in families])
    frame = pd.DataFrame(rows, columns=["student", "loss", "teacher", "sampler_a", "sampler_b"]).assign(
        domain=domain.name,
        measure=measure,
        mean_difference=estimate.mean,
        ci_low=low,
        ci_high=high,
        margin=margin,
        smallest_margin=estimate.smallest_margin(rule.alpha),
        p_randomisation=randomisation_p(differences, domain.weights, samples=rule.randomisations, seed=rule.seed),
        outcome=rule.verdicts(tests["p_difference_holm"], tests["p_equivalence_holm"]),
        n_queries=sum(array.shape[1] for array in differences.values()),
        n_seeds=len(grid.seeds),
        **tests,
    )
    return frame[list(COLUMNS)]


def sampler_letters(
    comparisons: pd.DataFrame, means: Mapping[tuple[str, str, str, str, str], Mapping[str, float]]
) -> dict[tuple[str, ...], dict[str, str]]:
    """Letters of the samplers of each block: two samplers share one where their outcome is not "different".

    ``means``: block (student, loss, teacher, domain, measure) to its samplers' means; the best gets an a. Raises
    :class:`InputError` for a pair of samplers that was not compared.
    """
    found = dict(iter(comparisons.groupby(list(BLOCK), sort=False)))
    letters = {}
    for block, of_sampler in means.items():
        rows = found[block]
        outcomes = dict(zip(zip(rows["sampler_a"], rows["sampler_b"], strict=True), rows["outcome"], strict=True))
        for pair in combinations(of_sampler, 2):
            if pair not in outcomes and pair[::-1] not in outcomes:
                raise InputError(
                    f"{' and '.join(pair)} were not compared for {' '.join(block)}: make the equivalence table again"
                )
        best_first = sorted(of_sampler, key=lambda sampler: -of_sampler[sampler])
        letters[block] = compact_letters(best_first, [pair for pair, what in outcomes.items() if what == DIFFERENT])
    return letters
