"""Write the first stage's candidates as TREC runs: one ``{collection}.run.gz`` a collection beside the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import read_evaluation
from workflow_scripts.storage.runs import write_run


def export_run(spec: Mapping, collections: Sequence[str], evaluation: Path, output: Path) -> None:
    """Write each collection's candidates as its run, tagged ``tag``; ``evaluation`` is gather_evaluation's manifest.

    Raises :class:`InputError` for candidates without scores.
    """
    if set(spec) != {"tag"}:
        raise InputError(f"the spec of export_run has exactly tag: got {', '.join(sorted(spec))}")
    with ArtifactWriter(output, kind="runs", spec=spec, inputs={"evaluation": evaluation}) as writer:
        for collection in collections:
            frame = read_evaluation(evaluation, collection, "candidates", ["query_id", "doc_id", "score"])
            if frame["score"].isna().any():
                raise InputError(f"the first stage's ranking of {collection} has no scores: a run needs them")
            write_run(writer.path(f"{collection}.run.gz"), frame, spec["tag"])
            writer.counts[collection] = frame["query_id"].nunique()


if __name__ == "__main__":
    run(export_run)
