"""Measuring runs, bootstrap against scipy, first-stage verdicts."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact, write_collection

from workflow_scripts.analysis import measures
from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.measure_names import parse_measure
from workflow_scripts.evaluate import check_first_stage
from workflow_scripts.evaluate.gather_evaluation import gather_evaluation
from workflow_scripts.evaluate.measure_runs import measure_runs
from workflow_scripts.evaluate.write_cell import write_cell
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rankings import RANKING_FILE, RANKING_SCHEMA
from workflow_scripts.storage.tables import read_table

QRELS = pd.DataFrame(
    [("q1", "a", 0), ("q1", "b", 2), ("q1", "c", 1), ("q1", "d", 1), ("q2", "a", 1), ("q3", "a", 0), ("q3", "b", -1)],
    columns=["query_id", "doc_id", "relevance"],
)
RUN = pd.DataFrame(
    [("q1", "a", 5.0), ("q1", "b", 5.0), ("q1", "x", 4.0), ("q1", "c", 3.0), ("q3", "a", 1.0), ("q4", "a", 1.0)],
    columns=["query_id", "doc_id", "score"],
)
BOOTSTRAP = {"samples": 50, "seed": 0, "confidence": 0.95}


def ranked(run: pd.DataFrame) -> pd.DataFrame:
    return run.assign(rank=run.groupby("query_id").cumcount() + 1)


def collection(
    folder: Path, qrels: pd.DataFrame = QRELS, spec: dict | None = None, queries: str = "q1 q2 q3 q4"
) -> Path:
    return write_collection(folder, queries.split(), spec=spec, qrels=qrels.itertuples(index=False))


def ranking(folder: Path, run: pd.DataFrame, spec: dict | None = None) -> Path:
    files = {RANKING_FILE: (ranked(run).assign(system="bm25"), RANKING_SCHEMA)}
    return artifact(folder / "manifest.json", files, spec=spec)


def runs(folder: Path, **frames: pd.DataFrame) -> Path:
    return artifact(folder / "manifest.json", {f"{name}.run.gz": frame for name, frame in frames.items()})


def evaluation(folder: Path, test: Path, candidates: pd.DataFrame = RUN) -> Path:
    manifests = {"tests": [test], "rankings": [ranking(folder / "ranking", candidates)]}
    output = folder / "evaluation" / "manifest.json"
    gather_evaluation(spec={"depth": 100, "tag": "bm25"}, collections=["demo"], **manifests, output=output)
    return output


def measure(tmp_path: Path, run: pd.DataFrame, **options) -> Path:
    output = tmp_path / "metrics" / "manifest.json"
    keys = {"student": "be", "loss": "kl", "sampler": "random", "teacher": "electra", "seed": 1}
    arguments = {
        "spec": {"measures": {"demo": ["nDCG@10", "AP"]}, "keys": keys},
        "runs": runs(tmp_path / "runs", demo=run),
        "collections": ["demo"],
        "evaluation": evaluation(tmp_path, options.pop("test", None) or collection(tmp_path / "collection")),
    }
    measure_runs(**(arguments | options), output=output)
    return output


def test_measure_runs_counts_what_the_means_contain(tmp_path: Path) -> None:
    output = measure(tmp_path, RUN)
    counts = json.loads(output.read_text())["counts"]["demo"]
    assert counts == {"queries": 3, "unretrieved": 1, "without_relevant": 1, "unjudged": 1}
    frame = read_table(output.parent / "metrics.parquet")
    assert list(frame.columns) == measures.METRICS_SCHEMA.names and len(frame) == 6
    assert frame["seed"].tolist() == [1] * 6 and set(frame["loss"]) == {"kl"}
    assert frame["query_id"].tolist() == ["q1", "q1", "q2", "q2", "q3", "q3"]


def test_the_same_measures_are_the_same_bytes_in_whatever_order_they_are_listed(tmp_path: Path) -> None:
    found = set()
    for names in (["nDCG@10", "AP", "P@5"], ["P@5", "AP", "nDCG@10"]):
        output = measure(tmp_path, RUN, spec={"measures": {"demo": names}, "keys": {"student": "be"}})
        found.add((output.parent / "metrics.parquet").read_bytes())
    assert len(found) == 1


def test_a_cell_that_is_written_where_runs_are_measured_is_the_one_written_from_metrics(tmp_path: Path) -> None:
    keys = {"student": "be", "loss": "kl", "sampler": "random", "teacher": "electra", "seed": 1}
    about = {"domains": [{"name": "near", "collections": ["demo"]}], "bootstrap": BOOTSTRAP}
    spec = {"measures": {"demo": ["AP"]}, "keys": keys, **about}
    output = measure(tmp_path, RUN, spec=spec, cells=[tmp_path / "cell.csv"])
    write_cell(spec=about, metrics=[output], output=tmp_path / "other.csv")
    assert (tmp_path / "cell.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    # q1 = (1/2 + 2/4) / 3 of its three relevant documents, q2 and q3 have none found.
    assert pd.read_csv(tmp_path / "cell.csv").loc[0, ["measure", "value", "n_queries"]].tolist() == ["AP", 0.111111, 3]


def test_measure_runs_refuses_a_run_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks query q3, which the first stage retrieved"):
        measure(tmp_path, RUN[RUN["query_id"] != "q3"])
    with pytest.raises(InputError, match="ranks query q4, which the collection lacks"):
        measure(tmp_path, RUN, test=collection(tmp_path / "small", queries="q1 q2 q3"))
    with pytest.raises(InputError, match="qrels of demo are empty"):
        measure(tmp_path, RUN, test=collection(tmp_path / "empty", QRELS[:0]))
    with pytest.raises(InputError, match="unknown key 'students'"):
        measure(tmp_path, RUN, spec={"measures": {"demo": ["AP"]}, "keys": {"students": "bm25"}})
    assert not (tmp_path / "metrics" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([("q", "a", 1, 2.0), ("q", "b", 3, 1.0)], "ranks that are not"),
        ([("q", "a", 1, 2.0), ("q", "b", 2, 3.0)], "a score above"),
        ([("q", "a", 1, 2.0), ("q", "a", 2, 1.0)], "a document twice"),
        ([("q", "a", 1, 2.0), ("q", "b", 2, math.nan)], "a score that is not a number"),
    ],
)
def test_a_broken_ranking_is_named(rows: list, fault: str) -> None:
    good = [("p", "a", 1, 0.0)]
    frame = pd.DataFrame([*rows, *good], columns=["query_id", "doc_id", "rank", "score"])
    with pytest.raises(InputError, match=f"run: query q has {fault}"):
        measures.check_ranks(frame, "run")


def test_interval_agrees_with_scipy() -> None:
    from scipy import stats

    x = np.random.default_rng(0).beta(1, 2, size=(2, 60))
    options = {"samples": 20000, "confidence": 0.9}
    low, high = stratified_interval({"a": x}, {"a": 1.0}, seed=3, **options)
    for row in range(2):
        known = stats.bootstrap(
            (x[row],), np.mean, n_resamples=20000, confidence_level=0.9, method="percentile", rng=1
        ).confidence_interval
        assert (low[row], high[row]) == pytest.approx((known.low, known.high), abs=2e-3)
    # Two strata: the statistic is the mean of the two means, each resampled by itself.
    y = np.random.default_rng(1).beta(2, 1, size=(1, 15))
    low, high = stratified_interval({"a": x[:1], "b": y}, {"a": 0.5, "b": 0.5}, seed=3, **options)
    known = stats.bootstrap(
        (x[0], y[0]),
        lambda a, b, axis: (np.mean(a, axis=axis) + np.mean(b, axis=axis)) / 2,
        n_resamples=20000,
        confidence_level=0.9,
        method="percentile",
        rng=1,
    ).confidence_interval
    assert (low[0], high[0]) == pytest.approx((known.low, known.high), abs=3e-3)
    again = stratified_interval({"b": y, "a": x[:1]}, {"a": 0.5, "b": 0.5}, seed=3, **options)
    assert (again[0][0], again[1][0]) == (low[0], high[0])


def test_first_stage_verdicts(tmp_path: Path) -> None:
    expected = tmp_path / "expected.yaml"
    expected.write_text(
        "systems: {default: {model: bm25, k1: 0.9, b: 0.4}, other: {model: bm25, k1: 2.0, b: 0.4}}\n"
        "figures: {some/id: {default: {AP: 0.1161, R@100: 0.232, P@10: 0.2, R@1000: 0.5}, other: {AP: 0.9}}}\n"
    )
    made = {"model": "bm25", "k1": 0.9, "b": 0.4, "depth": 100}
    spec = {
        "rankings": [{"collection": "some", "system": name} for name in ("a", "b")],
        "measures": ["RR"],
        "tolerance": 0.005,
        "close": 0.02,
    }
    table = check_first_stage.check_first_stage(
        spec=spec,
        rankings=[ranking(tmp_path / "a", RUN, made), ranking(tmp_path / "b", RUN, made | {"k1": 1.2})],
        collections=[collection(tmp_path / "c", spec={"id": "some/id"})] * 2,
        expected=expected,
        output=tmp_path / "first_stage.csv",
    )
    # AP of q1 is 1/3, recall 2/3, precision 1/5, over three queries of which the other two have 0.
    assert table[["system", "measure", "verdict"]].to_numpy().tolist() == [
        ["a", "AP", "OK"],
        ["a", "R@100", "close"],
        ["a", "P@10", "fail"],
        ["a", "R@1000", "too shallow"],
        ["b", "RR", "no expectation"],
    ]
    text = (tmp_path / "first_stage.csv").read_text().splitlines()
    assert text[1] == "some,a,AP,0.1161,0.1111,-0.0050,OK" and text[5] == "some,b,RR,,0.1667,,no expectation"


def test_published_figures_name_systems_and_measures() -> None:
    published = check_first_stage._read_expected("config/expected/bm25.yaml")
    assert len(published["figures"]) == 27
    names = {name for by_system in published["figures"].values() for values in by_system.values() for name in values}
    assert [str(parse_measure(name)) for name in sorted(names)] == sorted(names)
