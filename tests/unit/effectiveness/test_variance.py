"""Analysis of variance by hand, against statsmodels, on simulated components, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from factories import table_spec, write_metrics
from rendered import make_table
from scipy import stats
from statsmodels.stats.anova import anova_lm

from workflow_scripts.analysis.variance import decompose
from workflow_scripts.effectiveness.make_variance_table import make_variance_table


def test_two_factors_two_seeds_by_hand() -> None:
    # Cell means 1, 3 / 5, 11, seeds 1 apart from them: grand mean 5.
    values = np.array([[[0.0, 2.0], [2.0, 4.0]], [[4.0, 6.0], [10.0, 12.0]]])
    table = decompose(values, ["a", "b"]).set_index("source")
    assert table["sum_squares"].to_dict() == {"a": 72.0, "b": 32.0, "a:b": 8.0, "seed": 8.0}
    assert table["df"].to_dict() == {"a": 1, "b": 1, "a:b": 1, "seed": 4}
    assert table["f"].iloc[:3].tolist() == [36.0, 16.0, 4.0] and np.isnan(table.loc["seed", "f"])
    assert table["eta_squared"].sum() == pytest.approx(1)
    # s2 = 2; a:b (8 - 2) / 2 = 3; a (72 - 2 - 2 * 3) / 4 = 16; b (32 - 8) / 4 = 6.
    assert table["component"].to_dict() == pytest.approx({"a": 16, "b": 6, "a:b": 3, "seed": 2})


@pytest.mark.parametrize("seeds", [1, 3])
def test_rounding_has_no_share(seeds: int) -> None:
    """As R@100 of re-rankers, which all have one value: sums in another order differ in the last digit."""
    values = 0.653 + np.random.default_rng(0).integers(-1, 2, (2, 3, 4, seeds)) * 1e-16
    assert len(np.unique(values)) > 1
    table = decompose(values, ["student", "loss", "sampler"])
    assert (table["sum_squares"] == 0).all() and table[["eta_squared", "f", "p", "component_share"]].isna().all(
        axis=None
    )


@pytest.mark.parametrize("seeds", [1, 3])
def test_against_statsmodels_type_two(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(size=(2, 3, 4, seeds)) + np.arange(4)[:, None]
    rows = [(*map(str, levels[:3]), values[levels]) for levels in product(*map(range, values.shape))]
    frame = pd.DataFrame(rows, columns=["student", "loss", "sampler", "y"])
    formula = "student * loss * sampler" if seeds > 1 else "(student + loss + sampler) ** 2"
    known = anova_lm(smf.ols(f"y ~ {formula}", frame).fit(), typ=2)
    table = decompose(values, ["student", "loss", "sampler"]).set_index("source")
    rest = "seed" if seeds > 1 else "residual"
    assert set(table.index) == {*known.index[:-1], rest}
    known.index = [*known.index[:-1], rest]
    known = known.loc[table.index]
    for column, theirs in (("sum_squares", "sum_sq"), ("df", "df"), ("f", "F"), ("p", "PR(>F)")):
        np.testing.assert_allclose(table[column], known[theirs], rtol=1e-8)


def test_components_agree_with_a_mixed_model() -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(0, 2, size=(12, 1, 1)) + generator.normal(size=(12, 1, 5))
    table = decompose(values, ["sampler", "loss"]).set_index("source")
    frame = pd.DataFrame({"y": values.ravel(), "group": np.repeat(np.arange(12), 5)})
    model = smf.mixedlm("y ~ 1", frame, groups="group").fit(reml=True)
    assert table.loc["sampler", "component"] == pytest.approx(float(model.cov_re.iloc[0, 0]), rel=1e-3)
    assert table.loc["seed", "component"] == pytest.approx(model.scale, rel=1e-3)
    assert "loss" not in table.index


def test_pure_seed_noise_is_called_seed() -> None:
    shares = []
    for seed in range(50):
        table = decompose(np.random.default_rng(seed).normal(size=(2, 4, 4, 3)), ["student", "loss", "sampler"])
        shares.append(table.set_index("source")["component_share"])
    mean = pd.concat(shares, axis=1).mean(axis=1)
    # Not all, since components below 0 count as 0; eta^2 gives the seed its share of the degrees of freedom, 64 of 95.
    assert mean["seed"] > 0.78 > 64 / 95


def make(
    tmp_path: Path, seeds: list[int], samplers: list[str], trained: list[int] | None = None, controls: Sequence = ()
) -> tuple[pd.DataFrame, str]:
    generator = np.random.default_rng(0)
    values = {
        (student, "kl", sampler, "t", seed, collection): generator.uniform(size=3) + (student == "ce")
        for student, sampler, seed, collection in product(["be", "ce"], samplers, trained or seeds, "ab")
    }
    path = write_metrics(tmp_path / "metrics.parquet", values)
    spec = table_spec(students=["be", "ce"], samplers=samplers, seeds=seeds, controls=list(controls), confidence=0.9)
    spec["domains"] = [{"name": "both", "collections": ["a", "b"]}]
    return make_table(make_variance_table, spec, tmp_path / "variance.parquet", metrics=path)


def test_the_table_says_what_one_seed_cannot_tell(tmp_path: Path) -> None:
    table, text = make(tmp_path, [0, 1], ["x", "y", "z"])
    table = table[table["scope"] == "source"]
    assert table["source"].tolist() == ["student", "sampler", "student:sampler", "seed"]
    assert table["eta_squared"].iloc[0] > 0.7 and table["eta_squared"].sum() == pytest.approx(1, abs=1e-5)
    assert "2 trainings of one cell" in text
    table, text = make(tmp_path, [0], ["x", "y", "z"])
    assert table["source"].tolist() == ["student", "sampler", "residual"]
    assert "cannot be told from the interactions" in text
    # One factor, one seed: nothing is left to test against.
    table, _ = make(tmp_path, [0], ["x"])
    assert table["source"].tolist() == ["student"] and table["eta_squared"].tolist() == [1] and table["p"].isna().all()


def test_what_training_again_changes_by_hand(tmp_path: Path) -> None:
    table, text = make(tmp_path, [0, 1, 2], ["x", "y"])
    frame = pd.read_parquet(tmp_path / "metrics.parquet")
    frame = frame[(frame["student"] == "be")].astype({"sampler": str, "collection": str})
    by_query = {"index": ["sampler", "seed"], "columns": "query_id", "values": "value"}
    y = {name: rows.pivot(**by_query) for name, rows in frame.groupby("collection")}
    means = ((y["a"].mean(axis=1) + y["b"].mean(axis=1)) / 2).unstack()  # samplers x seeds
    rows = table[(table["scope"] == "cell") & (table["student"] == "be")].set_index("sampler")
    assert rows["mean"].tolist() == pytest.approx(means.mean(axis=1).tolist(), rel=1e-5)
    assert rows["sd"].tolist() == pytest.approx(means.std(axis=1).tolist(), rel=1e-5)
    squares = 0.0
    for of_collection in y.values():
        of_x = of_collection.loc["x"].to_numpy()
        rest = of_x - of_x.mean(0) - of_x.mean(1, keepdims=True) + of_x.mean()
        squares += (rest**2).sum() / (2 * 2) / 3 / 4
    assert rows.loc["x", "sd_noise"] == pytest.approx(np.sqrt(squares), rel=1e-5)
    largest = means.var(axis=1).clip(lower=means.var(axis=1).mean())
    for level, names in ((0.95, ("band_low", "band_high")), (1 - 0.05 / 4, ("joint_low", "joint_high"))):
        half = stats.t.ppf(level, 4) * np.sqrt(largest * 4 / 3)
        ends = [means.mean(axis=1) - half, means.mean(axis=1) + half]
        assert rows[list(names)].T.to_numpy() == pytest.approx(np.array(ends), rel=1e-4)
    assert "in 90% of cases" in text and "### Training again" in text

    controls = [{"student": "be", "loss": "kl", "sampler": "x", "teacher": "t", "seeds": list(range(9))}]
    table, text = make(tmp_path, [0], ["x", "y"], list(range(9)), controls)
    rows = table[table["scope"] == "cell"]
    assert set(rows["student"]) == {"be"} and rows["sd"].nunique() == 1 and "¹" in text, "ce has no controls"
    y = pd.read_parquet(tmp_path / "metrics.parquet").query("student == 'be' and sampler == 'x'")
    means = y.groupby(["seed", "collection"], observed=True)["value"].mean().groupby("seed").mean()
    assert rows["sd"].iloc[0] == pytest.approx(means.std(), rel=1e-5)
    variance = 2 * max(means.var() - rows["sd_noise"].iloc[0] ** 2, 0) + rows["sd_noise"].iloc[0] ** 2
    half = stats.t.ppf(0.95, 8) * np.sqrt(2 * variance)
    assert (rows["band_high"] - rows["band_low"]).iloc[0] / 2 == pytest.approx(half, rel=1e-4)


def test_one_trained_student_has_no_variance(tmp_path: Path) -> None:
    assert decompose(np.ones((1, 1, 1)), ["student", "loss"]).empty
