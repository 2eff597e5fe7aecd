"""What a table's second path gives, and a number that is known within the error of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from audit.sources import Sources

Rows = Iterator[tuple[int, dict]]
"""Index of a row and its recomputed columns."""
Recompute = Callable[[pd.DataFrame, dict, Sources], Rows]
"""A table's numbers and the settings that they were computed by, to its rows found again."""


class Simulated(float):
    """A number of a simulation; ``error``: what two of them may lie apart."""

    error: float

    def __new__(cls, value: float, error: float) -> Simulated:
        made = super().__new__(cls, value)
        made.error = error
        return made
