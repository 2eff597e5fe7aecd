"""Write rankings as TREC runs: one ``{collection}.run.gz`` a ranking beside the manifest."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.storage.artifacts import ArtifactWriter, InputError, parse_spec, run
from workflow_scripts.storage.rankings import read_ranking, systems
from workflow_scripts.storage.runs import write_run


def export_run(spec: Mapping, rankings: Sequence[str | Path], collections: Sequence[str], output: str | Path) -> None:
    """Write the top ``depth`` of each ranking as the run of the collection of the same place, tagged ``tag``.

    Raises :class:`InputError` for a ranking of several systems, or one without scores.
    """
    if set(spec) != {"depth", "tag"}:
        raise InputError(f"the spec of export_run has exactly depth and tag: got {', '.join(sorted(spec))}")
    if len(rankings) != len(collections):
        raise InputError(f"{len(rankings)} rankings and {len(collections)} collections: give as many of both")
    with ArtifactWriter(output, spec=spec, inputs={"rankings": list(rankings)}) as writer:
        for manifest, collection in zip(rankings, collections, strict=True):
            if len(systems(manifest)) != 1:
                raise InputError(f"{manifest} ranks by {', '.join(systems(manifest)) or 'no system'}: a run is of one")
            frame = read_ranking(manifest, spec["depth"])
            if frame["score"].isna().any():
                raise InputError(f"{manifest} has no scores: a run needs them")
            write_run(writer.path(f"{collection}.run.gz"), frame[["query_id", "doc_id", "score"]], spec["tag"])
            writer.counts[collection] = frame["query_id"].nunique()


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=parse_spec, required=True)
    parser.add_argument("--rankings", nargs="+", required=True, help="manifests of rankings")
    parser.add_argument("--collections", nargs="+", required=True, help="their collections' ids")
    parser.add_argument("--output", required=True, help="manifest to write")
    export_run(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run(main)
