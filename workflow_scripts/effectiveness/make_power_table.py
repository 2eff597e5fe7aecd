"""Compute the power table: what each block of samplers could have shown, and what would decide its undecided pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import LEAST_DEGREES, ComparedCells
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.equivalence import BLOCK, Rule, sampler_blocks
from workflow_scripts.analysis.families import UNDECIDED
from workflow_scripts.analysis.power import (
    Design,
    Pilot,
    detectable_difference,
    median_pilot,
    pilots,
    seeds_to_decide,
    smallest_margin,
)
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_numbers, write_numbers

OF_BLOCK, OF_PAIR = "block", "pair"
PLANNED = (1, 3, 5, 10)
"""Seeds that every block is planned for, beside its own."""
COLUMNS = (
    *("scope", *BLOCK, "seeds", "is_own", "difference_alone", "difference_family", "margin_alone", "margin_family"),
    *("n_pairs", "sampler_a", "sampler_b", "mean_difference", "margin", "seeds_needed"),
)


def make_power_table(*, spec: Mapping, metrics: Path, equivalence: Path, output: Path) -> None:
    """Write the numbers, columns :data:`COLUMNS`.

    A row of the scope ``block`` is a block and a number of seeds, its own (``is_own``) or one of :data:`PLANNED`: the
    detectable difference and the smallest margin (:mod:`workflow_scripts.analysis.power`), for one pair alone and in
    its family, planned from the medians over the block's pairs. A row of the scope ``pair`` is an undecided pair:
    ``seeds_needed`` would decide it, were the estimated difference the true one; NaN for more than anyone trains.

    ``spec``: as the equivalence table's. ``equivalence``: numbers of that table.
    """
    grid, domains, rule = Grid.of(spec), parse_domains(spec["domains"]), Rule(**spec["rule"])
    values = QueryValues(metrics, spec["measures"])
    compared = dict(iter(read_numbers(equivalence)[0].groupby(list(BLOCK), sort=False)))
    rows: list[dict] = []
    for block, cells in sampler_blocks(values, grid, spec["controls"]):
        for domain, measure in product(domains, spec["measures"]):
            key = (*block, domain.name, measure)
            if key in compared:
                named = dict(zip(BLOCK, key, strict=True))
                rows += [named | row for row in _rows(cells, domain, compared[key], rule, len(grid.losses))]
    write_numbers(output, pd.DataFrame(rows, columns=list(COLUMNS)), spec)


def _rows(
    cells: ComparedCells, domain: Domain, compared: pd.DataFrame, rule: Rule, losses: int
) -> Iterator[dict[str, object]]:
    """Of one block; none where nothing tells what training again changes."""
    found = cells.infer(domain.weights, compared["measure"].iloc[0], cells.pairs())
    tested = found.tested
    if not tested.any():
        return
    of_pairs = pilots(found.components, len(cells.cells))
    pilot = median_pilot([each for each, is_tested in zip(of_pairs, tested, strict=True) if is_tested])
    own = Design(len(cells.seeds), float(found.components.seed_degrees[0]))
    for design in _designs(own, losses):
        yield {"scope": OF_BLOCK, "is_own": design is own, "n_pairs": int(tested.sum()), **_reach(pilot, design, rule)}
    for pair, row in zip(of_pairs, compared.itertuples(), strict=True):
        if row.outcome == UNDECIDED:
            alphas = {"alpha": rule.alpha, "difference_alpha": rule.difference_alpha}
            needed = seeds_to_decide(pair, row.mean_difference, row.margin, **alphas)
            yield {
                **{"scope": OF_PAIR, "sampler_a": row.sampler_a, "sampler_b": row.sampler_b},
                **{"mean_difference": row.mean_difference, "margin": row.margin},
                "seeds_needed": np.nan if needed is None else needed,
            }


def _designs(own: Design, losses: int) -> Sequence[Design]:
    """The block's own, then those planned; one seed only where two controls a loss are enough."""
    degrees = own.control_degrees if own.seeds == 1 else 2.0 * losses
    planned = [Design(seeds, degrees) for seeds in PLANNED if seeds != own.seeds]
    return [own, *(design for design in planned if design.seeds > 1 or degrees >= LEAST_DEGREES)]


def _reach(pilot: Pilot, design: Design, rule: Rule) -> dict[str, float]:
    alphas = {"difference": (detectable_difference, rule.difference_alpha), "margin": (smallest_margin, rule.alpha)}
    reach = {
        f"{name}_{where}": function(pilot, design, alpha, in_family=where == "family")
        for name, (function, alpha) in alphas.items()
        for where in ("alone", "family")
    }
    return {"seeds": design.seeds, **reach}


if __name__ == "__main__":
    run(make_power_table)
