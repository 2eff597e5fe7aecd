"""The equivalence table against the inference written a second time, its families and words; letters by hand."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from factories import RULE, table_spec, write_metrics
from rendered import make_table
from statsmodels.stats.multitest import multipletests

from audit.inference import by_members, ends, p_values, rows_of
from workflow_scripts.analysis import equivalence, measures
from workflow_scripts.analysis.letters import compact_letters
from workflow_scripts.effectiveness.make_equivalence_table import make_equivalence_table
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table

DOMAINS = [{"name": "near", "collections": ["a"]}, {"name": "all three", "collections": ["a", "b", "c"]}]
SPEC = table_spec(samplers=["x", "y", "z"], seeds=[0, 1, 2], domains=DOMAINS)
QUERIES = {"a": 60, "b": 30, "c": 20}


@pytest.mark.parametrize(
    ("different", "letters"),
    [
        ([], "a a a a"),
        (["wx", "wy", "wz", "xy", "xz", "yz"], "a b c d"),
        (["wy", "wz", "xz"], "a ab bc c"),
        (["wz"], "a ab ab b"),
        (["wx"], "a b ab ab"),
    ],
)
def test_letters_of_known_examples(different: list[str], letters: str) -> None:
    assert list(compact_letters("wxyz", list(map(tuple, different))).values()) == letters.split()


def test_letters_are_shared_exactly_where_items_do_not_differ() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        items = "abcdef"[: generator.integers(1, 7)]
        different = {pair for pair in combinations(items, 2) if generator.random() < 0.5}
        letters = compact_letters(items, sorted(different))
        for pair in combinations(items, 2):
            assert (not set(letters[pair[0]]) & set(letters[pair[1]])) == (pair in different)
        assert letters["a"].startswith("a")


def measured(tmp_path: Path, cells: dict[tuple[str, str, str], float], seeds: range, measure: str = "nDCG@10") -> Path:
    """Students of (loss, sampler, teacher), each with its gain: difficulty of a query, training and other noise."""
    generator = np.random.default_rng(0)
    difficulty = {name: generator.uniform(0.2, 0.6, count) for name, count in QUERIES.items()}
    values = {}
    for cell, gain in cells.items():
        for seed in seeds:
            training = generator.normal(0, 0.002)
            for name, base in difficulty.items():
                values["be", *cell, seed, name] = base + gain + training + generator.normal(0, 0.01, len(base))
    values |= {("bm25", "", "", "", None, name): base for name, base in difficulty.items()}
    return write_metrics(tmp_path / "metrics.parquet", values, [measure])


def samplers(**gains: float) -> dict[tuple[str, str, str], float]:
    return {("kl", name, "t"): gain for name, gain in gains.items()}


def arrays(path: Path, cells: list[tuple[str, str, str]], seeds: list[int]) -> dict[str, np.ndarray]:
    """Collection to the values of cells x seeds x queries, read without the project's reader."""
    frame = pd.read_parquet(path).astype(dict.fromkeys(("student", *measures.KEYS[1:4], "collection"), str))
    found = frame[frame["student"] == "be"].set_index(["loss", "sampler", "teacher", "seed", "collection"]).sort_index()
    return {
        name: np.array([[found.loc[(*cell, seed, name), "value"] for seed in seeds] for cell in cells])
        for name in QUERIES
    }


def make(tmp_path: Path, path: Path, spec: dict) -> tuple[pd.DataFrame, str]:
    return make_table(make_equivalence_table, spec, tmp_path / "equivalence.parquet", metrics=path)


def test_the_table_is_the_inference_written_twice(tmp_path: Path) -> None:
    path = measured(tmp_path, samplers(x=0.0, y=0.002, z=0.1), range(3))
    table, markdown = make(tmp_path, path, SPEC)
    assert list(table.columns) == list(equivalence.COLUMNS) and len(table) == 6
    y = arrays(path, list(samplers(x=0, y=0, z=0)), [0, 1, 2])
    weights = {"near": {"a": 1.0}, "all three": dict.fromkeys("abc", 1 / 3)}
    for domain, rows in table.groupby("domain"):
        w, p = weights[domain], {"difference": [], "equivalence": []}
        for (one, other), (_, row) in zip(combinations(range(3), 2), rows.iterrows(), strict=True):
            a = np.eye(3)[one] - np.eye(3)[other]
            estimate, *known, _ = rows_of(y, w, a, [[0, 1, 2]])
            expected = p_values(estimate, known, 0.02)
            assert [row["mean_difference"], row["ci_low"], row["ci_high"]] == pytest.approx(
                [estimate, *ends(estimate, known, 0.95)], rel=1e-4
            )
            assert row["p_equivalence"] == pytest.approx(expected["equivalence"], rel=1e-4)
            for name, values in p.items():
                values.append(expected[name])
            if domain == "all three":
                members = by_members(y, [{"a": 1.0}, {"b": 1.0}, {"c": 1.0}])
                estimate, *known = rows_of(members, {"members": 1.0}, a, [[0, 1, 2]])
                new = ends(estimate, known, 0.95)
                assert [row["new_ci_low"], row["new_ci_high"]] == pytest.approx(new, rel=1e-4)
        for name, values in p.items():
            assert rows[f"p_{name}_holm"].tolist() == pytest.approx(multipletests(values, method="holm")[1], rel=1e-4)
    near = table[table["domain"] == "near"].set_index(["sampler_a", "sampler_b"])
    assert near["outcome"].to_dict() == {("x", "y"): "equivalent", ("x", "z"): "different", ("y", "z"): "different"}
    assert (near["n_queries"] == 60).all() and (table["n_seeds"] == 3).all() and (table["margin"] == 0.02).all()
    assert near["new_ci_low"].isna().all() and table["new_outcome"].isna().all(), "three collections: intervals alone"
    assert "of 6 pairs 4 are different (≠), 2 equivalent (≈) and 0 undecided (?)" in markdown
    assert "within ±0.02; 0 rows" in markdown and "### Other collections of the same kind" in markdown
    assert "Called different: 4 of 6 comparisons in 2 families." in markdown and "about 0.1 of the families" in markdown
    assert r"\approx$" in (tmp_path / "equivalence.tex").read_text()

    pq.write_table(pq.read_table(path), tmp_path / "groups.parquet", row_group_size=7)
    assert make(tmp_path, tmp_path / "groups.parquet", SPEC)[0].equals(table), "row groups may end anywhere"

    shared, markdown = make(tmp_path, path, SPEC | {"rule": RULE | {"margin": 0.05, "margin_of": "baseline"}})
    assert "within ±0.05 of BM25's nDCG@10" in markdown
    bm25 = pd.read_parquet(path).query("student == 'bm25'").groupby("collection", observed=True)["value"].mean()
    assert shared["margin"].unique() == pytest.approx([0.05 * bm25["a"], 0.05 * bm25.mean()], rel=1e-4)


LOSSES = ("kl", "mse", "rank", "ce")
CONTROLS = [
    {"student": "be", "loss": loss, "sampler": sampler, "teacher": "none" if loss == "ce" else "t", "seeds": [0, 1]}
    for loss in LOSSES
    for sampler in "xz"
]
"""Two trainings more in each of four losses: 8 degrees of freedom; the loss ce reads no teacher."""


def one_seed_metrics(tmp_path: Path) -> Path:
    cells = {
        (loss, name, "none" if loss == "ce" else "t"): gain
        for loss in LOSSES
        for name, gain in (("x", 0), ("y", 0.004), ("z", 0.1))
    }
    return measured(tmp_path, cells, range(2))


def test_one_seed_has_verdicts_by_controls_alone(tmp_path: Path) -> None:
    path = one_seed_metrics(tmp_path)
    spec = SPEC | {"losses": list(LOSSES), "seeds": [0], "domains": DOMAINS[:1]}
    table, markdown = make(tmp_path, path, spec)
    assert set(table["outcome"]) == {"one seed"} and table["p_difference"].isna().all() and len(table) == 12
    assert "there is no verdict" in markdown and "≠" not in markdown and "Called different" not in markdown

    table, markdown = make(tmp_path, path, spec | {"controls": CONTROLS})
    assert set(table["basis"]) == {"one seed, controls"} and "one seed" not in set(table["outcome"])
    assert "≠¹" in markdown and "Called different: 8 of 12 comparisons in 4 families." in markdown
    y = arrays(path, [("ce", name, "none") for name in "xyz"], [0])
    students = [([0, 1, 2], [{"a": arrays(path, [tuple(map(c.get, KEYS))], [0, 1])["a"][0]} for c in CONTROLS])]
    estimate, *known, _ = rows_of(y, {"a": 1.0}, [1, -1, 0], [[0, 1, 2]], students)
    row = table[table["loss"] == "ce"].iloc[0]
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(ends(estimate, known, 0.95), rel=1e-4)

    few = [{**control, "seeds": [0]} if control["loss"] == "kl" else control for control in CONTROLS]
    assert set(make(tmp_path, path, spec | {"controls": few})[0]["outcome"]) == {"one seed"}, "6 degrees of freedom"
    more = [{**control, "seeds": [0, 1]} for control in CONTROLS if control["loss"] != "kl"]
    table = make(tmp_path, path, spec | {"controls": [*more, *more]})[0]
    assert set(table[table["outcome"] == "one seed"]["loss"]) == {"kl"}, "a loss without a control of its own"


KEYS = ("loss", "sampler", "teacher")


def test_cells_of_a_teacher_without_controls_have_one_seed(tmp_path: Path) -> None:
    cells = {("kl", name, teacher): 0.0 for name in "xyz" for teacher in "tu"} | {
        ("ce", name, "none"): 0.0 for name in "xyz"
    }
    path = measured(tmp_path, cells, range(5))
    controls = [
        {"student": "be", "loss": loss, "sampler": "x", "teacher": teacher, "seeds": [0, 1, 2, 3, 4]}
        for loss, teacher in (("kl", "t"), ("ce", "none"))
    ]
    spec = SPEC | {"losses": ["kl", "ce"], "teachers": ["t", "u"], "seeds": [0], "domains": DOMAINS[:1]}
    table = make(tmp_path, path, spec | {"controls": controls})[0]
    basis = table.groupby(["loss", "teacher"])["basis"].unique().apply(list).to_dict()
    known, unknown = ["one seed, controls"], ["one seed"]
    assert basis == {("kl", "t"): known, ("kl", "u"): unknown, ("ce", "t"): known, ("ce", "u"): known}


def test_cells_that_are_the_same_are_not_compared(tmp_path: Path) -> None:
    path = measured(tmp_path, samplers(x=0.0, y=0.0, z=0.1), range(3))
    frame = pd.read_parquet(path)
    same = frame["sampler"] == "y"
    frame.loc[same, "value"] = frame.loc[frame["sampler"] == "x", "value"].to_numpy()
    write_table(path, frame, measures.METRICS_SCHEMA)
    table, markdown = make(tmp_path, path, SPEC)
    row = table.iloc[0]
    assert row["outcome"] == "same" and np.isnan(row["p_difference"]) and row["mean_difference"] == 0
    pair = table.iloc[1:3]
    assert pair["p_difference_holm"].tolist() == pytest.approx(
        multipletests(pair["p_difference"], method="holm")[1], rel=1e-4
    ), "it is not of the family"
    assert "+0.000 = " in markdown and "4 of 4 comparisons" in markdown


def test_the_candidates_recall_has_no_verdict(tmp_path: Path) -> None:
    path = measured(tmp_path, samplers(x=0.0, y=0.0, z=0.1), range(3), measure="R@100")
    assert len(make(tmp_path, path, SPEC | {"measures": ["R@100"], "depth": 200})[0]) == 6
    assert make(tmp_path, path, SPEC | {"measures": ["R@100"]})[0].empty


def test_one_sampler_leaves_nothing_to_compare(tmp_path: Path) -> None:
    path = measured(tmp_path, samplers(x=0.0), range(3))
    table, markdown = make(tmp_path, path, SPEC | {"samplers": ["x"]})
    assert table.empty and "one sampler" in markdown


def test_a_hole_in_the_metrics_is_named(tmp_path: Path) -> None:
    path = measured(tmp_path, samplers(x=0.0, y=0.0), range(3))
    with pytest.raises(InputError, match="lack nDCG@10 of student=be loss=kl sampler=z teacher=t seed=0 on a"):
        make(tmp_path, path, SPEC)
    frame = pd.read_parquet(path)
    write_table(tmp_path / "short.parquet", frame.iloc[1:].sort_index(ascending=False), measures.METRICS_SCHEMA)
    with pytest.raises(InputError, match="sampler=x teacher=t seed=0 has no nDCG@10 for query q00 of a"):
        make(tmp_path, tmp_path / "short.parquet", SPEC | {"samplers": ["x", "y"]})
    write_table(tmp_path / "twice.parquet", pd.concat([frame, frame.iloc[:1]]), measures.METRICS_SCHEMA)
    with pytest.raises(InputError, match="twice"):
        make(tmp_path, tmp_path / "twice.parquet", SPEC | {"samplers": ["x", "y"]})
