"""Compute the main table: effectiveness of every sampler x loss x student beside BM25 and the teacher, by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bands import noise_band
from workflow_scripts.analysis.domains import ALL, Domain, parse_domains
from workflow_scripts.analysis.equivalence import BLOCK, sampler_blocks, sampler_letters
from workflow_scripts.analysis.families import DIFFERENT, SAME
from workflow_scripts.analysis.measure_names import orders_candidates
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid, entities, summarise, with_intervals
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_numbers, write_numbers

FAMILY = ("tested", "different", "largest_p", "basis")
"""Of a block's pairs of samplers: how many were tested and are different, the largest p of these, what it rests on."""


def make_main_table(*, spec: Mapping, metrics: Path, equivalence: Path, output: Path) -> None:
    """Write the numbers: the columns of :func:`~workflow_scripts.analysis.summaries.summarise` with intervals; of the
    students ``noise_band`` and, on whole domains, ``letters`` and :data:`FAMILY`.

    ``spec``: the lists ``students``, ``losses``, ``samplers``, ``teachers``, ``seeds``, ``domains`` ([{name,
    collections}]) and ``measures``, each in the order of the rows, ``bootstrap`` (samples, seed, confidence),
    ``controls`` and ``depth`` as in the equivalence table. Rankers in the metrics that the lists do not name are left
    out; one that they name and the metrics lack is an :class:`InputError`. ``equivalence``: numbers of the equivalence
    table, whose outcomes are the letters.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = spec["measures"]
    values = QueryValues(metrics, measures)
    table = with_intervals(summarise(values, grid, domains, measures), values, grid, domains, spec["bootstrap"])
    comparisons, _ = read_numbers(equivalence)
    table["letters"] = _letters(table, comparisons)
    compared = [name for name in measures if orders_candidates(name, spec["depth"])] if len(grid.samplers) > 1 else []
    bands = _bands_of_domains(comparisons) | _bands_of_members(values, grid, domains, compared, spec)
    keys = table[["student", "loss", "teacher", "domain", "collection", "measure"]].itertuples(index=False, name=None)
    table["noise_band"] = [bands.get(key, np.nan) for key in keys]
    families = pd.DataFrame([_family(*each) for each in comparisons.groupby(list(BLOCK))], columns=[*BLOCK, *FAMILY])
    write_numbers(output, table.merge(families.assign(collection=ALL), how="left", on=[*BLOCK, "collection"]), spec)


def _letters(table: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """Letters of each row; empty but for a student on a whole domain in a block with verdicts."""
    rows = table[(table["collection"] == ALL) & (table["loss"] != "")]
    compared = set(comparisons["measure"])
    means: dict[tuple, dict[str, float]] = {}
    for *block, sampler, mean in rows[[*BLOCK, "sampler", "mean"]].itertuples(index=False):
        if block[-1] in compared:
            means.setdefault(tuple(block), {})[sampler] = mean
    letters = sampler_letters(comparisons, means)
    places = rows[[*BLOCK, "sampler"]].itertuples()
    found = {index: letters.get(tuple(block), {}).get(sampler, "") for index, *block, sampler in places}
    return [found.get(index, "") for index in table.index]


def _bands_of_domains(comparisons: pd.DataFrame) -> dict[tuple, float]:
    """Noise band of each student, loss, teacher, domain, ``all`` and measure, of the intervals that were compared."""
    apart = comparisons[comparisons["outcome"] != SAME]
    half_widths = (apart["ci_high"] - apart["ci_low"]) / 2
    places = [apart[name] for name in BLOCK]
    return {(*key[:4], ALL, key[4]): noise_band(own.to_numpy()) for key, own in half_widths.groupby(places)}


def _bands_of_members(
    values: QueryValues, grid: Grid, domains: Sequence[Domain], measures: Sequence[str], spec: Mapping
) -> dict[tuple, float]:
    """The same of each domain's collections and sets of collections."""
    found = {}
    for block, cells in sampler_blocks(values, grid, spec["controls"]):
        pairs = cells.pairs()
        for domain in domains:
            for name, weights in entities(domain):
                for measure in values.measures(list(weights), measures) if name != ALL else ():
                    apart = cells.infer(weights, measure, pairs)
                    half_widths = apart.half_width(spec["bootstrap"]["confidence"])[~apart.same]
                    found[*block, domain.name, name, measure] = noise_band(half_widths)
    return found


def _family(block: tuple, rows: pd.DataFrame) -> tuple:
    p = rows.loc[rows["outcome"] == DIFFERENT, "p_difference"]
    return (*block, int(rows["p_difference"].notna().sum()), len(p), p.max(), rows["basis"].iloc[0])


if __name__ == "__main__":
    run(make_main_table)
