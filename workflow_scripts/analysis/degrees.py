"""How much controls must know before the cells of their student have verdicts."""

LEAST_DEGREES = 8
"""Degrees of freedom of a student's controls (their further seeds, added up) below which they tell nothing."""
