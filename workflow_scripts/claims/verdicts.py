"""What was found for the parts of a claim, and the verdict that they amount to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from workflow_scripts.analysis.families import holm
from workflow_scripts.analysis.inference import Estimates
from workflow_scripts.analysis.power import MOST_SEEDS

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = "supported", "contradicted", "undecided", "not testable here"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE)

_TESTS: dict[str, tuple[Callable, Callable | None]] = {
    "above 0": (lambda found, margin: found.above_p(0.0), lambda found, margin: found.not_above_p(0.0)),
    "below 0": (lambda found, margin: found.not_above_p(0.0), lambda found, margin: found.above_p(0.0)),
    "different from 0": (lambda found, margin: found.difference_p(), None),
    "within margin": (lambda found, margin: found.equivalence_p(margin), lambda found, margin: found.beyond_p(margin)),
    "not above margin": (lambda found, margin: found.not_above_p(margin), lambda found, margin: found.above_p(margin)),
    "not below margin": (
        lambda found, margin: found.not_below_p(margin),
        lambda found, margin: found.not_above_p(-margin),
    ),
}
"""What must be shown to its p-value, and that of its opposite."""


@dataclass(frozen=True)
class Finding:
    """One part of a claim in one row of it.

    ``p``: that the part holds, small where it is shown; ``p_opposite``: that it does not, NaN where that would not
    contradict the claim. ``counts``: whether the verdict asks for it. ``seeds`` would show it, were the estimate the
    truth: NaN where seeds would not help, infinite for more than anyone trains; ``seeds_against`` says at a level how
    many would show its opposite. ``why``: it cannot be tested, else "". ``number``: which part of the claim this is
    of, ``predicted`` what the claim says of it.
    """

    part: str
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    p_opposite: float = np.nan
    basis: str = ""
    seeds: float = np.nan
    counts: bool = True
    why: str = ""
    number: int = 0
    predicted: str = ""
    seeds_against: Callable[[float], float] | None = None


@dataclass(frozen=True)
class Row:
    """One place in which a claim is judged; a student or a domain is "" where the claim is of all."""

    teacher: str
    student: str = ""
    domain: str = ""
    findings: Sequence[Finding] = field(default=())


def p_values(found: Estimates, shown: str, margin: float = 0.0, *, contradicts: bool = True) -> tuple[float, float]:
    """p and p_opposite of one contrast; NaN for both where nothing differs or tells what training again changes."""
    if not found.tested[0]:
        return np.nan, np.nan
    shows, opposite = _TESTS[shown]
    p = float(shows(found, margin)[0])
    return p, float(opposite(found, margin)[0]) if opposite and contradicts else np.nan


def judge_claim(rows: Sequence[Row], alpha: float, *, by_majority: bool = False) -> tuple[list[str], np.ndarray]:
    """The verdict on each row of one claim, and every finding's corrected p_opposite, row after row.

    Supported: each part that counts is shown at ``alpha``, without correction, since all must be. Contradicted: the
    opposite of some part is shown, Holm-corrected over the parts and rows of the claim (``by_majority``: of more than
    half of the row's parts, corrected over these). Not testable: some part cannot be.
    """
    opposite = [np.array([finding.p_opposite for finding in row.findings]) for row in rows]
    if by_majority:
        corrected = [holm(p) for p in opposite]
    else:
        corrected = np.split(holm(np.concatenate([*opposite, []])), np.cumsum([len(p) for p in opposite])[:-1])
    verdicts = []
    for row, against in zip(rows, corrected, strict=True):
        needed = [finding for finding in row.findings if finding.counts]
        shown = against <= alpha
        if not needed or any(finding.why or np.isnan(finding.p) for finding in needed):
            verdicts.append(NOT_TESTABLE)
        elif all(finding.p <= alpha for finding in needed):
            verdicts.append(SUPPORTED)
        elif (2 * shown.sum() > len(needed)) if by_majority else shown.any():
            verdicts.append(CONTRADICTED)
        else:
            verdicts.append(UNDECIDED)
    return verdicts, np.concatenate([*corrected, []])


MORE = {"groups": "more training queries", "runs": "more samplers", "curves": "more test queries"}
"""What would decide a test that seeds do not."""


QUERIES = f"more queries ({MOST_SEEDS} seeds on these would not)"
"""Queries, not seeds, limit what can be shown."""


def what_would_decide(row: Row, verdict: str, test: str, alpha: float, opposites: int) -> str:
    """What an undecided row of a claim's ``test`` waits for, or why it cannot be tested.

    ``opposites``: how many opposites are tested over the claim's rows, by which each is corrected.
    """
    if verdict == NOT_TESTABLE:
        return next((finding.why for finding in row.findings if finding.why), "one seed, no controls")
    if verdict != UNDECIDED:
        return ""
    seeds = [finding.seeds for finding in row.findings if finding.counts and not finding.p <= alpha]
    if np.isnan(seeds).any():
        return MORE.get(test, "a lower cost")
    against = [
        finding.seeds_against(alpha / opposites)
        for finding in row.findings
        if finding.seeds_against and not np.isnan(finding.p_opposite)
    ]
    supported, contradicted = max(seeds), min(against, default=np.inf)
    if np.isinf([supported, contradicted]).all():
        return QUERIES
    if supported <= contradicted:
        return f"{supported:.0f} seeds, to support it"
    return f"{contradicted:.0f} seeds, to contradict it"
