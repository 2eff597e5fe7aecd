"""Gather what every ranker is evaluated on: each test collection's judged queries and what the first stage found.

The first stage's documents are its runs, ``{collection}.run.gz``, which are measured as any ranker's; beside them lie
``{collection}.qrels.parquet`` and ``{collection}.queries.parquet``: one input for a job that evaluates on dozens of
collections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import KINDS
from workflow_scripts.storage.rankings import read_ranking, systems
from workflow_scripts.storage.runs import write_run
from workflow_scripts.storage.tables import read_table, write_table


def gather_evaluation(
    *,
    spec: Mapping,
    collections: Sequence[str],
    tests: Sequence[Path],
    rankings: Sequence[Path],
    output: Path,
) -> None:
    """Write the run and the two tables of each collection; memory holds one collection at a time.

    ``spec``: ``depth``, the ranks kept, and the runs' ``tag``. ``tests`` are the collections' manifests, ``rankings``
    the first stage's, both in the order of ``collections``. Raises :class:`InputError` for a ranking of several
    systems, of no document or without scores.
    """
    if not len(collections) == len(tests) == len(rankings):
        raise InputError("give one collection's manifest and one ranking for each id, in order")
    with ArtifactWriter(output, kind="evaluation", spec=spec) as writer:
        for name, test, ranking in zip(collections, tests, rankings, strict=True):
            if len(systems(ranking)) != 1:
                named = ", ".join(systems(ranking)) or "no system"
                raise InputError(
                    f"{ranking} ranks by {named}: re-rank what one system, and at least one document, lists"
                )
            candidates = read_ranking(ranking, spec["depth"])
            if candidates["score"].isna().any():
                raise InputError(f"the first stage's ranking of {name} has no scores: a run needs them")
            write_run(writer.path(f"{name}.run.gz"), candidates, spec["tag"])
            for kind, schema in KINDS.items():
                table = read_table(Artifact(test).file(f"{kind}.parquet"), columns=schema.names)
                write_table(writer.path(f"{name}.{kind}.parquet"), table, schema)
            writer.counts[name] = len(candidates)


if __name__ == "__main__":
    run(gather_evaluation)
