"""Paired tests against scipy and statsmodels, their errors by simulation, Holm and letters by hand, the table."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rendered import render
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from workflow_scripts.analysis import equivalence, measures, paired
from workflow_scripts.analysis.letters import compact_letters
from workflow_scripts.effectiveness.make_equivalence_table import make_equivalence_table
from workflow_scripts.storage.command import call
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table

ONE = {"a": 1.0}
HALVES = {"a": 0.5, "b": 0.5}
RULE = {
    "margin": 0.02,
    "margin_of": "absolute",
    "alpha": 0.1,
    "difference_alpha": 0.05,
    "randomisations": 500,
    "seed": 0,
    "confidence": 0.95,
}
GRID = {"students": ["be"], "losses": ["kl"], "samplers": ["x", "y", "z"], "teachers": ["t"], "seeds": [0, 1]}
DOMAINS = [{"name": "near", "collections": ["a"]}, {"name": "both", "collections": ["a", "b"]}]


def test_one_collection_is_the_paired_t_test_of_scipy_and_statsmodels() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.beta(2, 3, size=(2, 5, 40))
    found = paired.mean_difference({"a": one - other}, ONE)
    for row in range(5):
        known = stats.ttest_rel(one[row], other[row])
        assert found.difference_p()[row] == pytest.approx(known.pvalue, rel=1e-9)
        interval = known.confidence_interval(0.9)
        assert [end[row] for end in found.interval(0.9)] == pytest.approx([interval.low, interval.high], rel=1e-8)
        tost = ttost_paired(one[row], other[row], -0.05, 0.05)
        assert found.equivalence_p(0.05)[row] == pytest.approx(tost[0], rel=1e-8)
    # At its smallest margin a comparison is equivalent with p = alpha.
    assert found.equivalence_p(found.smallest_margin(0.1)) == pytest.approx([0.1] * 5)


def test_two_collections_by_hand_and_by_welch() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.1, 1, 12), generator.normal(0.3, 3, 30)
    found = paired.mean_difference({"a": a[None], "b": b[None]}, HALVES)
    assert found.mean[0] == pytest.approx((a.mean() + b.mean()) / 2)
    # mean(a) + mean(b) = mean(a) - mean(-b): Welch's test of a against -b is of the same statistic.
    known = stats.ttest_ind(a, -b, equal_var=False)
    assert found.difference_p()[0] == pytest.approx(known.pvalue, rel=1e-9)
    assert found.degrees[0] == pytest.approx(known.df, rel=1e-9)
    with pytest.raises(InputError, match="b has 1 query"):
        paired.mean_difference({"a": a[None], "b": b[None, :1]}, HALVES)


def test_where_nothing_varies() -> None:
    found = paired.mean_difference({"a": np.array([[0.0] * 4, [0.1 + 0.2 - 0.3] * 4, [0.005] * 4, [-0.5] * 4])}, ONE)
    assert found.difference_p().tolist() == [1, 1, 0, 0]
    assert found.equivalence_p(0.01).tolist() == [0, 0, 0, 1]


def test_randomisation_against_all_sign_flips() -> None:
    d = np.array([[0.5, 0.25, -0.25, 1.0, 0.0, 0.5, -0.125, 0.375]])
    flips = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1)
    exact = np.mean(np.abs(d[0] @ flips) >= d.sum())
    assert paired.randomisation_p({"a": d}, ONE, samples=20000, seed=0)[0] == pytest.approx(exact, abs=0.01)
    # Split into two collections of equal size and weight, the statistic is the same.
    halves = {"a": d[:, :4], "b": d[:, 4:]}
    assert paired.randomisation_p(halves, HALVES, samples=20000, seed=0)[0] == pytest.approx(exact, abs=0.01)


def test_holm_by_hand_and_against_statsmodels() -> None:
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    p = np.random.default_rng(0).uniform(size=9)
    assert paired.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_outcomes() -> None:
    decide = {"difference_alpha": 0.05, "alpha": 0.1}
    assert paired.outcome(0.04, 0.5, **decide) == "different"
    assert paired.outcome(0.8, 0.09, **decide) == "equivalent"
    assert paired.outcome(0.8, 0.5, **decide) == "undecided", "finding no difference shows nothing"
    assert paired.outcome(0.01, 0.01, **decide) == "equivalent", "a difference surely below the margin does not matter"


def test_both_errors_of_the_equivalence_test_by_simulation() -> None:
    """4000 experiments of 50 queries, sd 0.1, margin 0.03, one and two collections."""
    noise = np.random.default_rng(5).normal(0, 0.1, size=(4000, 100))

    def share(true_difference: float, weights: dict[str, float]) -> float:
        d = noise + true_difference
        differences = {name: d[:, 50 * place : 50 * place + 50] for place, name in enumerate(weights)}
        return float(np.mean(paired.mean_difference(differences, weights).equivalence_p(0.03) <= 0.1))

    # A difference of exactly the margin is called equivalent with probability alpha (and a larger one less often).
    for edge in (0.03, -0.03):
        assert share(edge, ONE) == pytest.approx(0.1, abs=0.015)
        assert share(edge, HALVES) == pytest.approx(0.1, abs=0.015)
    assert share(0.06, ONE) < 0.002
    # No difference is missed with the probability that the non-central t distribution gives.
    error = 0.1 / np.sqrt(50)
    power = 1 - 2 * stats.nct.cdf(stats.t.ppf(0.9, 49), 49, 0.03 / error)
    assert share(0.0, ONE) == pytest.approx(power, abs=0.025)
    assert share(0.0, HALVES) > share(0.0, ONE)


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


def metrics(tmp_path: Path, samplers: dict[str, float], noise: float = 0.01) -> Path:
    """Two seeds of each sampler, on 60 and 30 queries: a query's difficulty, the sampler's gain, noise."""
    generator = np.random.default_rng(0)
    difficulty = {"a": generator.uniform(0.2, 0.6, 60), "b": generator.uniform(0.2, 0.6, 30)}
    rows = []
    for sampler, gain in samplers.items():
        for seed in (0, 1):
            for collection, base in difficulty.items():
                values = base + gain + generator.normal(0, noise, len(base))
                rows += [
                    ("be", "kl", sampler, "t", seed, collection, f"q{i:02}", "nDCG@10", v) for i, v in enumerate(values)
                ]
    for collection, base in difficulty.items():
        rows += [("bm25", "", "", "", None, collection, f"q{i:02}", "nDCG@10", v) for i, v in enumerate(base)]
    frame = pd.DataFrame(rows, columns=measures.METRICS_SCHEMA.names).astype({"seed": "Int32"})
    write_table(tmp_path / "metrics.parquet", frame, measures.METRICS_SCHEMA)
    return tmp_path / "metrics.parquet"


def make(tmp_path: Path, path: Path, spec: dict) -> tuple[pd.DataFrame, str]:
    output = tmp_path / "equivalence.parquet"
    call(make_equivalence_table, ["--spec", json.dumps(spec), "--metrics", str(path), "--output", str(output)])
    return render("equivalence", output)


def test_the_table_finds_what_was_put_in(tmp_path: Path) -> None:
    path = metrics(tmp_path, {"x": 0.0, "y": 0.002, "z": 0.1})
    spec = GRID | {"domains": DOMAINS, "measures": ["nDCG@10"], "rule": RULE}
    table, markdown = make(tmp_path, path, spec)
    assert list(table.columns) == list(equivalence.COLUMNS) and len(table) == 6
    near = table[table["domain"] == "near"].set_index(["sampler_a", "sampler_b"])
    assert near["outcome"].to_dict() == {("x", "y"): "equivalent", ("x", "z"): "different", ("y", "z"): "different"}
    assert (near["n_queries"] == 60).all() and (table["n_seeds"] == 2).all() and (table["margin"] == 0.02).all()
    # The row by hand: seeds averaged first, sampler_a less sampler_b, Holm over the three pairs.
    values = pd.read_parquet(path).astype({"sampler": str, "collection": str, "query_id": str})
    mean = (
        values[values["collection"] == "a"].groupby(["sampler", "query_id"], observed=True)["value"].mean().unstack(0)
    )
    p = [stats.ttest_rel(mean[one], mean[other]).pvalue for one, other in combinations("xyz", 2)]
    assert near["p_difference"].tolist() == pytest.approx(p, rel=1e-4)
    assert near["p_difference_holm"].tolist() == pytest.approx(multipletests(p, method="holm")[1], rel=1e-4)
    assert near["mean_difference"].iloc[1] == pytest.approx((mean["x"] - mean["z"]).mean(), rel=1e-4)
    assert "of 6 pairs 4 are different (≠), 2 equivalent (≈) and 0 undecided (?)" in markdown
    assert "within ±0.02. Half" in markdown
    assert r"\approx$" in (tmp_path / "equivalence.tex").read_text()

    pq.write_table(pq.read_table(path), tmp_path / "groups.parquet", row_group_size=7)
    assert make(tmp_path, tmp_path / "groups.parquet", spec)[0].equals(table), "row groups may end anywhere"

    shared, markdown = make(tmp_path, path, spec | {"rule": RULE | {"margin": 0.05, "margin_of": "baseline"}})
    assert "within ±0.05 of BM25's nDCG@10" in markdown
    bm25 = values[values["student"] == "bm25"].groupby("collection")["value"].mean()
    assert shared["margin"].unique() == pytest.approx([0.05 * bm25["a"], 0.05 * bm25[["a", "b"]].mean()], rel=1e-4)


def test_one_sampler_leaves_nothing_to_compare(tmp_path: Path) -> None:
    path = metrics(tmp_path, {"x": 0.0})
    spec = GRID | {"samplers": ["x"], "domains": DOMAINS, "measures": ["nDCG@10"], "rule": RULE}
    table, markdown = make(tmp_path, path, spec)
    assert table.empty and "one sampler" in markdown


def test_a_hole_in_the_metrics_is_named(tmp_path: Path) -> None:
    path = metrics(tmp_path, {"x": 0.0, "y": 0.0})
    spec = GRID | {"domains": DOMAINS, "measures": ["nDCG@10"], "rule": RULE}
    with pytest.raises(InputError, match="lack nDCG@10 of student=be loss=kl sampler=z teacher=t seed=0 on a"):
        make(tmp_path, path, spec)
    frame = pd.read_parquet(path)
    write_table(tmp_path / "short.parquet", frame.iloc[1:].sort_index(ascending=False), measures.METRICS_SCHEMA)
    with pytest.raises(InputError, match="sampler=x teacher=t seed=0 has no nDCG@10 for query q00 of a"):
        make(tmp_path, tmp_path / "short.parquet", spec | {"samplers": ["x", "y"]})
    write_table(tmp_path / "twice.parquet", pd.concat([frame, frame.iloc[:1]]), measures.METRICS_SCHEMA)
    with pytest.raises(InputError, match="twice"):
        make(tmp_path, tmp_path / "twice.parquet", spec | {"samplers": ["x", "y"]})
