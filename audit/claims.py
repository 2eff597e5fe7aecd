"""The claims table a second time: what was found for each part of each claim, and the verdict on each place."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pandas as pd

from audit.cell_claims import Cells, Part
from audit.contrasts import holm
from audit.measured_claims import curves, groups, runs
from audit.rows import Rows
from audit.sources import Sources

OF_CELLS = {"cells": Cells.cells, "factorial": Cells.factorial}
MEASURED = {"groups": groups, "runs": runs, "curves": curves}
MORE = {"groups": "more training queries", "runs": "more samplers", "curves": "more test queries"}


def claims(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Every part of every claim, and the verdict on its place."""
    cells, alpha = Cells(spec, sources), spec["rule"]["difference_alpha"]
    for name, claim in spec["claims"].items():
        test, indices = claim["test"], iter(frame.index[frame["claim"] == name])
        places = list(OF_CELLS[test](cells, claim) if test in OF_CELLS else MEASURED[test](claim, spec, sources))
        every = [part.p_opposite for parts in places for part in parts]
        corrected = iter(holm(every))
        if test == "curves":
            corrected = iter([p for parts in places for p in holm([part.p_opposite for part in parts])])
        opposites = sum(p == p for p in every)
        for parts in places:
            against = [next(corrected) for _ in parts]
            verdict, decided_by = _verdict(parts, against, test, alpha, opposites)
            for part, p in zip(parts, against, strict=True):
                found = {
                    column: value for column, value in vars(part).items() if column not in ("why", "seeds_against")
                }
                yield next(indices), found | {"p_opposite_holm": p, "verdict": verdict, "decided_by": decided_by}
        for index in indices:  # rows that nothing stands behind
            yield index, {"verdict": "no such part"}


def _verdict(
    parts: Sequence[Part], against: Sequence[float], test: str, alpha: float, opposites: int
) -> tuple[str, str]:
    """The verdict on a place, and what would decide it."""
    counting = [part for part in parts if part.counts]
    opposed = sum(p <= alpha for p in against)
    if not counting or any(part.why or part.p != part.p for part in counting):
        return "not testable here", next((part.why for part in parts if part.why), "one seed, no controls")
    if all(part.p <= alpha for part in counting):
        return "supported", ""
    if opposed > len(counting) / 2 if test == "curves" else opposed:
        return "contradicted", ""
    seeds = [part.seeds_needed for part in counting if not part.p <= alpha]
    if any(each != each for each in seeds):
        return "undecided", MORE.get(test, "a lower cost")
    refuting = [
        part.seeds_against(alpha / opposites)
        for part in parts
        if part.seeds_against and part.p_opposite == part.p_opposite
    ]
    few, refuted = max(seeds), min([*refuting, inf])
    if min(few, refuted) == inf:
        return "undecided", "more queries (100 seeds on these would not)"
    return (
        "undecided",
        f"{few:.0f} seeds, to support it" if few <= refuted else f"{refuted:.0f} seeds, to contradict it",
    )
