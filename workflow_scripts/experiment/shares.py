"""Shares that jobs draw by and the planner checks: of a group's negatives, of a generated corpus' documents."""

from __future__ import annotations

import math

from workflow_scripts.storage.errors import InputError

ROUNDING = 0.0005
"""A share may be written with three decimals: 0.143 for one of seven."""
TEST_SOURCES = 1 / 8
"""Share of a generated corpus' documents that test and development queries are made from; the others are training's."""


def near_negatives(share: float, count: int) -> int:
    """How many of ``count`` negatives a share from 0 to 1 is; :class:`InputError` names the nearest ones where none."""
    wanted = round(share * count)
    if abs(wanted / count - share) > ROUNDING:
        below = math.floor(share * count)
        nearest = " or ".join(f"{n / count:.3g} ({n} of {count})" for n in (below, below + 1))
        raise InputError(f"a share of {share} must be a whole number of {count} negatives; set it to {nearest}")
    return wanted
