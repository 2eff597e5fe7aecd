"""Claims about the effectiveness of cells: contrasts of losses, samplers, cuts and domains, and rectangles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise, product

import numpy as np

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.power import (
    MOST_SEEDS,
    Design,
    Pilot,
    detectable_difference,
    one_sided_reach,
    pilots,
    smallest_margin,
)
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.rectangles import rectangles
from workflow_scripts.claims.verdicts import Finding, Row, p_values
from workflow_scripts.presentation.contrasts import contrast_in_words

DISTILLING, CONTRASTIVE, HARD = "distilling", "contrastive", "hard"
IN_DOMAIN, OUT_OF_DOMAIN = "in-domain", "out-of-domain"
WITHIN = "within margin"
ALIKE = "the same on every query"
FACTORIAL_SEEDS = 3
"""Fewest seeds of a factorial that is judged."""


class NotTestable(Exception):
    """Why an experiment cannot test a part of a claim."""


class CellClaims:
    """Judges claims about cells on one experiment, whose names and numbers are in ``spec``.

    ``spec``: axes of the main grid, ``distilling`` and ``contrastive`` losses, ``hard`` samplers, ``in_domain``
    domains, ``measure``, ``rule``, ``controls``, ``cuts`` and ``factorial`` (these studies, or null). ``energies``:
    watt-hours of each ranker bought alone.
    """

    def __init__(
        self, spec: Mapping, values: QueryValues, domains: Sequence[Domain], energies: Mapping[RankerKey, float]
    ) -> None:
        self.spec, self.values, self.energies = spec, values, energies
        self.domains = {domain.name: domain for domain in domains}
        self.rule = Rule(**spec["rule"])

    def rows(self, claim: Mapping) -> Iterator[Row]:
        """A row a student, teacher and domain; of domains out of the training collection's where a part names such."""
        study = self.spec["cuts"] if any("cuts" in part for part in claim["parts"]) else self.spec
        named = {name for part in claim["parts"] for name in part.get("domains", {"": 1})}
        if study is None or (OUT_OF_DOMAIN in named and not self._out_of_domain):
            why = "no study of cuts" if study is None else "no domain out of the training collection's"
            yield Row("", findings=[Finding("", why=why)])
            return
        places = list(self.domains) if "" in named else self.spec["in_domain"]
        if OUT_OF_DOMAIN in named:
            places = self._out_of_domain
        for student, teacher, domain in product(study["students"], study["teachers"], places or [""]):
            findings = [
                replace(self._finding(part, student, teacher, domain), number=number, predicted=part["shown"])
                for number, part in enumerate(claim["parts"])
            ]
            yield Row(teacher, student, domain, findings)

    @property
    def _out_of_domain(self) -> list[str]:
        return [name for name in self.domains if name not in self.spec["in_domain"]]

    def _finding(self, part: Mapping, student: str, teacher: str, domain: str) -> Finding:
        text = contrast_in_words(part)
        try:
            cells, contrast = self._contrast(part, student, teacher)
            weights, places = self._weights(part, domain)
        except NotTestable as error:
            return Finding(text, why=str(error))
        margin = float(np.mean([self.rule.margin_for(self.values, place, self.spec["measure"]) for place in places]))
        judged = self._judged(text, cells, contrast, weights, part["shown"], margin, contradicts=part["contradicts"])
        return self._with_cost(judged, cells, contrast) if part["cheaper"] else judged

    def _judged(
        self,
        text: str,
        cells: ComparedCells,
        contrast: np.ndarray,
        weights: Mapping[str, float],
        shown: str,
        margin: float,
        *,
        contradicts: bool = True,
    ) -> Finding:
        """One contrast of cells as a finding, with the seeds that would show it."""
        found = cells.infer(weights, self.spec["measure"], contrast[None])
        p, opposite = p_values(found, shown, margin, contradicts=contradicts)
        low, high = (float(end[0]) for end in found.interval(self.rule.confidence))
        mean, seeds, against = float(found.mean[0]), np.nan, None
        if found.tested[0]:
            # The cells of the blocks that have a part in it: what their seeds leave as degrees of freedom.
            involved = sum(len(block) - 1 for block in cells.blocks if contrast[list(block)].any()) + 1
            # A sampler that varies more than its block counts with what is its own.
            components = replace(found.components, training=found.components.most_training)
            (pilot,) = pilots(components, max(involved, 2))
            plan = partial(seeds_that_show, pilot, mean, shown, margin)
            seeds, against = plan(self.rule.difference_alpha), partial(plan, opposite=True)
        basis, why = found.basis if found.known[0] else "", ALIKE if found.same[0] else ""
        return Finding(
            text, mean, low, high, p, opposite, basis, seeds, why=why, predicted=shown, seeds_against=against
        )

    def _with_cost(self, judged: Finding, cells: ComparedCells, contrast: np.ndarray) -> Finding:
        """The finding with what its cells cost; not shown where those with positive coefficients cost no less."""
        named = zip(cells.cells, contrast, strict=True)
        energy = np.array([self.energies[self.values.standing_at(cell)] if sign else 0.0 for cell, sign in named])
        less, more = float(contrast.clip(min=0) @ energy), float(-contrast.clip(max=0) @ energy)
        judged = replace(judged, part=f"{judged.part} ({less:.3g} for {more:.3g} Wh)")
        return judged if less < more or np.isnan(judged.p) else replace(judged, p=1.0, seeds=np.nan)

    def _contrast(self, part: Mapping, student: str, teacher: str) -> tuple[ComparedCells, np.ndarray]:
        """The cells of a student and teacher in their blocks, and a part's coefficients of them  # (cells,)."""
        spec = self.spec["cuts"] if "cuts" in part else self.spec
        groups = {DISTILLING: self.spec["distilling"], CONTRASTIVE: self.spec["contrastive"], "": spec["losses"]}
        of_loss = spread(part.get("losses", {"": 1}), groups, spec["losses"], "loss")
        blocks: list[dict[RankerKey, float]] = []
        if "cuts" in part:
            of_cut = spread(part["cuts"], {}, list(spec["cuts"]), "cut")
            for loss, sampler in product(spec["losses"], spec["samplers"]):
                share = of_loss.get(loss, 0.0) / len(spec["samplers"])
                cuts = {own[sampler]: of_cut.get(cut, 0.0) for cut, own in spec["cuts"].items()}
                blocks.append({(student, loss, name, teacher): share * value for name, value in cuts.items()})
        else:
            members = {HARD: spec["hard"], "": spec["samplers"]}
            of_sampler = spread(part.get("samplers", {"": 1}), members, spec["samplers"], "sampler")
            for loss in spec["losses"]:
                share, samplers = of_loss.get(loss, 0.0), {name: of_sampler.get(name, 0.0) for name in spec["samplers"]}
                blocks.append({(student, loss, name, teacher): share * value for name, value in samplers.items()})
        return self._compared(blocks, spec["seeds"])

    def _compared(
        self, blocks: Sequence[Mapping[RankerKey, float]], seeds: Sequence[int]
    ) -> tuple[ComparedCells, np.ndarray]:
        """Cells of the blocks that were trained; :class:`NotTestable` where one with a coefficient was not."""
        for cell, coefficient in (item for block in blocks for item in block.items()):
            if coefficient and not self.values.measured(cell):
                raise NotTestable(f"{cell[2]} was not trained")
        kept = [[cell for cell in block if self.values.measured(cell)] for block in blocks]
        cells, starts = [cell for block in kept for cell in block], np.cumsum([0, *map(len, kept)])
        places = [range(first, last) for first, last in pairwise(starts)]
        compared = ComparedCells(self.values, cells, places, seeds, self.spec["controls"])
        coefficients = {cell: value for block in blocks for cell, value in block.items()}
        return compared, np.array([coefficients[cell] for cell in cells])

    def _weights(self, part: Mapping, domain: str) -> tuple[dict[str, float], list[Domain]]:
        """Weights of the collections, signed where domains are compared, and the domains whose mean margin counts.

        In-domain is the row's domain where that is one, else the mean over all of them.
        """
        own, factor = self.spec["in_domain"], part.get("domains", {"": 1})
        if not own and IN_DOMAIN in factor:
            raise NotTestable("no domain over the training collection's corpus")
        named = {"": [domain], OUT_OF_DOMAIN: [domain], IN_DOMAIN: [domain] if domain in own else own}
        places = {name: named.get(name, [name]) for name in factor}
        weights: dict[str, float] = {}
        for name, place in ((name, place) for name, members in places.items() for place in members):
            if place not in self.domains:
                raise NotTestable(f"no domain {place}")
            for collection, weight in self.domains[place].weights.items():
                weights[collection] = weights.get(collection, 0.0) + factor[name] * weight / len(places[name])
        return weights, [self.domains[place] for place in places[next(iter(factor))]]

    def factorial_rows(self) -> Iterator[Row]:
        """A row a student, teacher and domain of the factorial study: a part for every rectangle of its grid."""
        study = self.spec["factorial"]
        if study is None or len(study["seeds"]) < FACTORIAL_SEEDS:
            why = f"a factorial of fewer than {FACTORIAL_SEEDS} seeds" if study else "no factorial study"
            yield Row("", findings=[Finding("", why=why)])
            return
        samplers, losses, measure = study["samplers"], study["losses"], self.spec["measure"]
        grid = rectangles(len(samplers), len(losses))
        for student, teacher, domain in product(study["students"], study["teachers"], self.domains.values()):
            named = [(student, loss, sampler, teacher) for sampler, loss in product(samplers, losses)]
            cells = ComparedCells(self.values, named, [range(len(named))], study["seeds"])
            margin = study["interaction_margin"] * self.rule.margin_for(self.values, domain, measure)
            findings = []
            for ((i, j), (k, m)), contrast in grid.items():
                text = f"{samplers[i]}, {samplers[j]} x {losses[k]}, {losses[m]}"
                judged = self._judged(text, cells, contrast, domain.weights, WITHIN, margin)
                findings.append(replace(judged, counts=not judged.why))
            yield Row(teacher, student, domain.name, findings)


def spread(factor: Mapping[str, float], groups: Mapping[str, Sequence[str]], there: Sequence[str], what: str) -> dict:
    """Coefficient of each name: a group's is shared by its members; :class:`NotTestable` names what is not there."""
    found: dict[str, float] = {}
    for name, coefficient in factor.items():
        members = groups.get(name, [name])
        if not members or any(member not in there for member in members):
            absent = next((member for member in members if member not in there), name)
            raise NotTestable(f"no {what} {absent}")
        for member in members:
            found[member] = found.get(member, 0.0) + coefficient / len(members)
    return found


def seeds_that_show(
    pilot: Pilot, mean: float, shown: str, margin: float, alpha: float, *, opposite: bool = False
) -> float:
    """Fewest seeds, of two or more, that would show a contrast (or its ``opposite``), were its estimate the truth.

    Infinite for too many.
    """
    distance = {"above 0": mean, "below 0": -mean, "not above margin": margin - mean, "not below margin": margin + mean}
    reach = one_sided_reach
    if shown in distance:
        room = -distance[shown] if opposite else distance[shown]
    elif shown == WITHIN and opposite:
        room, alpha = abs(mean) - margin, alpha / 2  # beyond the margin on either side
    elif shown == WITHIN:
        room, reach = margin - abs(mean), partial(smallest_margin, in_family=False)
    elif opposite:
        return np.inf
    else:
        room, reach = abs(mean), partial(detectable_difference, in_family=False)
    return next((seeds for seeds in range(2, MOST_SEEDS + 1) if room >= reach(pilot, Design(seeds), alpha)), np.inf)
