"""Cut a sampler's groups by the teacher's entropy: ``groups.parquet`` of the kept queries, each group as it was."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.analysis.cuts import keep, thresholds, widest_fence
from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.analysis.sampled_groups import read_labels, read_sampled_groups
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table

KEYS = ("cut", "fence", "at_least")


def cut_groups(spec: Mapping, groups: Path, labels: Path, output: Path) -> None:
    """Write the groups of the queries that a cut keeps, rows and columns as in ``groups``.

    ``spec``: ``cut`` (:data:`~workflow_scripts.analysis.cuts.CUTS`), ``fence`` of the outliers in interquartile ranges,
    ``at_least`` queries to keep. A query's entropy is H of the teacher's ``labels`` of its whole group, in bits.
    Counts ``queries`` kept ``of`` all, ``groups``, ``documents``, ``filled`` and ``distinct_documents`` as mining does,
    the thresholds (quartiles and fences, bits) and the mean ``entropy`` of what is kept and of all. Raises
    :class:`InputError`, and writes nothing, where fewer than ``at_least`` queries are kept. Memory: all groups.
    """
    _check(spec)
    sampled = read_sampled_groups(groups)
    entropy = pairwise_entropy(read_labels(labels, sampled))  # (queries,)
    kept = keep(entropy, spec["cut"], spec["fence"])
    if kept.sum() < spec["at_least"]:
        raise InputError(_too_few(spec, entropy, int(kept.sum()), groups))
    table = pq.read_table(Artifact(groups).file("groups.parquet"))
    table = table.filter(pa.array(np.repeat(kept, sampled.doc_ids.shape[1])))
    print(f"{spec['cut']}: {kept.sum():,} of {len(kept):,} queries", file=sys.stderr)
    with ArtifactWriter(output, kind="groups", spec=spec, inputs={"groups": groups, "labels": labels}) as writer:
        write_table(writer.path("groups.parquet"), table, table.schema)
        writer.counts |= {
            "queries": int(kept.sum()),
            "of": len(kept),
            "groups": int(kept.sum()),
            "documents": len(table),
            "filled": pc.sum(pc.equal(table["source"], "fill")).as_py(),
            "distinct_documents": pc.count_distinct(table["doc_id"]).as_py(),
            "entropy": float(entropy[kept].mean()),
            "entropy_of_all": float(entropy.mean()),
            **asdict(thresholds(entropy, spec["fence"])),
        }


def _check(spec: Mapping) -> None:
    if set(spec) != set(KEYS):
        raise InputError(f"the spec of cut_groups has exactly {', '.join(KEYS)}: got {', '.join(sorted(spec))}")
    least = spec["at_least"]
    if not isinstance(least, int) or isinstance(least, bool) or least < 1:
        raise InputError(f"at_least is {least!r}: give the smallest number of training queries, 1 or more")


def _too_few(spec: Mapping, entropy: np.ndarray, kept: int, groups: str | Path) -> str:
    """What to say where a cut keeps too little: how much, where it cuts, and what would help."""
    at = thresholds(entropy, spec["fence"])
    widest = widest_fence(entropy, spec["at_least"]) if spec["cut"] == "outliers" else None
    fix = "leave this cut out" if widest is None else f"set a fence below {widest:.3g} or leave this cut out"
    return (
        f"the cut {spec['cut']} keeps {kept} of {len(entropy)} queries of {groups}, not at least {spec['at_least']} "
        f"(quartiles {at.first_quartile:.4g}, {at.median:.4g}, {at.third_quartile:.4g} bits; fences {at.low_fence:.4g} "
        f"and {at.high_fence:.4g} at {spec['fence']:g} interquartile ranges): {fix}"
    )


if __name__ == "__main__":
    run(cut_groups)
