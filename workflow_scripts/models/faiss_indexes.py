"""Faiss indexes that dense retrieval supports, by their factory strings. Imports nothing: the planner reads it."""

from __future__ import annotations

import re

SUPPORTED = "Flat, and IVF{cells},{codes} with the codes Flat, SQ8, PQ{parts} or PQ{parts}x{bits}: IVF256,Flat"
"""Whose results depend on the data alone. Of a graph (HNSW) they depend on the order in which threads insert."""
_PATTERN = re.compile(r"Flat|IVF[1-9]\d*,(Flat|SQ8|PQ[1-9]\d*(x[1-9]\d*)?)")


def is_supported(factory: str) -> bool:
    """Is this the factory string of an index that is supported?"""
    return _PATTERN.fullmatch(factory) is not None
