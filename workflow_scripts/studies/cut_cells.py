"""Cells trained on a cut of the queries beside the cell trained on all: what each kept, and what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.cuts import CUTS, keep
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.paired import holm, mean_difference
from workflow_scripts.analysis.query_values import QueryValues
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


def kept_queries(grid: Grid, cuts: Sequence[str], fence: float, labels: Sequence[str | Path]) -> pd.DataFrame:
    """What each cut trains on: sampler, teacher, cut, groups, share, entropy; means over the seeds.

    ``labels``: of each sampler x teacher x seed, in this order.
    """
    rows = list(product(grid.samplers, grid.teachers, grid.seeds))
    found = []
    for (sampler, teacher, _), manifest in zip(rows, labels, strict=True):
        entropy = read_entropies(manifest)  # (queries,)
        for cut in cuts:
            kept = np.ones(len(entropy), bool) if cut == UNCUT else keep(entropy, cut, fence)
            found.append((sampler, teacher, cut, int(kept.sum()), kept.mean(), entropy[kept].mean()))
    keys = ["sampler", "teacher", "cut"]
    frame = pd.DataFrame(found, columns=[*keys, "groups", "share", "entropy"])
    return frame.groupby(keys, sort=False, as_index=False).mean()


def compare_cuts(
    values: QueryValues, grid: Grid, derived: Derived, domains: Sequence[Domain], measures: Sequence[str], rule: Rule
) -> pd.DataFrame:
    """Each cut less all queries, paired over the evaluation's queries: one row for each cell, domain and measure.

    As :func:`~workflow_scripts.analysis.equivalence.compare_samplers`: a query's value is averaged over the seeds
    first, the estimand is the domain's macro mean, the interval is one comparison's. Holm's correction is over the cuts
    of a student, loss, sampler, teacher, domain and measure, for differences and for equivalences apart.
    """
    cuts = [cut for cut in derived if cut != UNCUT]
    frames = []
    for domain, cell in product(domains, grid.trained):
        student, loss, sampler, teacher = cell
        for measure in values.measures(domain.collections, measures):
            differences = {}
            for name in domain.collections:
                base = values.of(cell, grid.seeds, name, measure)
                rankers = [(student, loss, derived[cut][sampler], teacher) for cut in cuts]
                differences[name] = np.stack([values.of(each, grid.seeds, name, measure) - base for each in rankers])
            family = _decide(differences, domain, rule.margin_for(values, domain, measure), rule)
            keys = dict(zip(CELL, (*cell, cuts, domain.name, measure), strict=True))
            frames.append(pd.DataFrame(keys | family))
    return pd.concat(frames, ignore_index=True)


def _decide(differences: Mapping[str, np.ndarray], domain: Domain, margin: float, rule: Rule) -> dict[str, object]:
    """Estimates and outcomes of one family; ``differences``: collection to # (cuts, queries)."""
    estimate = mean_difference(differences, domain.weights)
    low, high = estimate.interval(rule.confidence)
    found, within = estimate.difference_p(), estimate.equivalence_p(margin)
    corrected = holm(found), holm(within)
    return {
        "difference": estimate.mean,
        "difference_low": low,
        "difference_high": high,
        "margin": margin,
        "p_difference": found,
        "p_equivalence": within,
        "p_difference_holm": corrected[0],
        "p_equivalence_holm": corrected[1],
        "outcome": rule.verdicts(*corrected),
    }
