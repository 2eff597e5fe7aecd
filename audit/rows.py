"""What a table's second path gives, and a number that is known within an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from audit.sources import Sources

Rows = Iterator[tuple[int, dict]]
"""Index of a row and its recomputed columns."""
Recompute = Callable[[pd.DataFrame, dict, Sources], Rows]
"""A table's numbers and the settings that they were computed by, to its rows found again."""


class Near(float):
    """A number that two right computations may give differently, by ``error`` at most."""

    error: float

    def __new__(cls, value: float, error: float) -> Near:
        made = super().__new__(cls, value)
        made.error = error
        return made
