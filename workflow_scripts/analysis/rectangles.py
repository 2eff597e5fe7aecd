"""Rectangles of a grid of two dials: where it is additive, all of them are 0."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def rectangles(localities: int, entropies: int) -> dict[tuple[tuple[int, int], tuple[int, int]], np.ndarray]:
    """Two levels of each dial to what turning one changes about the other's effect: y11 - y12 - y21 + y22  # (cells,).

    The grid is additive exactly where all of them are 0.
    """
    found = {}
    for one in combinations(range(localities), 2):
        for other in combinations(range(entropies), 2):
            signs = np.zeros((localities, entropies))
            signs[np.ix_(one, other)] = [[1, -1], [-1, 1]]
            found[one, other] = signs.ravel()
    return found
