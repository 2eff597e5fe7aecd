"""Measures by hand, ties, bootstrap against scipy, the long table, cells, the main table, first-stage verdicts."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workflow_scripts import check_first_stage, collect_metrics, make_main_table, measure_runs, write_cell
from workflow_scripts.analysis import effectiveness
from workflow_scripts.analysis.bootstrap import stratified_interval
from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.table_formats import escape_latex
from workflow_scripts.storage.artifacts import ArtifactWriter, InputError
from workflow_scripts.storage.rankings import RANKING_FILE, RANKING_SCHEMA
from workflow_scripts.storage.runs import write_run
from workflow_scripts.storage.tables import read_table, write_table

QRELS = pd.DataFrame(
    [("q1", "a", 0), ("q1", "b", 2), ("q1", "c", 1), ("q1", "d", 1), ("q2", "a", 1), ("q3", "a", 0), ("q3", "b", -1)],
    columns=["query_id", "doc_id", "relevance"],
)
RUN = pd.DataFrame(
    [("q1", "a", 5.0), ("q1", "b", 5.0), ("q1", "x", 4.0), ("q1", "c", 3.0), ("q3", "a", 1.0), ("q4", "a", 1.0)],
    columns=["query_id", "doc_id", "score"],
)
TEXT = pa.string()


def ranked(run: pd.DataFrame) -> pd.DataFrame:
    return run.assign(rank=run.groupby("query_id").cumcount() + 1)


def artifact(folder: Path, spec: dict | None = None, **tables: tuple) -> Path:
    manifest = folder / "manifest.json"
    with ArtifactWriter(manifest, spec=spec or {}) as writer:
        for name, (frame, schema) in tables.items():
            write_table(writer.path(f"{name}.parquet"), frame, schema)
    return manifest


def collection(
    folder: Path, qrels: pd.DataFrame = QRELS, spec: dict | None = None, queries: str = "q1 q2 q3 q4"
) -> Path:
    ids = queries.split()
    frame = pd.DataFrame({"query_id": ids, "text": ids})
    types = [("query_id", TEXT), ("doc_id", TEXT), ("relevance", pa.int32())]
    return artifact(
        folder, spec, queries=(frame, pa.schema([("query_id", TEXT), ("text", TEXT)])), qrels=(qrels, pa.schema(types))
    )


def ranking(folder: Path, run: pd.DataFrame, spec: dict | None = None) -> Path:
    return artifact(folder, spec, **{Path(RANKING_FILE).stem: (ranked(run).assign(system="bm25"), RANKING_SCHEMA)})


def runs(folder: Path, **frames: pd.DataFrame) -> Path:
    with ArtifactWriter(folder / "manifest.json", spec={}) as writer:
        for name, frame in frames.items():
            write_run(writer.path(f"{name}.run.gz"), frame, "test")
    return folder / "manifest.json"


def test_measures_by_hand_follow_the_order_of_the_run() -> None:
    """q1 ranks a (0) and b (2) with equal scores, then x (unjudged) and c (1); d (1) is not retrieved."""
    names = ["nDCG@10", "AP", "RR@10", "P@10", "R@100", "AP(rel=2)"]
    frame = effectiveness.evaluate(effectiveness.parse_measures(names), QRELS, ranked(RUN))
    values = frame.set_index(["query_id", "measure"])["value"]
    dcg = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    expected = {
        "nDCG@10": dcg / ideal,
        "AP": (1 / 2 + 2 / 4) / 3,
        "RR@10": 1 / 2,
        "P@10": 2 / 10,
        "R@100": 2 / 3,
        "AP(rel=2)": 1 / 2,
    }
    for name, value in expected.items():
        assert values["q1", name] == pytest.approx(value, abs=1e-9), name
    # q2 is judged and not ranked, q3 has no relevant document: both count as 0. q4 is ranked and not judged: left out.
    assert (values[["q2", "q3"]] == 0).all() and set(frame["query_id"]) == {"q1", "q2", "q3"}
    assert frame.equals(frame.sort_values(["query_id", "measure"], ignore_index=True)) and len(frame) == 18


def test_scores_closer_than_float32_keep_their_order() -> None:
    run = pd.DataFrame([("q2", "z", 1.0 + 1e-12), ("q2", "a", 1.0)], columns=["query_id", "doc_id", "score"])
    frame = effectiveness.evaluate(effectiveness.parse_measures(["RR", "RR@10", "P@1"]), QRELS, ranked(run))
    assert dict(frame[frame["query_id"] == "q2"][["measure", "value"]].to_numpy()) == {
        "RR": 0.5,
        "RR@10": 0.5,
        "P@1": 0,
    }


def test_names_are_as_ir_measures_prints_them() -> None:
    assert [str(measure) for measure in effectiveness.parse_measures(["AP(rel=1)", "RR(rel=2)@10"])] == [
        "AP",
        "RR(rel=2)@10",
    ]
    for bad in (["ndcg_cut.10"], ["nDGC@10"], ["nDCG@ten"], ["P"], ["AP(depth=3)"], ["AP", "AP(rel=1)"], []):
        with pytest.raises(InputError, match=bad[-1].replace("(", r"\(").replace(")", r"\)") if bad else "empty"):
            effectiveness.parse_measures(bad)


def measure(tmp_path: Path, run: pd.DataFrame, **options) -> Path:
    output = tmp_path / "metrics" / "manifest.json"
    keys = {"student": "be", "loss": "kl", "sampler": "random", "teacher": "electra", "seed": 1}
    arguments = {
        "spec": {"measures": {"demo": ["nDCG@10", "AP"]}, "keys": keys},
        "runs": runs(tmp_path / "runs", demo=run),
        "collections": ["demo"],
        "qrels": [collection(tmp_path / "collection")],
        "rankings": [ranking(tmp_path / "ranking", RUN)],
    }
    measure_runs.measure_runs(**(arguments | options), output=output)
    return output


def test_measure_runs_counts_what_the_means_contain(tmp_path: Path) -> None:
    output = measure(tmp_path, RUN)
    counts = json.loads(output.read_text())["counts"]["demo"]
    assert counts == {"queries": 3, "unretrieved": 1, "without_relevant": 1, "unjudged": 1}
    frame = read_table(output.parent / "metrics.parquet")
    assert list(frame.columns) == effectiveness.METRICS_SCHEMA.names and len(frame) == 6
    assert frame["seed"].tolist() == [1] * 6 and set(frame["loss"]) == {"kl"}
    assert frame["query_id"].tolist() == ["q1", "q1", "q2", "q2", "q3", "q3"]


def test_measure_runs_refuses_a_run_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks query q3, which the first stage retrieved"):
        measure(tmp_path, RUN[RUN["query_id"] != "q3"])
    with pytest.raises(InputError, match="lacks query q2, and it is judged"):
        measure(tmp_path, RUN, rankings=[])
    with pytest.raises(InputError, match="ranks query q4, which the collection lacks"):
        measure(tmp_path, RUN, qrels=[collection(tmp_path / "small", queries="q1 q2 q3")])
    with pytest.raises(InputError, match="qrels of demo are empty"):
        measure(tmp_path, RUN, qrels=[collection(tmp_path / "empty", QRELS[:0])])
    with pytest.raises(InputError, match="no measures for demo"):
        measure(tmp_path, RUN, spec={"measures": {}, "keys": {"student": "bm25"}})
    with pytest.raises(InputError, match="unknown key 'students'"):
        measure(tmp_path, RUN, spec={"measures": {"demo": ["AP"]}, "keys": {"students": "bm25"}})
    assert not (tmp_path / "metrics" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([("q", "a", 1, 2.0), ("q", "b", 3, 1.0)], "ranks that are not"),
        ([("q", "a", 1, 2.0), ("q", "b", 2, 3.0)], "a score above"),
        ([("q", "a", 1, 2.0), ("q", "a", 2, 1.0)], "a document twice"),
        ([("q", "a", 1, 2.0), ("q", "b", 2, math.nan)], "not a number"),
    ],
)
def test_a_broken_ranking_is_named(rows: list, fault: str) -> None:
    good = [("p", "a", 1, 0.0)]
    frame = pd.DataFrame([*rows, *good], columns=["query_id", "doc_id", "rank", "score"])
    with pytest.raises(InputError, match=f"run: query q has {fault}"):
        effectiveness.check_ranks(frame, "run")


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


VALUES = {"one": [0.2, 0.4], "two": [0.9], "three": [0.1, 0.1, 0.1, 0.5]}
DOMAINS = [
    {"name": "near", "collections": ["one"]},
    {"name": "far", "collections": ["one", {"name": "both", "collections": ["two", "three"]}]},
]
GRID = {"students": ["be", "ce"], "losses": ["lce", "kl"], "samplers": ["random"], "teachers": ["t_1"], "seeds": [0, 1]}
SPEC = GRID | {"domains": DOMAINS, "measures": ["nDCG@10", "AP"]}


def metrics(tmp_path: Path, keys: tuple, shift: float = 0.0) -> Path:
    """Metrics of one ranker: the values above, plus ``shift``; AP on one collection only."""
    rows = [
        (name, f"q{index}", measure, value + shift)
        for name, values in sorted(VALUES.items())
        for index, value in enumerate(values)
        for measure in (["AP", "nDCG@10"] if name == "one" else ["nDCG@10"])
    ]
    frame = pd.DataFrame(rows, columns=["collection", "query_id", "measure", "value"])
    named = dict(zip(effectiveness.KEYS, keys, strict=True))
    table = effectiveness.metrics_table(named, frame)
    folder = tmp_path / ".".join(map(str, keys))
    return artifact(folder, metrics=(table, effectiveness.METRICS_SCHEMA))


def all_metrics(tmp_path: Path) -> list[Path]:
    """BM25, a teacher, and four students with two seeds each; kl is better than lce, and seed 1 better than seed 0."""
    found = [metrics(tmp_path, ("bm25", "", "", "", None)), metrics(tmp_path, ("teacher", "", "", "t_1", None), 0.4)]
    for student in GRID["students"]:
        for loss, gain in (("lce", 0.1), ("kl", 0.2)):
            for seed in GRID["seeds"]:
                found.append(metrics(tmp_path, (student, loss, "random", "t_1", seed), gain + seed / 50))
    return found


def make_tables(tmp_path: Path, manifests: list[Path], spec: dict = SPEC) -> pd.DataFrame:
    collect_metrics.collect_metrics(metrics=manifests, output=tmp_path / "metrics.parquet")
    paths = {form: tmp_path / f"main.{form}" for form in ("csv", "md", "tex")}
    make_main_table.make_main_table(spec=spec, metrics=tmp_path / "metrics.parquet", **paths)
    return pd.read_csv(paths["csv"], keep_default_na=False)


def test_collected_metrics_do_not_depend_on_the_order_and_refuse_duplicates(tmp_path: Path) -> None:
    manifests = all_metrics(tmp_path)
    collect_metrics.collect_metrics(metrics=manifests, output=tmp_path / "a.parquet")
    collect_metrics.collect_metrics(metrics=manifests[::-1], output=tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    frame = read_table(tmp_path / "a.parquet")
    columns = [*effectiveness.KEYS, "collection", "query_id", "measure"]
    plain = frame.astype({name: str for name in columns if name != "seed"})
    assert plain.equals(plain.sort_values(columns, kind="stable")) and len(frame) == 10 * 9
    with pytest.raises(InputError, match="both measure student=bm25: give each ranker once"):
        collect_metrics.collect_metrics(metrics=[*manifests, manifests[0]], output=tmp_path / "c.parquet")
    assert not (tmp_path / "c.parquet").exists()


def test_main_table_rows_by_hand(tmp_path: Path) -> None:
    table = make_tables(tmp_path, all_metrics(tmp_path))
    assert list(table.columns) == (
        "student loss sampler teacher domain collection measure mean std_seed n_seeds n_queries".split()
    )
    first = [tuple(row) for row in table[:9].drop(columns=["student", "loss", "sampler", "teacher"]).to_numpy()]
    far = (0.3 + (0.9 + 0.2) / 2) / 2
    assert first == [
        ("near", "one", "nDCG@10", 0.3, "", 1, 2),
        ("near", "one", "AP", 0.3, "", 1, 2),
        ("near", "all", "nDCG@10", 0.3, "", 1, 2),
        ("near", "all", "AP", 0.3, "", 1, 2),
        ("far", "one", "nDCG@10", 0.3, "", 1, 2),
        ("far", "one", "AP", 0.3, "", 1, 2),
        ("far", "two", "nDCG@10", 0.9, "", 1, 1),
        ("far", "three", "nDCG@10", 0.2, "", 1, 4),
        ("far", "both", "nDCG@10", 0.55, "", 1, 5),
    ]
    assert tuple(table.iloc[9].drop(["student", "loss", "sampler", "teacher"])) == (
        "far",
        "all",
        "nDCG@10",
        far,
        "",
        1,
        7,
    )
    rankers = list(dict.fromkeys(map(tuple, table[["student", "loss", "sampler", "teacher"]].to_numpy())))
    students = [(student, loss, "random", "t_1") for student in ("be", "ce") for loss in ("lce", "kl")]
    assert rankers == [("bm25", "", "", ""), ("teacher", "", "", "t_1"), *students]
    row = table[(table["student"] == "ce") & (table["loss"] == "kl") & (table["collection"] == "all")].iloc[-1]
    assert row["mean"] == pytest.approx(far + 0.21, abs=1e-6) and row["n_seeds"] == 2
    assert float(row["std_seed"]) == pytest.approx(0.02 / math.sqrt(2), abs=1e-6)


def test_main_table_for_people(tmp_path: Path) -> None:
    make_tables(tmp_path, all_metrics(tmp_path))
    markdown = (tmp_path / "main.md").read_text().splitlines()
    tables = [line for line in markdown if line.startswith(("|", "#"))]
    assert tables[:2] == [
        "### nDCG@10",
        "| loss    | sampler   |           near be |           near ce |            far be |            far ce |",
    ]
    assert [cell.strip() for cell in tables[3].strip("|").split("|")] == [
        "BM25",
        "",
        "0.300",
        "0.300",
        "0.425",
        "0.425",
    ]
    assert [cell.strip() for cell in tables[6].strip("|").split("|")][:3] == ["kl", "random", "**0.510 ± 0.014**"]
    assert "near be" in tables[8] and "far be" not in tables[8], "AP is not measured everywhere in far"
    latex = (tmp_path / "main.tex").read_text()
    assert r" &  & \multicolumn{2}{c}{near} & \multicolumn{2}{c}{far} \\" in latex
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-6}" in latex
    assert r"kl & random & \textbf{0.510 $\pm$ 0.014} & \textbf{0.510 $\pm$ 0.014} & " in latex
    assert escape_latex("a_b & 5% \\") == r"a\_b \& 5\% \textbackslash{}"


def test_a_missing_cell_is_named(tmp_path: Path) -> None:
    manifests = all_metrics(tmp_path)
    with pytest.raises(InputError, match="lack nDCG@10 of student=ce loss=kl sampler=random teacher=t_1 seed=1 on one"):
        make_tables(tmp_path, manifests[:-1])
    with pytest.raises(InputError, match="lack the reference student=bm25"):
        make_tables(tmp_path, manifests[1:])
    with pytest.raises(InputError, match="lack the measure P@10"):
        make_tables(tmp_path, manifests, SPEC | {"measures": ["nDCG@10", "P@10"]})
    with pytest.raises(InputError, match="list of seeds is empty"):
        make_tables(tmp_path, manifests, SPEC | {"seeds": []})
    with pytest.raises(InputError, match="cannot hold 'one'"):
        make_tables(tmp_path, manifests, SPEC | {"domains": {"near": ["one", "one"]}})


def test_cells_agree_with_the_main_table(tmp_path: Path) -> None:
    manifest = metrics(tmp_path, ("be", "lce", "random", "t_1", 0))
    spec = {"domains": DOMAINS, "bootstrap": {"samples": 500, "seed": 0, "confidence": 0.95}}
    arguments = ["--spec", json.dumps(spec), "--metrics", str(manifest), "--output"]
    write_cell.main([*arguments, f"near={tmp_path}/near.csv", f"far={tmp_path}/far.csv"])
    near, far = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("near", "far"))
    assert list(near.columns) == ["measure", "value", "ci_low", "ci_high", "n_queries"]
    assert near["measure"].tolist() == ["AP", "nDCG@10"] and far["measure"].tolist() == ["nDCG@10"]
    assert far["value"].tolist() == [0.425] and far["n_queries"].tolist() == [7]
    # The collection `one` has two queries, so a mean of a resample is 0.2, 0.3 or 0.4.
    assert near[["ci_low", "ci_high"]].to_numpy().tolist() == [[0.2, 0.4], [0.2, 0.4]]
    assert (far["ci_low"] < 0.425).all() and (far["ci_high"] > 0.425).all()
    with pytest.raises(InputError, match="mild-shift is not a domain: it is one of near, far"):
        write_cell.main([*arguments, f"mild-shift={tmp_path}/x.csv"])
    with pytest.raises(InputError, match="DOMAIN=PATH"):
        write_cell.main([*arguments, "near"])


def test_weights_of_a_domain_add_up_to_one() -> None:
    near, far = parse_domains(DOMAINS)
    assert near.weights == {"one": 1.0} and far.weights == {"one": 0.5, "two": 0.25, "three": 0.25}
    for bad in ({}, {"near": []}, {"near": ["all"]}, [{"name": "near"}], [*DOMAINS, DOMAINS[0]]):
        with pytest.raises(InputError):
            parse_domains(bad)


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
    assert [str(measure) for measure in effectiveness.parse_measures(sorted(names))] == sorted(names)
