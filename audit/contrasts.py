"""Contrasts of trained cells from recomputed values, one by one: estimate, rows of variance, p-values, verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np

from audit.inference import Row, by_members, ends, p_values, rows_of
from audit.sources import NO_TEACHER, Cell, Values

LEAST_DEGREES = 8
"""Degrees of freedom that a student's controls need, see docs/inference.md."""


@dataclass(frozen=True)
class Domain:
    """A domain's members: a name and its collections each."""

    name: str
    members: Sequence[tuple[str, Sequence[str]]]

    @classmethod
    def of(cls, spec: Mapping) -> Domain:
        """From a table's settings."""
        members = spec["collections"]
        return cls(spec["name"], [(m, [m]) if isinstance(m, str) else (m["name"], m["collections"]) for m in members])

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each collection's mean."""
        return {part: 1 / len(self.members) / len(parts) for _, parts in self.members for part in parts}

    @property
    def entities(self) -> dict[str, dict[str, float]]:
        """Whatever has a row: its collections with their weights."""
        found = {part: {part: 1.0} for _, parts in self.members for part in parts}
        found |= {name: {part: 1 / len(parts) for part in parts} for name, parts in self.members}
        return found | {"all": self.weights}


@dataclass
class Block:
    """Cells that are compared with one another, over seeds and queries, with the controls of an experiment of one seed.

    ``blocks``: places of the cells of each block; by default all are one.
    """

    values: Values
    cells: Sequence[Cell]
    seeds: Sequence[int]
    controls: Sequence[Mapping]
    minus: Values | None = None
    """Where given, values are ``values`` less these."""
    blocks: Sequence[Sequence[int]] = field(default=())

    def __post_init__(self) -> None:
        self.blocks = self.blocks or [range(len(self.cells))]
        self._tables: dict = {}

    def table(self, cell: Cell, seeds: Sequence[int], collection: str, measure: str) -> np.ndarray:
        """Seeds x queries of a cell, rounded as the project rounds."""
        found = []
        for seed in seeds:
            of = self.values.of(cell, seed, collection, measure)
            less = self.minus.of(cell, seed, collection, measure) if self.minus else dict.fromkeys(of, 0.0)
            found.append([of[query] - less[query] for query in sorted(of)])
        return np.round(found, 12)

    def infer(self, domain_or_weights: Domain | Mapping, measure: str, a: Sequence[float]) -> Found:
        """A contrast; of a domain whose members are a sample of collections, or of a weighted mean over these."""
        sampled = isinstance(domain_or_weights, Domain)
        weights = domain_or_weights.weights if sampled else domain_or_weights
        y: dict = self.values_of(weights, measure)
        controls = self.controlled(weights, measure)
        if sampled:
            members = [{c: 1 / len(parts) for c in parts} for _, parts in domain_or_weights.members]
            y, weights = by_members(y, members), {"members": 1.0}
            controls = [(places, [_members(cell, members) for cell in cells]) for places, cells in controls]
        zero = all((np.round(np.tensordot(a, y[c], axes=1), 12) == 0).all() for c in weights)
        covered = {place for places, _ in controls for place in places}
        known = len(self.seeds) > 1 or all(a[i] == 0 or i in covered for block in self.blocks for i in block)
        estimate, *rows, of_queries = rows_of(y, weights, a, self.blocks, controls if known else [])
        return Found(round(estimate, 12), [*rows, of_queries] if sampled else rows, zero, known)

    def values_of(self, collections: Mapping, measure: str) -> dict:
        """Collection to cells x seeds x queries."""
        for key in [(c, measure) for c in collections if (c, measure) not in self._tables]:
            self._tables[key] = np.stack([self.table(cell, self.seeds, *key) for cell in self.cells])
        return {c: self._tables[c, measure] for c in collections}

    def controlled(self, weights: Mapping, measure: str) -> list[tuple[list[int], list[dict]]]:
        """Of each student with enough controls: the places that they speak for, and their seeds x queries."""
        key = ("controls", *sorted(weights), measure)
        if key not in self._tables:
            self._tables[key] = list(self._controlled(weights, measure))
        return self._tables[key]

    def _controlled(self, weights: Mapping, measure: str) -> Iterator[tuple[list[int], list[dict]]]:
        for student in {control["student"]: None for control in self.controls} if len(self.seeds) == 1 else ():
            own = [control for control in self.controls if control["student"] == student]
            teachers = {control["teacher"] for control in own}
            losses = {(control["loss"], control["teacher"]) for control in own}
            places = []
            for place in sorted({place for block in self.blocks for place in block}):
                kind, loss, _, teacher = self.values.stands(self.cells[place])
                of_loss = {(loss, teacher), (loss, NO_TEACHER)} & losses
                if kind == student and of_loss and teacher in {*teachers, NO_TEACHER}:
                    places.append(place)
            if places and sum(len(control["seeds"]) - 1 for control in own) >= LEAST_DEGREES:
                keys = [(tuple(c[k] for k in ("student", "loss", "sampler", "teacher")), c["seeds"]) for c in own]
                yield places, [{c: self.table(*key, c, measure) for c in weights} for key in keys]


def _members(cell: Mapping, members: Sequence[Mapping]) -> dict:
    """A cell's seeds x members."""
    return {"members": by_members({c: [table] for c, table in cell.items()}, members)["members"][0]}


@dataclass(frozen=True)
class Found:
    """A contrast's estimate and rows; ``same``: 0 on every query; ``known``: what training again changes is."""

    estimate: float
    rows: Sequence[Row]
    same: bool
    known: bool

    @property
    def tested(self) -> bool:
        """Whether it has a verdict of its own."""
        return self.known and not self.same

    def half(self, confidence: float) -> float:
        """Half the width of the widest interval."""
        low, high = ends(0.0, self.rows, confidence)
        return (high - low) / 2

    def columns(self, margin: float, rule: Mapping) -> dict[str, float]:
        """What does not hang on the family."""
        if not self.tested:
            return dict.fromkeys(("ci_low", "ci_high", "smallest_margin", "p_difference", "p_equivalence"), nan)
        p, (low, high) = p_values(self.estimate, self.rows, margin), ends(self.estimate, self.rows, rule["confidence"])
        smallest = abs(self.estimate) + self.half(1 - 2 * rule["alpha"])
        return {
            **{"ci_low": low, "ci_high": high, "smallest_margin": smallest},
            **{"p_difference": p["difference"], "p_equivalence": p["equivalence"]},
        }


def family(found: Sequence[Found], margin: float, rule: Mapping) -> list[dict]:
    """Columns of the verdicts of a family, with Holm's correction over those that are tested."""
    rows = [each.columns(margin, rule) for each in found]
    for name in ("p_difference", "p_equivalence"):
        for row, p in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[f"{name}_holm"] = p
    for row, each in zip(rows, found, strict=True):
        row["margin"] = margin
        row["outcome"] = _outcome(each, row, rule)
    return rows


def _outcome(found: Found, row: Mapping, rule: Mapping) -> str:
    if found.same:
        return "same"
    if not found.known:
        return "one seed"
    if row["p_equivalence_holm"] <= rule["alpha"]:
        return "equivalent"
    return "different" if row["p_difference_holm"] <= rule["difference_alpha"] else "undecided"


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p-values; NaN is not of the family."""
    found, reached = [nan] * len(p), 0.0
    tested = sorted((each, place) for place, each in enumerate(p) if each == each)
    for number, (each, place) in enumerate(tested):
        reached = max(reached, min(1.0, each * (len(tested) - number)))
        found[place] = reached
    return found
