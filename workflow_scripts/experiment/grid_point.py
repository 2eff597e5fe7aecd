"""A ranker by its place in the grid: one trained student."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ranker:
    """One trained student: a point of the grid."""

    student: str
    loss: str
    sampler: str
    teacher: str
    seed: int

    @property
    def path(self) -> str:
        """Its folder below ``students/``, ``runs/`` and ``metrics/``."""
        return f"{self.student}/{self.loss}.{self.sampler}.{self.teacher}/seed{self.seed}"

    @property
    def cell(self) -> str:
        """Its name in ``cells/``, before the domain."""
        return f"{self.student}.{self.loss}.{self.sampler}.{self.teacher}.seed{self.seed}"
