"""Measure a ranker's runs on the evaluation collections: every judged query, one long table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.measure_names import parse_measure
from workflow_scripts.analysis.measures import (
    METRICS_FILE,
    METRICS_SCHEMA,
    check_ranks,
    evaluate,
    metrics_table,
)
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.evaluation import read_candidates, read_evaluation
from workflow_scripts.storage.runs import read_run
from workflow_scripts.storage.tables import write_table


def measure_runs(
    *,
    spec: Mapping,
    runs: Path,
    collections: Sequence[str],
    evaluation: Path,
    output: Path,
) -> None:
    """Write metrics.parquet for one ranker.

    ``spec``: ``measures`` (collection to measure names) and ``keys`` (student, loss, sampler, teacher, seed).
    ``evaluation`` holds the collections' queries, qrels and first-stage candidates. A judged query that neither the run
    nor the first stage lists has nothing to rank: it scores 0 and is counted as ``unretrieved``. One that the run alone
    lacks is an error.
    """
    artifact = Artifact(runs)
    measures = {name: [parse_measure(each) for each in spec["measures"][name]] for name in collections}
    frames, counts = {}, {}
    for name in collections:
        path = artifact.file(f"{name}.run.gz")
        ranking = read_run(path)
        check_ranks(ranking, str(path))
        judged, counts[name] = _judgements(name, evaluation, ranking)
        frames[name] = evaluate(measures[name], judged, ranking).assign(collection=name)
    frame = pd.concat([frames[name] for name in sorted(frames)], ignore_index=True)
    inputs = {"runs": runs, "evaluation": evaluation}
    with ArtifactWriter(output, kind="metrics", spec=spec, inputs=inputs) as writer:
        write_table(writer.path(METRICS_FILE), metrics_table(spec["keys"], frame), METRICS_SCHEMA)
        writer.counts.update(counts)


def _judgements(name: str, evaluation: str | Path, ranking: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The collection's qrels, after checking that the run answers it; counts of what the means contain."""
    qrels = read_evaluation(evaluation, name, "qrels")
    if qrels.empty:
        raise InputError(f"the qrels of {name} are empty: an evaluation collection needs judgements")
    queries = set(read_evaluation(evaluation, name, "queries")["query_id"])
    ranked, judged = set(ranking["query_id"]), set(qrels["query_id"])
    foreign = ranked - queries
    if foreign:
        raise InputError(
            f"the run of {name} ranks query {min(foreign)}, which the collection lacks: make the run again"
        )
    missing = judged - ranked
    lost = missing & set(read_candidates(evaluation, name)["query_id"])
    if lost:
        raise InputError(
            f"the run of {name} lacks query {min(lost)}, which the first stage retrieved documents for: "
            "make the run again"
        )
    relevant = set(qrels.loc[qrels["relevance"] > 0, "query_id"])
    return qrels, {
        "queries": len(judged),
        "unretrieved": len(missing),
        "without_relevant": len(judged - relevant),
        "unjudged": len(ranked - judged),
    }


if __name__ == "__main__":
    run(measure_runs)
