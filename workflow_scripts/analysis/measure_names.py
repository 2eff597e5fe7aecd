"""Measures by their ir_measures names, and the values of one measure; the planner reads this, so nothing heavy."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from ir_measures import Measure, Provider

EXCESS_RISK = "excess risk"
"""The measure that ir_measures has not: see :mod:`workflow_scripts.evaluate.excess_risk`; lower is better."""
EVALUATORS = ("pytrec_eval", "compat", "judged", "msmarco", "gdeval")
"""Those of ir_measures that the lock installs (gdeval needs Perl) and that value every query, in its order."""
LARGEST_GRADE = 4
"""Of gdeval, which computes ERR as if it were the scale's largest and stops at a larger one."""
LARGEST_GAIN = 10_000
"""trec_eval makes room for every gain and grade up to the largest, for each query; where memory is short it gives 0."""

_OF_SETS = ("R", "P", "Success", "Judged", "SetP", "SetR", "SetF", "SetAP", "NumRet", "NumRel", "NumQ")
"""Measures of the documents up to a rank, whatever their order."""
_LARGEST = 1_000_000


def parse_measure(name: str) -> Measure:
    """The measure that ir_measures calls ``name``, e.g. ``nDCG@10`` or ``AP(rel=2)``; ``str(measure)`` is its own name.

    Raises :class:`InputError` for a name that is none, for a parameter that an evaluator crashes at or reads otherwise
    than it is written, and for a measure that none of :data:`EVALUATORS` computes.
    """
    import ir_measures

    try:
        measure = ir_measures.parse_measure(name)
        supported = any(evaluator.supports(measure) for evaluator in _evaluators())
    except (ValueError, NameError, AssertionError, AttributeError, TypeError, KeyError, RecursionError, MemoryError):
        example = "nDCG@10, R@100 or AP(rel=2)"
        raise InputError(f"{name!r} must be a measure of ir_measures, its parameters too, as in {example}") from None
    if fault := next(_faults(measure), None):
        raise InputError(f"{name!r}: {fault}")
    if not supported:
        raise InputError(f"{name!r} is a measure that nothing installed computes: does it lack a cutoff, as in R@100?")
    return measure


def orders_candidates(name: str, depth: int) -> bool:
    """Whether a measure tells two orders of the same ``depth`` candidates apart: R@100 of 100 does not."""
    if name == EXCESS_RISK:
        return True
    measure = parse_measure(name)
    return measure.NAME not in _OF_SETS or (measure.params.get("cutoff") or depth) < depth


def values_of(measure: Measure, judgements: Mapping[str, Mapping], scores: Mapping[str, Mapping]) -> dict[str, float]:
    """Query to value, of one measure as it is alone.

    Several in one call share an evaluator, and one of them may take another's gains, judged-only flag or relevance
    level, by the order of a set. ``judgements`` and ``scores``: query to document to grade and to score, under ids that
    are numbers: gdeval takes no others. Raises :class:`InputError` where the measure's evaluator fails.
    """
    from ir_measures import providers

    if providers.registry["gdeval"].supports(measure):
        largest = max((grade for graded in judgements.values() for grade in graded.values()), default=0)
        if largest > LARGEST_GRADE:
            raise InputError(
                f"{measure} is of grades up to {LARGEST_GRADE} and a judgement has grade {largest}: drop the measure, "
                "or write nDCG's gains out, as in nDCG(gains={2:3,3:7,4:15,5:31})@10"
            )
    if measure.params.get("judged_only"):
        # A ranking without a judged document is as good as none: trec_eval's interpolated precision of it is 0 / 0.
        scores = {
            query: ranked
            for query, ranked in scores.items()
            if any(judgements[query].get(document, -1) >= 0 for document in ranked)
        }
    try:
        found = providers.FallbackProvider(_evaluators()).iter_calc([measure], judgements, scores)
        return {each.query_id: each.value for each in found}
    except (ValueError, TypeError, LookupError, ArithmeticError, OSError, subprocess.SubprocessError) as error:
        raise InputError(f"the evaluator of {measure} fails ({error}): drop the measure") from None


def _evaluators() -> list[Provider]:
    """:data:`EVALUATORS` without gdeval where there is no Perl; whether trec_eval's is there would load numpy."""
    from ir_measures import providers

    found = [providers.registry[name] for name in EVALUATORS]
    return [evaluator for evaluator in found if evaluator.NAME != "gdeval" or evaluator.is_available()]


def _faults(measure: Measure) -> Iterator[str]:
    """Parameters that ir_measures accepts and an evaluator does not: some abort the whole process."""
    for key, value in measure.params.items():
        if key in ("cutoff", "rel") and (isinstance(value, bool) or not 1 <= value <= _LARGEST):
            yield f"{key} is {value!r}, and must be a whole number from 1 to {_LARGEST:,}"
        elif key == "recall" and round(value, 2) != value:
            yield f"recall is {value!r}, of which the evaluator reads two decimals: round it"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{key} is {value!r}, and must be a finite number"
        elif key == "p" and value > 1:  # of Compat, which would weight the last ranks most, and overflow
            yield f"p is {value!r}, and must be at most 1"
        elif key == "gains":
            numbers = [*value.keys(), *value.values()]
            if any(type(number) is not int or not 0 <= number <= LARGEST_GAIN for number in numbers):
                yield f"gains must be whole numbers from 0 to {LARGEST_GAIN:,}, grade by grade, as in {{2:3,3:7}}"
