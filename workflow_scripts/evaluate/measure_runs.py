"""Measure a ranker's runs on an evaluation set: every judged query in one long table, and cells of whole domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.measure_names import EXCESS_RISK, parse_measure
from workflow_scripts.analysis.measures import (
    METRICS_FILE,
    METRICS_SCHEMA,
    check_ranks,
    evaluate,
    metrics_table,
)
from workflow_scripts.evaluate.cells import save_cell
from workflow_scripts.evaluate.excess_risk import run_risks
from workflow_scripts.storage.artifacts import NOTHING, Artifact, ArtifactWriter
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
    cells: Sequence[Path] = (),
) -> None:
    """Write metrics.parquet for one ranker, and its ``cells``, one a domain of the spec.

    ``spec``: ``measures`` (collection to measure names; "excess risk" only where the qrels hold every relevant pair),
    ``keys`` (student, loss, sampler, teacher, seed) and, where there are cells, ``domains`` and ``bootstrap`` (samples,
    seed, confidence). ``evaluation`` holds the collections' queries, qrels and first-stage candidates. A judged query
    that neither the run nor the first stage lists has nothing to rank: it scores 0 and is counted as ``unretrieved``.
    One that the run alone lacks is an error. Runs of a model that was not trained have no metrics, and cells no rows.
    """
    artifact = Artifact(runs)
    if artifact.nothing is None:
        frame, counts = _measure(artifact, spec["measures"], collections, evaluation)
        table = metrics_table(spec["keys"], frame)
    else:
        table, counts = METRICS_SCHEMA.empty_table(), {NOTHING: artifact.nothing}
        frame = table.to_pandas()
    with ArtifactWriter(output, kind="metrics", spec=spec) as writer:
        write_table(writer.path(METRICS_FILE), table, METRICS_SCHEMA)
        writer.counts.update(counts)
    for domain, path in zip(parse_domains(spec.get("domains", [])), cells, strict=True):
        save_cell(path, frame, domain, spec["bootstrap"])


def _measure(
    artifact: Artifact, names: Mapping[str, Sequence[str]], collections: Sequence[str], evaluation: Path
) -> tuple[pd.DataFrame, dict]:
    """Values of each query by collection and measure, and counts by collection of what the means contain."""
    measures = {name: [parse_measure(each) for each in names[name] if each != EXCESS_RISK] for name in collections}
    frames, counts = [], {}
    for name in sorted(collections):
        path = artifact.file(f"{name}.run.gz")
        ranking = read_run(path)
        check_ranks(ranking, str(path))
        candidates = read_candidates(evaluation, name)
        judged, counts[name] = _judgements(name, evaluation, ranking, candidates)
        found = [evaluate(measures[name], judged, ranking)]
        if EXCESS_RISK in names[name]:
            _check_candidates(name, ranking, candidates)
            found.append(run_risks(ranking, judged))
        rows = pd.concat(found).sort_values(["query_id", "measure"], ignore_index=True)
        frames.append(rows.assign(collection=name))
    return pd.concat(frames, ignore_index=True), counts


def _judgements(
    name: str, evaluation: Path, ranking: pd.DataFrame, candidates: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The collection's qrels, after checking that the run answers it; counts of what the means contain."""
    qrels = read_evaluation(evaluation, name, "qrels")
    if qrels.empty:
        raise InputError(f"the qrels of {name} are empty: an evaluation collection needs judgements")
    queries = set(read_evaluation(evaluation, name, "queries")["query_id"])
    ranked, judged = set(ranking["query_id"].unique()), set(qrels["query_id"].unique())
    foreign = ranked - queries
    if foreign:
        raise InputError(
            f"the run of {name} ranks query {min(foreign)}, which the collection lacks: make the run again"
        )
    missing = judged - ranked
    lost = missing & set(candidates["query_id"].unique())
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


def _check_candidates(name: str, ranking: pd.DataFrame, candidates: pd.DataFrame) -> None:
    """Refuse a run of other documents than the first stage's: risks of other pairs do not compare."""
    pairs = [run[["query_id", "doc_id"]] for run in (ranking, candidates)]
    both = pairs[0].merge(pairs[1], how="outer", indicator="found")
    differing = both.loc[both["found"] != "both", ["query_id", "doc_id"]]
    if len(differing):
        query, document = min(differing.itertuples(index=False, name=None))
        raise InputError(
            f"the run of {name} and the first stage's differ in query {query}, document {document}: re-rank the same "
            f"candidates, or drop the {EXCESS_RISK}"
        )


if __name__ == "__main__":
    run(measure_runs)
