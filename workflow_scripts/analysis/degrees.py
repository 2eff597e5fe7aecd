"""How much controls must know before the cells of their student have verdicts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

LEAST_DEGREES = 8
"""Degrees of freedom of a student's controls (their further seeds, added up) below which they tell nothing."""


def student_degrees(controls: Sequence[Mapping]) -> dict[str, int]:
    """Degrees of freedom of each student's controls, cells with their ``seeds``."""
    found: dict[str, int] = {}
    for control in controls:
        found[control["student"]] = found.get(control["student"], 0) + len(control["seeds"]) - 1
    return found


def training_is_told(seeds: Collection, controls: Sequence[Mapping]) -> bool:
    """Whether anything tells what training again changes: several seeds, or enough controls of some student."""
    return len(seeds) > 1 or max(student_degrees(controls).values(), default=0) >= LEAST_DEGREES
