"""Trained cells side by side, and contrasts of them over seeds and queries: every table's tests go through here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from workflow_scripts.analysis.degrees import LEAST_DEGREES
from workflow_scripts.analysis.domains import ALL, Domain
from workflow_scripts.analysis.inference import Estimates, infer, infer_new_collections, member_means
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.training_noise import TrainingNoise, training_noise
from workflow_scripts.storage.ids import NO_TEACHER


@dataclass(frozen=True)
class ComparedCells:
    """Cells by place, each trained once a seed or a reference; their blocks, and controls where there is one seed.

    ``blocks``: lists of places, the cells that are compared with one another; a reference is in none. ``controls``:
    cells that were trained again, each {student, loss, sampler, teacher, seeds}, the main seed among its seeds; they
    are not read where ``seeds`` are several. They speak for the cells of their student whose loss has a control and
    whose teacher, if they read one, has one too; and only with :data:`LEAST_DEGREES` or more in all.
    """

    values: QueryValues
    cells: Sequence[RankerKey]
    blocks: Sequence[Sequence[int]]
    seeds: Sequence[int]
    controls: Sequence[Mapping] = field(default=())

    def contrast(self, coefficients: Mapping[RankerKey, float]) -> np.ndarray:
        """Coefficients of the named cells as a row of contrasts  # (cells,); cells named twice add up."""
        row = np.zeros(len(self.cells))
        for cell, coefficient in coefficients.items():
            row[self.cells.index(cell)] += coefficient
        return row

    def pairs(self) -> np.ndarray:
        """Contrasts of every two cells of each block, the first minus the second  # (pairs, cells)."""
        identity = np.eye(len(self.cells))
        found = [identity[one] - identity[other] for block in self.blocks for one, other in combinations(block, 2)]
        return np.array(found).reshape(-1, len(self.cells))

    def infer(self, weights: Mapping[str, float], measure: str, contrasts: np.ndarray) -> Estimates:
        """Contrasts of the weighted mean over collections, these and no others; see :func:`inference.infer`."""
        arrays = self.arrays(weights, measure)
        return infer(arrays, weights, contrasts, self.blocks, self.noise(weights, measure))

    def infer_new_collections(self, domain: Domain, measure: str, contrasts: np.ndarray) -> Estimates | None:
        """Contrasts with the domain's members as a sample of collections; None for fewer than three members."""
        if len(domain.members) < 3:
            return None
        arrays = self.arrays(domain.collections, measure)
        noise = [
            training_noise(places, [{ALL: member_means(cell, domain)} for cell in cells], {ALL: 1.0})
            for places, cells in self._controlled(domain.collections, measure)
        ]
        return infer_new_collections(arrays, domain, contrasts, self.blocks, noise)

    def noise(self, weights: Mapping[str, float], measure: str) -> list[TrainingNoise]:
        """Each student's noise of training by its controls; empty for several seeds."""
        return [training_noise(places, cells, weights) for places, cells in self._controlled(weights, measure)]

    def arrays(self, collections: Mapping | Sequence[str], measure: str) -> dict[str, np.ndarray]:
        """Collection to the values  # (cells, seeds, queries); a reference's, the mean of its seeds, repeat."""
        trained = {place for block in self.blocks for place in block}
        found = {}
        for name in collections:
            rows = []
            for place, cell in enumerate(self.cells):
                if place in trained:
                    rows.append(self._table(cell, self.seeds, name, measure))
                else:
                    mean = self.values.of(cell, self.values.seeds(cell), name, measure)
                    rows.append(np.tile(mean, (len(self.seeds), 1)))
            found[name] = np.stack(rows)
        return found

    def means(self, weights: Mapping[str, float], measure: str) -> np.ndarray:
        """The weighted mean over the collections of each cell and seed  # (cells, seeds)."""
        arrays = self.arrays(weights, measure)
        return sum(weight * arrays[name].mean(axis=2) for name, weight in weights.items())

    def _table(self, cell: RankerKey, seeds: Sequence[int], collection: str, measure: str) -> np.ndarray:
        """Values of a cell  # (seeds, queries)."""
        return np.stack([self.values.of(cell, [seed], collection, measure) for seed in seeds])

    def _controlled(
        self, collections: Mapping | Sequence[str], measure: str
    ) -> list[tuple[list[int], list[dict[str, np.ndarray]]]]:
        """Of each student with enough controls: the places that these speak for, and the control cells' values."""
        if len(self.seeds) > 1:
            return []
        found = []
        for student in dict.fromkeys(control["student"] for control in self.controls):
            own = [control for control in self.controls if control["student"] == student]
            places = [place for block in self.blocks for place in block if self._speaks_for(own, self.cells[place])]
            if places and sum(len(control["seeds"]) - 1 for control in own) >= LEAST_DEGREES:
                cells = [
                    {name: self._table(_key(control), control["seeds"], name, measure) for name in collections}
                    for control in own
                ]
                found.append((sorted(set(places)), cells))
        return found

    def _speaks_for(self, controls: Sequence[Mapping], cell: RankerKey) -> bool:
        """Whether a student's controls speak for a cell of it, see :class:`ComparedCells`."""
        student, loss, _, teacher = self.values.standing_at(cell)
        teachers = (teacher, NO_TEACHER)
        of_loss = any(control["loss"] == loss and control["teacher"] in teachers for control in controls)
        of_teacher = teacher == NO_TEACHER or any(control["teacher"] == teacher for control in controls)
        return controls[0]["student"] == student and of_loss and of_teacher


def _key(control: Mapping) -> RankerKey:
    return control["student"], control["loss"], control["sampler"], control["teacher"]
