"""What stands below a table with verdicts: how many calls it makes, how many may be false, and what they are given."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workflow_scripts.analysis.families import DIFFERENT, MARKS, ONE_SEED, SAME, FalseCalls, false_calls
from workflow_scripts.analysis.inference import CONTROLS
from workflow_scripts.presentation.table_formats import format_interval

FOOTNOTE = "¹"
"""Follows an outcome whose variance of training is known from controls."""


def mark(outcome: str, basis: str) -> str:
    """An outcome as a table shows it."""
    return MARKS[outcome] + FOOTNOTE * (basis == CONTROLS and outcome != SAME)


def format_difference(value: float, low: float, high: float, outcome: str, basis: str) -> str:
    """A difference with its interval, where it has one, and its outcome."""
    return f"{value:+.3f}{format_interval(low, high)} {mark(outcome, basis)}"


def verdict_notes(
    rows: pd.DataFrame, family: Sequence[str], alpha: float, given: str = "given"
) -> tuple[list[str], dict[str, object]]:
    """Names of the sentences below the table, from ``captions/verdicts.rst``, and their values.

    ``rows``: the comparisons shown, with ``p_difference``, ``outcome`` and ``basis``; ``family``: the columns that the
    comparisons of one family share; ``alpha``: the error rate of a family's differences; ``given``: the sentence that
    says what the verdicts are about.
    """
    tested = rows[rows["p_difference"].notna()]
    families = len(tested.drop_duplicates(list(family)))
    found = false_calls(tested["p_difference"], tested["outcome"] == DIFFERENT, families, alpha)
    return notes_of(found, rows["basis"], given)


def notes_of(found: FalseCalls, basis: pd.Series, given: str = "given") -> tuple[list[str], dict[str, object]]:
    """:func:`verdict_notes` where the calls are counted already; ``basis``: of each comparison."""
    notes = ["calls" if found.called else "no calls"] if found.tested else []
    notes += ["controls"] * bool((basis == CONTROLS).any())
    notes += ["no verdict"] * bool((basis == ONE_SEED).any())
    values = {
        "called": found.called,
        "tested": found.tested,
        "families": f"{found.families} {'family' if found.families == 1 else 'families'}",
        "expected": _number(found.expected),
        "bound": share(found.bound),
    }
    notes += [given] * bool(found.tested)
    return notes, values


def share(bound: float) -> str:
    """The estimated largest share of calls that is false, in percent; of less than a tenth of a percent that."""
    return "0.1%" if bound < 0.001 else f"{_number(100 * bound)}%"


def _number(value: float) -> str:
    """Two digits, never in powers of ten."""
    return f"{float(f'{value:.2g}'):g}"
