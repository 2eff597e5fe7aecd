"""Write the first stage's candidates as TREC runs: one ``{collection}.run.gz`` a collection beside the manifest."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.storage.artifacts import ArtifactWriter, InputError, parse_spec, run
from workflow_scripts.storage.evaluation import read_evaluation
from workflow_scripts.storage.runs import write_run


def export_run(spec: Mapping, collections: Sequence[str], evaluation: str | Path, output: str | Path) -> None:
    """Write each collection's candidates as its run, tagged ``tag``; ``evaluation`` is gather_evaluation's manifest.

    Raises :class:`InputError` for candidates without scores.
    """
    if set(spec) != {"tag"}:
        raise InputError(f"the spec of export_run has exactly tag: got {', '.join(sorted(spec))}")
    with ArtifactWriter(output, spec=spec, inputs={"evaluation": evaluation}) as writer:
        for collection in collections:
            frame = read_evaluation(evaluation, collection, "candidates", ["query_id", "doc_id", "score"])
            if frame["score"].isna().any():
                raise InputError(f"the first stage's ranking of {collection} has no scores: a run needs them")
            write_run(writer.path(f"{collection}.run.gz"), frame, spec["tag"])
            writer.counts[collection] = frame["query_id"].nunique()


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=parse_spec, required=True)
    parser.add_argument("--collections", nargs="+", required=True, help="ids, which name the runs")
    parser.add_argument("--evaluation", required=True, help="manifest of what rankers are evaluated on")
    parser.add_argument("--output", required=True, help="manifest to write")
    export_run(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run(main)
