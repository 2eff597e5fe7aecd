"""Claims about cells a second time: each part's contrast, its p-values and the seeds that would show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from math import inf, nan
from statistics import fmean

import numpy as np

from audit.contrasts import Block, Domain
from audit.factorial import grid_of, rectangles
from audit.inference import ends, p_values
from audit.power import parts_of, reach
from audit.sources import Cell, Sources
from audit.tables import margin_of

BASIS = {True: "seeds", False: "one seed, controls"}


@dataclass(frozen=True)
class Part:
    """What was found for a part of a claim in one place, in the table's columns."""

    estimate: float = nan
    ci_low: float = nan
    ci_high: float = nan
    p: float = nan
    p_opposite: float = nan
    basis: str = ""
    seeds_needed: float = nan
    counts: bool = True
    why: str = ""
    seeds_against: Callable[[float], float] | None = None


class Untestable(Exception):
    """What the experiment does not have."""


class Cells:
    """Judges claims about cells: the places of each, a list of parts, in the table's order."""

    def __init__(self, spec: Mapping, sources: Sources) -> None:
        self.spec, self.sources, self.values = spec, sources, sources.values["metrics"]
        self.rule, self.measure = spec["rule"], spec["measure"]
        self.domains = {each["name"]: Domain.of(each) for each in spec["domains"]}
        self.apart = [name for name in self.domains if name not in spec["in_domain"]]

    def cells(self, claim: Mapping) -> Iterator[list[Part]]:
        """Contrasts of cells, a place a student, teacher and domain."""
        parts = claim["parts"]
        study = self.spec["cuts"] if any("cuts" in part for part in parts) else self.spec
        named = {name for part in parts for name in part.get("domains", [""])}
        if study is None or ("out-of-domain" in named and not self.apart):
            why = "no study of cuts" if study is None else "no domain out of the training collection's"
            yield [Part(why=why)]
            return
        places = (
            self.apart if "out-of-domain" in named else list(self.domains) if "" in named else self.spec["in_domain"]
        )
        for student, teacher, domain in product(study["students"], study["teachers"], places or [""]):
            yield [self._of_cells(part, student, teacher, domain) for part in parts]

    def _of_cells(self, part: Mapping, student: str, teacher: str, domain: str) -> Part:
        try:
            blocks = self._blocks(part, student, teacher)
            weights, margins = self._weights(part, domain)
        except Untestable as error:
            return Part(why=str(error))
        cells = [cell for block in blocks for cell in block]
        a = [coefficient for block in blocks for coefficient in block.values()]
        starts = np.cumsum([0, *map(len, blocks)]).tolist()
        places = [range(*ends) for ends in pairwise(starts)]
        seeds = (self.spec["cuts"] if "cuts" in part else self.spec)["seeds"]
        block = Block(self.values, cells, seeds, self.spec["controls"], blocks=places)
        margin = fmean(margin_of(self.values, place, self.measure, self.rule) for place in margins)
        found = self._judged(block, weights, a, part["shown"], margin, part["contradicts"])
        if part["cheaper"] and found.p == found.p and not self._cheaper(cells, a):
            return replace(found, p=1.0, seeds_needed=nan)
        return found

    def _judged(
        self, block: Block, weights: Mapping, a: Sequence[float], shown: str, margin: float, contradicts: bool = True
    ) -> Part:
        found = block.infer(weights, self.measure, a)
        if not found.known:
            return Part(found.estimate, why="the same on every query" if found.same else "")
        p, opposite = both_p(found.estimate, found.rows, shown, margin)
        low, high = ends(found.estimate, found.rows, self.rule["confidence"])
        basis = BASIS[len(block.seeds) > 1]
        if found.same:
            return Part(found.estimate, low, high, basis=basis, why="the same on every query")
        seeds, against = self._seeds(block, weights, a, found.estimate, shown, margin)
        opposite = opposite if contradicts else nan
        return Part(found.estimate, low, high, p, opposite, basis, seeds, seeds_against=against)

    def _seeds(
        self, block: Block, weights: Mapping, a: Sequence[float], mean: float, shown: str, margin: float
    ) -> tuple[float, Callable[[float], float]]:
        """Fewest seeds that would show the part in four of five, were the estimate the truth; and its opposite."""
        parts = parts_of(block, weights, self.measure, a, tested=True)
        involved = [len(each) for each in block.blocks if any(a[place] for place in each)]
        cells, alpha = max(sum(involved) - len(involved) + 1, 2), self.rule["difference_alpha"]
        tail, chance, distance = {
            "above 0": (alpha, 0.8, mean),
            "below 0": (alpha, 0.8, -mean),
            "not above margin": (alpha, 0.8, margin - mean),
            "not below margin": (alpha, 0.8, margin + mean),
            "within margin": (alpha, 0.9, margin - abs(mean)),
            "different from 0": (alpha / 2, 0.8, abs(mean)),
        }[shown]
        opposed = abs(mean) - margin if shown == "within margin" else -inf if shown == "different from 0" else -distance
        sides = 2 if shown == "within margin" else 1

        def fewest(room: float, level: float, power: float) -> float:
            return float(next((n for n in range(2, 101) if room >= reach(parts, cells, n, False, level, power)), inf))

        return fewest(distance, tail, chance), lambda level: fewest(opposed, level / sides, 0.8)

    def _blocks(self, part: Mapping, student: str, teacher: str) -> list[dict[Cell, float]]:
        """Coefficients of the cells that were trained, a block a loss (and of cuts a sampler)."""
        spec = self.spec["cuts"] if "cuts" in part else self.spec
        groups = {"distilling": self.spec["distilling"], "contrastive": self.spec["contrastive"], "": spec["losses"]}
        losses = _shared(part.get("losses", {"": 1}), groups, spec["losses"], "loss")
        if "cuts" in part:
            cuts, number = _shared(part["cuts"], {}, spec["cuts"], "cut"), len(spec["samplers"])
            blocks = [
                {
                    (student, loss, own[sampler], teacher): losses.get(loss, 0) * cuts.get(cut, 0) / number
                    for cut, own in spec["cuts"].items()
                }
                for loss, sampler in product(spec["losses"], spec["samplers"])
            ]
        else:
            groups = {"hard": self.spec["hard"], "": spec["samplers"]}
            samplers = _shared(part.get("samplers", {"": 1}), groups, spec["samplers"], "sampler")
            blocks = [
                {(student, loss, s, teacher): losses.get(loss, 0) * samplers.get(s, 0) for s in spec["samplers"]}
                for loss in spec["losses"]
            ]
        trained = [[cell for cell in block if self.values.stands(cell) in self.values.cells] for block in blocks]
        for block, there in zip(blocks, trained, strict=True):
            for cell in (cell for cell, coefficient in block.items() if coefficient and cell not in there):
                raise Untestable(f"{cell[2]} was not trained")
        return [{cell: block[cell] for cell in there} for block, there in zip(blocks, trained, strict=True)]

    def _weights(self, part: Mapping, domain: str) -> tuple[dict[str, float], list[Domain]]:
        own = self.spec["in_domain"]
        factors = part.get("domains", {"": 1})
        if "in-domain" in factors and not own:
            raise Untestable("no domain over the training collection's corpus")
        inside = [domain] if domain in own else own
        meant = {"": [domain], "out-of-domain": [domain], "in-domain": inside}
        found: dict[str, float] = {}
        margins = []
        for name, factor in factors.items():
            places = meant.get(name, [name])
            for place in places:
                if place not in self.domains:
                    raise Untestable(f"no domain {place}")
                for collection, weight in self.domains[place].weights.items():
                    found[collection] = found.get(collection, 0) + factor * weight / len(places)
            margins.append([self.domains[place] for place in places])
        return found, margins[0]

    def _cheaper(self, cells: Sequence[Cell], a: Sequence[float]) -> bool:
        costs, _ = self.sources.numbers("cost")
        rows = costs[costs["scope"] == "student"]
        columns = (rows[name].tolist() for name in ("student", "loss", "sampler", "teacher"))
        energy = dict(zip(zip(*columns, strict=True), rows["alone_wh"], strict=True))
        spent = [ai * energy[self.values.stands(cell)] for cell, ai in zip(cells, a, strict=True) if ai]
        return sum(each for each in spent if each > 0) < -sum(each for each in spent if each < 0)

    def factorial(self, claim: Mapping) -> Iterator[list[Part]]:
        """Every rectangle of the grid."""
        study = self.spec["factorial"]
        if study is None or len(study["seeds"]) < 3:
            yield [Part(why="a factorial of fewer than 3 seeds" if study else "no factorial study")]
            return
        for student, teacher, domain in product(study["students"], study["teachers"], self.domains.values()):
            block = grid_of(self.values, study, student, teacher)
            margin = study["interaction_margin"] * margin_of(self.values, domain, self.measure, self.rule)
            contrasts = (a for _, a in rectangles(study))
            judged = [self._judged(block, domain.weights, a, "within margin", margin) for a in contrasts]
            yield [replace(part, counts=not part.why) for part in judged]


def both_p(estimate: float, rows: Sequence, shown: str, margin: float) -> tuple[float, float]:
    """The p-value of what must be shown, and of its opposite."""
    at = {place: p_values(estimate, rows, place) for place in (0.0, margin, -margin)}
    found: dict[str, Callable[[], tuple[float, float]]] = {
        "above 0": lambda: (at[0.0]["above"], at[0.0]["not_above"]),
        "below 0": lambda: (at[0.0]["not_above"], at[0.0]["above"]),
        "different from 0": lambda: (at[0.0]["difference"], nan),
        "within margin": lambda: (at[margin]["equivalence"], at[margin]["beyond"]),
        "not above margin": lambda: (at[margin]["not_above"], at[margin]["above"]),
        "not below margin": lambda: (at[margin]["not_below"], at[-margin]["not_above"]),
    }
    return found[shown]()


def _shared(
    factor: Mapping[str, float], groups: Mapping, there: Sequence[str] | Mapping, what: str
) -> dict[str, float]:
    """Coefficient of each name, a group's shared by its members."""
    found: dict[str, float] = {}
    for name, coefficient in factor.items():
        members = groups.get(name, [name])
        for absent in [member for member in members if member not in there] or ([] if members else [name]):
            raise Untestable(f"no {what} {absent}")
        for member in members:
            found[member] = found.get(member, 0) + coefficient / len(members)
    return found
