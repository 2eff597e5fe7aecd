"""The pipelines table: spreads against pairs of pipelines and of samplers, and what counts as a pipeline's values."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import table_spec, write_metrics
from rendered import make_table

from workflow_scripts.storage.tables import read_numbers, write_numbers
from workflow_scripts.studies.make_pipelines_table import make_pipelines_table, spread

SAMPLERS, QUERIES, MEASURES = ["random", "bm25", "dense"], 40, ["nDCG@10", "R@100"]
KEYS = ("student", "loss", "domain", "measure")


def test_a_pipeline_is_a_seed_of_every_cell(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    gains = {"random": 0.0, "bm25": 0.2, "dense": 0.2}
    paths, means = [], np.zeros((len(SAMPLERS), 5))
    for pipeline in range(5):
        shift = generator.normal(0, 0.02)
        values = {}
        for place, sampler in enumerate(SAMPLERS):
            own = 0.4 + gains[sampler] + shift + generator.normal(0, 0.005) + generator.normal(0, 0.01, QUERIES)
            # Each has a seed of its own name; the first has a control too, which is no pipeline.
            values["be", "kl", sampler, "t", pipeline, "a"] = own
            means[place, pipeline] = own.mean()
        if pipeline == 0:
            values["be", "kl", "random", "t", 1, "a"] = np.full(QUERIES, 9.0)
        values["bm25", "", "", "", None, "a"] = np.full(QUERIES, 0.3)
        paths.append(write_metrics(tmp_path / f"{pipeline}.parquet", values, MEASURES))
    training = pd.DataFrame([("be", "kl", "near", "nDCG@10", 0.004, 8)], columns=[*KEYS, "sd", "df"])
    write_numbers(tmp_path / "controls.parquet", training, {})
    control = {"student": "be", "loss": "kl", "sampler": "random", "teacher": "t", "seeds": [0, 1]}
    spec = table_spec(samplers=SAMPLERS, measures=MEASURES, controls=[control])
    given = {"metrics": paths, "controls": tmp_path / "controls.parquet"}
    _, text = make_table(make_pipelines_table, spec, tmp_path / "pipelines.parquet", **given)
    table, _ = read_numbers(tmp_path / "pipelines.parquet")
    (row,) = table[table["scope"] == "spread"].to_dict("records")  # no row for the candidates' recall
    # A variance is half the mean square of the differences between pipelines.
    apart = [(means[:, one] - means[:, other]) ** 2 for one, other in combinations(range(5), 2)]
    assert row["sd"] == pytest.approx(np.sqrt(np.mean(apart) / 2))
    assert row["added"] == pytest.approx(np.sqrt(np.mean(apart) / 2 - 0.004**2))
    pairs = [np.var(means[one] - means[other], ddof=1) for one, other in combinations(range(3), 2)]
    assert row["sd_pair"] == pytest.approx(np.sqrt(np.mean(pairs)))
    outcomes = table[table["scope"] == "comparison"].set_index(["sampler_a", "sampler_b"])
    assert outcomes.loc[("random", "bm25"), "mean_difference"] == pytest.approx(means[0].mean() - means[1].mean())
    assert outcomes["outcome"].tolist() == ["different", "different", "equivalent"]
    assert (outcomes["n_seeds"] == 5).all()
    said = " ".join(text.split())
    assert "over 5 whole pipelines" in said and "given this training collection" in said
    assert "of training again (in squares); in 1 of 1 blocks the interval holds 0." in said


def test_five_pipelines_know_their_spread_by_a_factor() -> None:
    means = np.array([[-2.0, -1, 0, 1, 2]]) / np.sqrt(2.5)  # a standard deviation of 1
    row = spread(means, 0.5, 8, 0.95)
    # Chi-squared of 4 degrees of freedom: .4844 and 11.143.
    assert (row["sd"], row["sd_low"], row["sd_high"]) == pytest.approx((1, 0.5991, 2.8736), abs=1e-4)
    assert row["added"] == pytest.approx(np.sqrt(0.75)) and np.isnan(row["sd_pair"])
    assert row["added_low"] == 0 and row["added_high"] > row["sd_high"]
    assert spread(means, 2.0, 8, 0.95)["added"] == 0
