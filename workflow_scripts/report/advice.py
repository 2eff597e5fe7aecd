"""What to train within a budget: a dearer cell only where a paired test shows that it is better than the cheapest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.paired import DIFFERENT, EQUIVALENT, UNDECIDED, holm, mean_difference

USE, CHEAPEST = "use", "cheapest"


@dataclass(frozen=True)
class Comparisons:
    """Candidates # (K,) against the first, and every two of them.

    ``difference``, ``low``, ``high``: of each minus the first, the intervals jointly (Bonferroni over the K - 1);
    ``p`` Holm-corrected over the K - 1 and ``outcome`` its verdict (the first: 1, and equivalent to itself);
    ``worse``  # (K, K): the candidate of the row is shown to be worse than the column's: the first's row and column by
    ``outcome``, the rest by :func:`pairwise`.
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    outcome: list[str]
    worse: np.ndarray


def compare(
    values: Mapping[str, np.ndarray], weights: Mapping[str, float], *, margin: float, rule: Rule
) -> Comparisons:
    """Compare candidates, of which the first was chosen without looking at their effectiveness.

    ``values``: collection to values  # (K, queries). Whichever candidate is later chosen by its mean, its comparison is
    one of a family that was corrected as a whole, so the choice makes no more errors than alpha. Two families: each
    candidate against the first (the ``outcome``, and the first's row and column of ``worse``, so that the two never
    disagree), and all pairs (the rest of ``worse``). A difference counts where it is not equivalent.
    """
    number = next(iter(values.values())).shape[0]
    estimate = mean_difference({name: array - array[:1] for name, array in values.items()}, weights)
    joint = 1 - (1 - rule.confidence) / max(number - 1, 1)
    low, high = estimate.interval(joint)
    p, p_equivalence = np.ones(number), np.zeros(number)
    p[1:], p_equivalence[1:] = holm(estimate.difference_p()[1:]), holm(estimate.equivalence_p(margin)[1:])
    verdicts = rule.verdicts(p, p_equivalence)
    _, worse = pairwise(values, weights, margin=margin, rule=rule)
    shown = np.array([verdict == DIFFERENT for verdict in verdicts])
    worse[0], worse[:, 0] = shown & (estimate.mean > 0), shown & (estimate.mean < 0)
    return Comparisons(estimate.mean, low, high, p, verdicts, worse)


def pairwise(
    values: Mapping[str, np.ndarray], weights: Mapping[str, float], *, margin: float, rule: Rule
) -> tuple[np.ndarray, np.ndarray]:
    """Outcome of every two candidates, and whether the row's is shown to be worse than the column's  # (K, K) each.

    One family, Holm over all pairs; a candidate is equivalent to itself. Worse: different, which equivalent ones are
    not, with the lower mean. ``values``: collection to values  # (K, queries).
    """
    number = next(iter(values.values())).shape[0]
    outcomes = np.full((number, number), EQUIVALENT, dtype=object)
    worse = np.zeros((number, number), dtype=bool)
    if number > 1:
        one, other = np.array(list(combinations(range(number), 2))).T
        estimate = mean_difference({name: array[one] - array[other] for name, array in values.items()}, weights)
        found = rule.verdicts(holm(estimate.difference_p()), holm(estimate.equivalence_p(margin)))
        outcomes[one, other] = outcomes[other, one] = found
        shown = np.array([verdict == DIFFERENT for verdict in found])
        worse[one, other], worse[other, one] = shown & (estimate.mean < 0), shown & (estimate.mean > 0)
    return outcomes, worse


@dataclass(frozen=True)
class Advice:
    """What to train: candidates by their places, the first the cheapest.

    ``kind``: ``use`` (``recommended`` is shown to be better than the cheapest), ``cheapest`` (it has the best mean, or
    nothing else is affordable), ``equivalent`` (the best mean is shown to be within the margin of the cheapest's) or
    ``undecided`` (``recommended`` is None). ``best``: highest mean; ``least``: the cheapest that is not shown to be
    worse than the best. ``number``: candidates within the budget.
    """

    kind: str
    recommended: int | None
    best: int
    least: int
    number: int


def advise(cost: np.ndarray, mean: np.ndarray, comparisons: Comparisons, budget: float | None) -> Advice:
    """Advice among the candidates whose ``cost`` is at most ``budget`` times the first's; None for any cost.

    ``cost``  # (K,), ascending; ``mean``  # (K,). Of equal means the cheaper is the best.
    """
    # A budget is a round number, a cost is not: 2.0000000001 is within 2.
    within = [place for place in range(len(cost)) if budget is None or cost[place] <= budget * cost[0] * (1 + 1e-9)]
    best = max(within, key=lambda place: (mean[place], -place))
    least = min(place for place in within if not comparisons.worse[place, best])
    better = [p for p in within if comparisons.outcome[p] == DIFFERENT and comparisons.difference[p] > 0]
    if better:
        kind, recommended = USE, max(better, key=lambda place: (mean[place], -place))
    elif best == 0:
        kind, recommended = CHEAPEST, 0
    elif comparisons.outcome[best] == EQUIVALENT:
        kind, recommended = EQUIVALENT, 0
    else:
        kind, recommended = UNDECIDED, None
    return Advice(kind, recommended, best, least, len(within))


def choose(
    values: Mapping[str, np.ndarray], weights: Mapping[str, float], *, margin: float, rule: Rule
) -> tuple[str, int, int, str]:
    """Choice among candidates of one price: (use or undecided, places of the best and second best mean, their outcome).

    ``values``: collection to values  # (K, queries). ``use`` only where the best is shown to be better than every other
    and equivalent to none (:func:`pairwise`).
    """
    mean = sum(weights[name] * array.mean(axis=1) for name, array in values.items())
    best, second = np.argsort(-mean, kind="stable")[:2]
    outcomes, worse = pairwise(values, weights, margin=margin, rule=rule)
    kind = USE if worse[:, best].sum() == len(mean) - 1 else UNDECIDED
    return kind, int(best), int(second), outcomes[best, second]
