"""Gather what every ranker is evaluated on: each test collection's judged queries and what the first stage found.

Files ``{collection}.candidates.parquet`` (query_id, doc_id, rank, score), ``{collection}.qrels.parquet`` and
``{collection}.queries.parquet``: one input for a job that evaluates on dozens of collections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import KINDS
from workflow_scripts.storage.rankings import read_ranking, systems
from workflow_scripts.storage.tables import read_table, write_table


def gather_evaluation(
    *,
    spec: Mapping,
    collections: Sequence[str],
    tests: Sequence[Path],
    rankings: Sequence[Path],
    output: Path,
) -> None:
    """Write the three tables of each collection; memory holds one collection at a time.

    ``spec``: ``depth``, the ranks kept. ``tests`` are the collections' manifests, ``rankings`` the first stage's, both
    in the order of ``collections``. Raises :class:`InputError` for a ranking of several systems or of no document.
    """
    if set(spec) != {"depth"}:
        raise InputError(f"the spec of gather_evaluation has exactly depth: got {', '.join(sorted(spec))}")
    if not len(collections) == len(tests) == len(rankings):
        raise InputError("give one collection's manifest and one ranking for each id, in order")
    inputs = {"collections": list(tests), "rankings": list(rankings)}
    with ArtifactWriter(output, kind="evaluation", spec=spec, inputs=inputs) as writer:
        for name, test, ranking in zip(collections, tests, rankings, strict=True):
            if len(systems(ranking)) != 1:
                named = ", ".join(systems(ranking)) or "no system"
                raise InputError(
                    f"{ranking} ranks by {named}: re-rank what one system, and at least one document, lists"
                )
            candidates = read_ranking(ranking, spec["depth"])
            tables = {"candidates": candidates} | {
                kind: read_table(Artifact(test).file(f"{kind}.parquet"), columns=KINDS[kind].names)
                for kind in ("qrels", "queries")
            }
            for kind, table in tables.items():
                write_table(writer.path(f"{name}.{kind}.parquet"), table, KINDS[kind])
            writer.counts[name] = len(candidates)


if __name__ == "__main__":
    run(gather_evaluation)
