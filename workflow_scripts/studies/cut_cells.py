"""Cells trained on a cut of the queries beside the cell trained on all: what each kept, and what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.cuts import CUTS
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.paired import holm, mean_difference
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.sampled_groups import read_labels, read_sampled_groups
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

UNCUT = "all queries"
"""What the column ``cut`` holds for the cell trained on every query."""
CELL = ["student", "loss", "sampler", "teacher", "cut", "domain", "measure"]

Derived = dict[str, dict[str, str]]
"""Cut to sampler to the id of the sampler whose groups are cut; ``UNCUT`` to each sampler itself."""


def derived_samplers(cuts: Mapping[str, Mapping[str, str]], samplers: Sequence[str]) -> Derived:
    """The spec's cuts after all queries, in the order of tables, complete and without a name given twice."""
    for cut, of_sampler in cuts.items():
        if cut not in CUTS:
            raise InputError(f"there is no cut {cut!r}: the cuts are {', '.join(CUTS)}")
        if set(of_sampler) != set(samplers):
            raise InputError(f"the cut {cut} is of {', '.join(of_sampler)}: name one derived sampler for each sampler")
    derived = {UNCUT: {name: name for name in samplers}} | {cut: dict(cuts[cut]) for cut in CUTS if cut in cuts}
    names = [name for of_sampler in derived.values() for name in of_sampler.values()]
    if len(set(names)) < len(names) or len(derived) < 2:
        raise InputError(f"name at least one cut, each of each sampler by an id of its own: got {', '.join(names)}")
    return derived


def kept_queries(
    grid: Grid,
    derived: Derived,
    uncut_groups: Sequence[str | Path],
    uncut_labels: Sequence[str | Path],
    cut_groups: Sequence[str | Path],
) -> pd.DataFrame:
    """What each cut trains on: sampler, teacher, cut, groups, share, entropy; means over the seeds.

    The entropy is recomputed from the labels of all groups. Raises :class:`InputError` where the number of manifests
    is not the grid's, or cut groups are not some of the uncut ones at their place. Memory: two samplers' groups.
    """
    rows = list(product(grid.samplers, grid.teachers, grid.seeds))
    cuts = [cut for cut in derived if cut != UNCUT]
    of_cut: dict[str, list] = {cut: [] for cut in cuts}
    for manifest in cut_groups:
        # By what the manifest says: a canonical spec has lost the order of the cuts.
        of_cut.setdefault(Artifact(manifest).spec.get("cut"), []).append(manifest)
    wrong = [name for name, given in (*of_cut.items(), ("uncut", uncut_groups)) if len(given) != len(rows)]
    if wrong or len(of_cut) > len(cuts) or len(uncut_labels) != len(rows):
        raise InputError(
            f"give {len(rows)} manifests (sampler x teacher x seed) of uncut groups, of their labels and of the groups "
            f"of each of {', '.join(cuts)}" + (f": the number of {wrong[0]} groups differs" if wrong else "")
        )
    found = []
    for place, (sampler, teacher, _) in enumerate(rows):
        parts = {cut: of_cut[cut][place] for cut in cuts}
        for cut, *numbers in _kept(uncut_groups[place], uncut_labels[place], parts):
            found.append((sampler, teacher, cut, *numbers))
    keys = ["sampler", "teacher", "cut"]
    frame = pd.DataFrame(found, columns=[*keys, "groups", "share", "entropy"])
    return frame.groupby(keys, sort=False, as_index=False).mean()


def _kept(
    uncut: str | Path, labels: str | Path, cuts: Mapping[str, str | Path]
) -> Iterator[tuple[str, int, float, float]]:
    """(cut, groups, share, mean entropy) of all queries, then of each cut of one sampler, teacher and seed."""
    every = read_sampled_groups(uncut)
    entropy = pairwise_entropy(read_labels(labels, every))
    yield UNCUT, len(every), 1.0, float(entropy.mean())
    for cut, manifest in cuts.items():
        part = read_sampled_groups(manifest)
        places = pd.Index(every.query_ids).get_indexer(part.query_ids)
        same = (places >= 0).all() and part.doc_ids.shape[1] == every.doc_ids.shape[1]
        if not same or (every.doc_ids[places] != part.doc_ids).any():
            raise InputError(f"{manifest} holds a group that {uncut} lacks: give both in the same order, or cut again")
        yield cut, len(part), len(part) / len(every), float(entropy[places].mean())


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
