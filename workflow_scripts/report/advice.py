"""What to train within a budget: a dearer cell only where it is shown to be better than the cheapest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workflow_scripts.analysis.equivalence import Rule, judge
from workflow_scripts.analysis.families import (
    COUNTED,
    DIFFERENT,
    EQUIVALENT,
    ONE_SEED,
    SAME,
    UNDECIDED,
    counted,
    false_calls,
)
from workflow_scripts.analysis.inference import Estimates

USE, CHEAPEST = "use", "cheapest"

Infer = Callable[[np.ndarray], Estimates]
"""Estimates of contrasts of the candidates  # (contrasts, K), over seeds and queries."""


@dataclass(frozen=True)
class Comparisons:
    """Candidates # (K,) against the first, and every two of them.

    ``difference``, ``low``, ``high``: of each minus the first, the intervals jointly (Bonferroni over the K - 1);
    ``p_difference`` and, Holm-corrected over the K - 1, ``p``; ``outcome`` by the latter (the first: 1, and equivalent
    to itself). ``worse``  # (K, K): the candidate of the row is shown to be worse than the column's: the first's row
    and column by ``outcome``, the rest by :func:`pairwise`. ``basis`` of each: what tells the variance of training.
    ``counted``: columns :data:`~workflow_scripts.analysis.families.COUNTED` of the family of the first's comparisons.
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_difference: np.ndarray
    p: np.ndarray
    outcome: list[str]
    worse: np.ndarray
    basis: list[str]
    counted: dict[str, float]


def compare(infer: Infer, number: int, *, margin: float, rule: Rule) -> Comparisons:
    """Compare ``number`` candidates, of which the first was chosen without looking at their effectiveness.

    Whichever candidate is later chosen by its mean, its comparison is one of a family that was corrected as a whole, so
    the choice makes no more errors than alpha. Two families: each candidate against the first (the ``outcome``, and the
    first's row and column of ``worse``, so that the two never disagree), and all pairs (the rest of ``worse``). A
    difference counts where it is not equivalent.
    """
    identity = np.eye(number)
    found = infer(identity[1:] - identity[:1])
    judged = judge(found, margin, rule)
    low, high = found.interval(1 - (1 - rule.confidence) / max(number - 1, 1))
    _, worse, _ = pairwise(infer, number, margin=margin, rule=rule)
    outcomes = [EQUIVALENT, *judged["outcome"]]
    difference = np.concatenate([[0.0], found.mean])
    shown = np.array([outcome == DIFFERENT for outcome in outcomes])
    worse[0], worse[:, 0] = shown & (difference > 0), shown & (difference < 0)
    ends = (np.concatenate([[0.0], array]) for array in (low, high))
    p = (np.concatenate([[1.0], judged[name]]) for name in ("p_difference", "p_difference_holm"))
    return Comparisons(difference, *ends, *p, outcomes, worse, [found.basis, *judged["basis"]], _counted(judged, rule))


def _counted(judged: Mapping, rule: Rule) -> dict[str, float]:
    """How many comparisons of a family were tested and are called different."""
    different = [outcome == DIFFERENT for outcome in judged["outcome"]]
    return counted(false_calls(judged["p_difference"], different, 1, rule.difference_alpha))


def pairwise(
    infer: Infer, number: int, *, margin: float, rule: Rule
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Outcome of every two candidates, whether the row's is shown to be worse than the column's  # (K, K) each; counts.

    One family, Holm over all pairs; a candidate is equivalent to itself. Worse: different, which equivalent ones are
    not, with the lower mean.
    """
    outcomes = np.full((number, number), EQUIVALENT, dtype=object)
    worse = np.zeros((number, number), dtype=bool)
    of_family = dict.fromkeys(COUNTED, np.nan)
    if number > 1:
        one, other = np.array(list(combinations(range(number), 2))).T
        identity = np.eye(number)
        estimates = infer(identity[one] - identity[other])
        judged = judge(estimates, margin, rule)
        found, of_family = judged["outcome"], _counted(judged, rule)
        outcomes[one, other] = outcomes[other, one] = found
        shown = np.array([verdict == DIFFERENT for verdict in found])
        worse[one, other], worse[other, one] = shown & (estimates.mean < 0), shown & (estimates.mean > 0)
    return outcomes, worse, of_family


@dataclass(frozen=True)
class Advice:
    """What to train: candidates by their places, the first the cheapest.

    ``kind``: ``use`` (``recommended`` is shown to be better than the cheapest), ``cheapest`` (it has the best mean, or
    nothing else is affordable), ``equivalent`` (the best mean is shown to be within the margin of the cheapest's),
    ``undecided``, or ``one seed``, where nothing tells what training again changes (in both ``recommended`` is None).
    ``best``: highest mean; ``least``: the cheapest that is not shown to be
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
    elif comparisons.outcome[best] in (EQUIVALENT, SAME):
        kind, recommended = EQUIVALENT, 0
    else:
        kind, recommended = ONE_SEED if comparisons.outcome[best] == ONE_SEED else UNDECIDED, None
    return Advice(kind, recommended, best, least, len(within))


def choose(infer: Infer, number: int, *, margin: float, rule: Rule) -> tuple[str, int, int, str, dict[str, float]]:
    """Choice among candidates of one price: (use, undecided or one seed, places of the best and second best mean, their
    outcome, counts of the family of all pairs).

    ``use`` only where the best is shown to be better than every other and equivalent to none (:func:`pairwise`).
    """
    mean = infer(np.eye(number)).mean
    best, second = np.argsort(-mean, kind="stable")[:2]
    outcomes, worse, of_family = pairwise(infer, number, margin=margin, rule=rule)
    unknown = ONE_SEED if outcomes[best, second] == ONE_SEED else UNDECIDED
    kind = USE if worse[:, best].sum() == number - 1 else unknown
    return kind, int(best), int(second), outcomes[best, second], of_family
