"""Cells trained on a cut of the queries beside the cell trained on all: what each kept, and what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.cut_names import BESIDE, CUTS, RANDOM
from workflow_scripts.analysis.cuts import keep, keep_random
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import Rule, judge_family
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.groups import read_entropies

UNCUT = "all queries"
"""What the column ``cut`` holds for the cell trained on every query."""
CELL = ["student", "loss", "sampler", "teacher", "cut", "domain", "measure"]

Derived = dict[str, dict[str, str]]
"""Cut to sampler to the id of the sampler whose groups are cut; ``UNCUT`` to each sampler itself."""


def derived_samplers(cuts: Mapping[str, Mapping[str, str]], samplers: Sequence[str]) -> Derived:
    """The spec's cuts after all queries, in the order of tables."""
    return {UNCUT: {name: name for name in samplers}} | {cut: dict(cuts[cut]) for cut in CUTS if cut in cuts}


def kept_queries(grid: Grid, cuts: Sequence[str], spec: Mapping, labels: Sequence[str | Path]) -> pd.DataFrame:
    """What each cut keeps: sampler, teacher, cut, groups, share, entropy, means over the seeds; and ``too_few``.

    ``labels``: of each sampler x teacher x seed, in this order. ``spec``: ``fence``, ``sampling`` (each seed's own for
    the drawing), and ``at_least``, below which, with any seed, a cut was not trained and is ``too_few``.
    """
    rows = list(product(grid.samplers, grid.teachers, spec["sampling"]))
    found = []
    for (sampler, teacher, seed), manifest in zip(rows, labels, strict=True):
        queries, entropy = read_entropies(manifest)
        for cut in cuts:
            if cut == UNCUT:
                kept = np.ones(len(entropy), bool)
            else:
                kept = keep_random(queries, cut, seed) if cut in RANDOM else keep(entropy, cut, spec["fence"])
            number = int(kept.sum())
            mean = entropy[kept].mean() if number else np.nan
            found.append((sampler, teacher, cut, number, kept.mean(), mean, cut != UNCUT and number < spec["at_least"]))
    keys = ["sampler", "teacher", "cut"]
    frame = pd.DataFrame(found, columns=[*keys, "groups", "share", "entropy", "too_few"])
    means = {name: (name, "mean") for name in ("groups", "share", "entropy")}
    return frame.groupby(keys, sort=False, as_index=False).agg(**means, too_few=("too_few", "any"))


def compare_cuts(
    values: QueryValues, cell: RankerKey, derived: Derived, domain: Domain, measure: str, spec: Mapping
) -> pd.DataFrame:
    """Each of a cell's cuts less all queries and, as ``beside_*``, less the random cut of its size: a row a cut.

    The cell and its cuts are one block; the two kinds of comparisons are a family each. ``derived``: of cuts that were
    trained, with :data:`UNCUT`; ``spec``: ``seeds``, ``controls`` and ``rule``.
    """
    student, loss, sampler, teacher = cell
    named = {cut: (student, loss, of_sampler[sampler], teacher) for cut, of_sampler in derived.items()}
    cells = ComparedCells(values, list(named.values()), [range(len(named))], spec["seeds"], spec["controls"])
    frames = []
    for prefix, others in (("", dict.fromkeys(named, UNCUT)), ("beside_", BESIDE)):
        pairs = {cut: others[cut] for cut in named if cut != UNCUT and others.get(cut) in named}
        contrasts = [cells.contrast({named[cut]: 1, named[other]: -1}) for cut, other in pairs.items()]
        judged = judge_family(cells, domain, measure, np.array(contrasts), Rule(**spec["rule"]))
        frames.append(judged.set_axis(pd.Index(list(pairs), name="cut")).add_prefix(prefix))
    table = frames[0].join(frames[1]).rename(columns={name: f"difference_{name}" for name in ("ci_low", "ci_high")})
    table = table.reset_index()
    return table.assign(**dict(zip(CELL[:4], cell, strict=True)), domain=domain.name, measure=measure)
