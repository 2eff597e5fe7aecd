"""Points of the grid, and the one place that says which students read a teacher."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from workflow_scripts.storage.ids import NO_TEACHER

AXES = ("students", "losses", "samplers", "teachers", "seeds")


@dataclass(frozen=True)
class GridPoint:
    """One place of a table, or one trained student: see :func:`trained_at`."""

    student: str
    loss: str
    sampler: str
    teacher: str
    seed: int

    @property
    def path(self) -> str:
        """A student's folder below ``students/``, ``runs/`` and ``metrics/``."""
        return f"{self.student}/{self.loss}.{self.sampler}.{self.teacher}/seed{self.seed}"

    @property
    def cell(self) -> str:
        """A student's name in ``cells/``, before the domain."""
        return f"{self.student}.{self.loss}.{self.sampler}.{self.teacher}.seed{self.seed}"


def in_grid(config: Mapping, axis: str) -> list:
    """Ids of an axis that are of the main grid, in the order of the config."""
    return [name for name in config[axis] if axis == "seeds" or config[axis][name]["in_grid"]]


def grids(config: Mapping) -> list[Mapping[str, list]]:
    """Axes of the main grid and of each study, as the config names them."""
    return [{axis: in_grid(config, axis) for axis in AXES}, *config["studies"].values()]


def points(axes: Mapping[str, list]) -> Iterator[GridPoint]:
    """Every point of the axes, seeds fastest."""
    return itertools.starmap(GridPoint, itertools.product(*(axes[axis] for axis in AXES)))


def trained_at(point: GridPoint, config: Mapping) -> GridPoint:
    """The student that stands at a point: one that reads no teacher is trained once and stands at every teacher's.

    A teacher is read by a loss, by a sampler, and by an entropy cut of a sampler's groups.
    """
    reads = config["losses"][point.loss]["reads_teacher"] or config["samplers"][point.sampler]["reads_teacher"]
    return point if reads else replace(point, teacher=NO_TEACHER)
