"""Conclusions under several teachers and training collections, on metrics whose verdicts are known."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import RULE, table_spec, write_collection, write_metrics
from rendered import make_table

from workflow_scripts.analysis import measures
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.families import ONE_SEED, UNDECIDED
from workflow_scripts.analysis.inference import infer
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.tables import read_numbers, write_table
from workflow_scripts.studies.conclusions import BETTER, CHANGES, HOLDS, SAME_STUDENTS, WORSE, conclude, order_agreement
from workflow_scripts.studies.make_teachers_table import make_teachers_table
from workflow_scripts.studies.make_training_collections_table import make_training_collections_table

QUERIES = 80


def measured(tmp_path: Path, gains: dict[tuple[str, str], float], noise: dict[str, float] | None = None) -> Path:
    """Students of (sampler, teacher), two seeds each: difficulty, the cell's gain, noise by sampler or teacher."""
    generator, noise = np.random.default_rng(0), noise or {}
    base = generator.uniform(0.3, 0.5, QUERIES)
    values = {}
    for ((sampler, teacher), gain), seed in product(gains.items(), (0, 1)):
        deviation = noise.get(sampler, noise.get(teacher, 0.01))
        values["be", "kl", sampler, teacher, seed, "a"] = base + gain + generator.normal(0, deviation, QUERIES)
    values |= {("teacher", "", "", teacher, None, "a"): base for _, teacher in gains}
    return write_metrics(tmp_path / "metrics.parquet", values | {("bm25", "", "", "", None, "a"): base})


def compare_teachers(tmp_path: Path, samplers: list[str], teachers: list[str]) -> tuple[pd.DataFrame, str]:
    """The table of the metrics that lie there."""
    spec = table_spec(samplers=samplers, teachers=teachers, seeds=[0, 1])
    return make_table(make_teachers_table, spec, tmp_path / "teachers.parquet", metrics=tmp_path / "metrics.parquet")


@pytest.mark.parametrize(
    ("beyond", "within", "conclusion"),
    [
        ([1.0], [0.01], HOLDS),
        ([0.04, 1.0], [1.0, 0.01], CHANGES),
        ([0.06, 1.0], [1.0, 0.01], UNDECIDED),
        ([1.0, 1.0], [0.01, 0.09], HOLDS),
        ([1.0, 1.0], [0.01, 0.11], UNDECIDED),
        ([np.nan, 1.0], [np.nan, 0.01], ONE_SEED),
    ],
)
def test_what_becomes_of_a_comparison(beyond: list[float], within: list[float], conclusion: str) -> None:
    assert conclude(np.array(beyond), np.array(within), Rule(**RULE)) == conclusion


def test_the_same_verdict_under_both_teachers_does_not_hold_where_the_difference_changes(tmp_path: Path) -> None:
    # y is better than x under both, by .05 and by .25: the verdict stays, the difference does not.
    gains = {("x", "weak"): 0.0, ("y", "weak"): 0.05, ("x", "strong"): 0.0, ("y", "strong"): 0.25}
    path = measured(tmp_path, gains)
    compare_teachers(tmp_path, ["x", "y"], ["weak", "strong"])
    table, _ = read_numbers(tmp_path / "teachers.parquet")
    assert table.loc[table["scope"] == "comparison", "verdict"].tolist() == [WORSE, WORSE]
    row = table[table["scope"] == "conclusion"].iloc[0]
    assert row["verdict"] == CHANGES and row["value"] == pytest.approx(-0.2, abs=0.01)
    # Second implementation: four cells, a block for each teacher.
    values = QueryValues(path, ["nDCG@10"])
    cells = [("be", "kl", sampler, teacher) for teacher in ("weak", "strong") for sampler in "xy"]
    y = np.stack([[values.of(cell, [seed], "a", "nDCG@10") for seed in (0, 1)] for cell in cells])
    found = infer({"a": y}, {"a": 1.0}, np.array([[-1, 1, 1, -1]]), [[0, 1], [2, 3]])
    assert (row["ci_low"], row["ci_high"]) == pytest.approx([float(end[0]) for end in found.interval(0.95)])
    assert row["p"] == pytest.approx(float(found.beyond_p(0.02)[0]))


def test_a_change_is_shown_by_the_teachers_that_show_it(tmp_path: Path) -> None:
    # Under the loud teacher y may gain more, by noise alone; between the quiet ones it gains .1.
    gains = {("x", name): 0.0 for name in ("weak", "base", "loud")} | {("y", "weak"): 0.0, ("y", "base"): 0.1}
    measured(tmp_path, gains | {("y", "loud"): 0.4}, {"loud": 3.0})
    _, markdown = compare_teachers(tmp_path, ["x", "y"], ["weak", "base", "loud"])
    table, _ = read_numbers(tmp_path / "teachers.parquet")
    (row,) = table[table["scope"] == "conclusion"].to_dict("records")
    assert (row["verdict"], row["teacher"], row["teacher_b"]) == (CHANGES, "weak", "base")
    assert row["value"] == pytest.approx(-0.1, abs=0.01) and row["p"] <= 0.05
    assert (row["tested"], row["different"]) == (3, 1) and "of 6 comparisons in 4 families" in markdown


def test_a_first_measure_that_re_ranking_does_not_change_has_means_and_no_verdicts(tmp_path: Path) -> None:
    path = measured(tmp_path, {(name, of): 0.0 for name in "xy" for of in ("weak", "strong")})
    table = pd.read_parquet(path)
    write_table(path, pd.concat([table, table.assign(measure="R@100")]), measures.METRICS_SCHEMA)
    spec = table_spec(samplers=["x", "y"], teachers=["weak", "strong"], seeds=[0, 1], measures=["R@100", "nDCG@10"])
    _, markdown = make_table(make_teachers_table, spec, tmp_path / "teachers.parquet", metrics=path)
    shown = [line.split("|")[4].strip() for line in markdown.splitlines() if line.startswith("| near")]
    assert shown == ["", "x", "y", "order (tau)"] and "Of 0 conclusions" in markdown


def test_the_teacher_table_finds_what_was_put_in(tmp_path: Path) -> None:
    gains = {("x", "weak"): 0.0, ("y", "weak"): 0.10, ("z", "weak"): 0.05, ("loud", "weak"): 0.05}
    gains |= {("x", "strong"): 0.0, ("y", "strong"): 0.10, ("z", "strong"): 0.15, ("loud", "strong"): 0.066}
    measured(tmp_path, gains, {"loud": 0.04})
    table, markdown = compare_teachers(tmp_path, ["x", "y", "z", "loud"], ["weak", "strong"])
    concluded = table[table["scope"] == "conclusion"].set_index(["sampler", "sampler_b"])
    assert concluded["verdict"].to_dict() == {
        ("x", "y"): HOLDS,
        ("x", "z"): CHANGES,
        ("x", "loud"): UNDECIDED,
        ("y", "z"): CHANGES,
        ("y", "loud"): UNDECIDED,
        ("z", "loud"): CHANGES,
    }
    # y - z: +0.05 under the first teacher, -0.05 under the second.
    assert concluded.loc[("y", "z"), "value"] == pytest.approx(-0.1, abs=0.01)
    assert concluded.loc[("y", "z"), "ci_high"] < -0.08 and concluded.loc[("y", "z"), "p"] < 0.01
    compared = table[table["scope"] == "comparison"].set_index(["teacher", "sampler", "sampler_b"])["verdict"]
    assert (compared["weak", "y", "z"], compared["strong", "y", "z"]) == (BETTER, WORSE)
    (of_y,) = [line.split("|") for line in markdown.splitlines() if "| y  " in line]
    assert "place" not in table and of_y[5].strip().endswith("(1)") and of_y[6].strip().endswith("(2)")
    assert "Of 6 conclusions" in markdown and "1 hold under every teacher" in markdown and "3 change" in markdown
    assert "same under every teacher" not in markdown and "**changes**" in markdown


def test_students_that_read_no_teacher_are_no_evidence(tmp_path: Path) -> None:
    path = measured(tmp_path, {("x", "weak"): 0.0, ("y", "weak"): 0.1})
    frame = pd.read_parquet(path).astype({"teacher": str, "seed": "Int32"})
    copied = frame[frame["teacher"] == "weak"].assign(teacher="strong")
    write_table(path, pd.concat([frame, copied]), measures.METRICS_SCHEMA)
    table, markdown = compare_teachers(tmp_path, ["x", "y"], ["weak", "strong"])
    assert table.loc[table["scope"] == "conclusion", "verdict"].tolist() == [SAME_STUDENTS]
    assert "Of 0 conclusions" in markdown and "1 more are of students that read no teacher" in markdown


def test_kendalls_tau_by_hand() -> None:
    grid = Grid(["be"], ["kl"], ["w", "x", "y", "z"], ["one", "other", "flat"], [0])
    means = {"one": [1, 2, 3, 4], "other": [1, 2, 4, 3], "flat": [5, 5, 5, 5]}
    keys = ("be", "kl", "near", "nDCG@10")
    columns = ["student", "loss", "domain", "measure", "sampler", "teacher", "mean"]
    body = [
        (*keys, sampler, teacher, values[i]) for teacher, values in means.items() for i, sampler in enumerate("wxyz")
    ]
    found = order_agreement(pd.DataFrame(body, columns=columns), grid).set_index(["teacher_a", "teacher_b"])["tau"]
    # Of six pairs one is the other way round; where all are tied there is no order.
    assert found["one", "other"] == pytest.approx(4 / 6) and found.drop(("one", "other")).isna().all()


def training_spec(collections: list[str]) -> dict:
    functions = {"x": "near", "x2": "near", "y": "far", "y2": "far", "lone": "own"}
    trained = {name: {"collection": "two" if "2" in name else "one", "function": f} for name, f in functions.items()}
    more = {"trained_on": trained, "training_collections": collections, "shared": {"one": ["b"], "two": ["a"]}}
    return table_spec(samplers=list(functions), seeds=[0, 1], teacher_collections={"t": "one"}, **more)


def test_the_table_of_training_collections_finds_what_was_put_in(tmp_path: Path) -> None:
    gains = {("x", "t"): 0.0, ("x2", "t"): 0.06, ("y", "t"): 0.02, ("y2", "t"): 0.021, ("lone", "t"): 0.3}
    positives = [(query, document) for document in "de" for query in "abc"]
    paths = {"metrics": measured(tmp_path, gains)}
    sizes = {"one": 3, "two": 6}
    paths["collections"] = [
        write_collection(tmp_path / name, "abc", positives=positives[:size]) for name, size in sizes.items()
    ]

    def make(spec: dict) -> tuple[pd.DataFrame, str]:
        return make_table(make_training_collections_table, spec, tmp_path / "training_collections.parquet", **paths)

    table, markdown = make(training_spec(["one", "two"]))
    table = table.set_index("scope")
    found = table.loc[["difference"]].set_index("function")
    assert found["outcome"].to_dict() == {"near": "different", "far": "equivalent"}
    assert found.loc["near", "value"] == pytest.approx(0.06, abs=0.005), "the later collection minus the earlier"
    assert table.loc["positives", "value"].tolist() == [1, 2] and table.loc["queries", "value"].tolist() == [3, 3]
    assert set(table.loc[table["sampler"] == "x2", "training"]) == {"two"}
    caption, *lines = markdown.splitlines()
    # Below the two rows of sizes and the two references.
    cells = {line.split("|")[2].strip(): [bool(cell.strip()) for cell in line.split("|")[3:6]] for line in lines[7:10]}
    assert cells["own"] == [True, False, False] and cells["near"] == [True, True, True]
    assert "Of 2 differences 1 are shown (≠), 1 are equivalent (≈) and 0 undecided" in caption
    # b is of no domain, so nothing is to be said of it.
    own = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in lines
        if line.startswith("| one ") or line.startswith("| two ")
    ]
    assert own == [["one", "", "t"], ["two", "a", ""]]
    _, markdown = make(training_spec(["one", "two"]) | {"teacher_collections": {}})
    (unknown,) = [line for line in markdown.splitlines() if "not recorded" in line]
    assert unknown.split() == ["|", "not", "recorded", "|", "|", "t", "|"]
