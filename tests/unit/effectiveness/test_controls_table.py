"""The controls table: pooled over cells by hand, and the rate of false calls against simulated trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import table_spec, write_metrics
from rendered import make_table
from scipy.stats import ttest_rel

from workflow_scripts.effectiveness.make_controls_table import called_different, make_controls_table
from workflow_scripts.storage.tables import read_numbers

NAMES = ("student", "loss", "sampler", "teacher")
# Two cells of a student, on three queries under the seeds 0 and 1.
VALUES = {
    ("be", "lce", "random", "none"): [[0.1, 0.2, 0.6], [0.3, 0.2, 0.7]],
    ("be", "kl", "random", "base"): [[0.5, 0.5, 0.8], [0.5, 0.2, 0.5]],
}


def test_a_cell_trained_again_by_hand(tmp_path: Path) -> None:
    controls = [{**dict(zip(NAMES, cell, strict=True)), "seeds": [0, 1]} for cell in VALUES]
    spec = table_spec(controls=controls, measures=["nDCG@10", "R@100"])
    values = {(*cell, seed, "a"): own for cell, both in VALUES.items() for seed, own in enumerate(both)}
    path = write_metrics(tmp_path / "metrics.parquet", values, spec["measures"])
    _, text = make_table(make_controls_table, spec, tmp_path / "controls.parquet", metrics=path)
    table, _ = read_numbers(tmp_path / "controls.parquet")
    # Recall of the candidates is not the ranker's.
    assert table[["loss", "measure", "n_cells", "df"]].values.tolist() == [
        ["lce", "nDCG@10", 1, 1],
        ["kl", "nDCG@10", 1, 1],
        ["all", "nDCG@10", 2, 2],
    ]
    # Means .3 and .4, then .6 and .4: variances .005 and .02. The seeds' differences less their mean are .1, -.1, 0
    # and .2, -.1, -.1; half of their squares is left over: .01 and .03 on 2 degrees of freedom, over 3 queries.
    assert table["sd"].tolist() == pytest.approx(np.sqrt([0.005, 0.02, 0.0125]))
    assert table["noise"].tolist() == pytest.approx(np.sqrt([0.01 / 6, 0.03 / 6, 0.04 / 12]))
    # Chi-squared of 2 degrees of freedom, -2 ln(1 - p): .0506 and 7.378.
    both = table.iloc[2]
    assert (both["sd_low"], both["sd_high"]) == (pytest.approx(0.05822, abs=1e-5), pytest.approx(0.70268, abs=1e-4))
    assert both["called"] == pytest.approx(0.3115, abs=1e-4)  # 2 Phi(-1.96 / sqrt(3.75))
    assert "over all losses of a student 31% to 31%" in text.replace("\n", " ")


def test_the_rate_is_that_of_a_paired_test_on_two_trainings_of_one_cell() -> None:
    generator = np.random.default_rng(0)
    training, noise, queries, pairs = 0.006, 0.09, 250, 4000
    shift = generator.normal(0, training * np.sqrt(2), size=(pairs, 1))
    differences = shift + generator.normal(0, noise * np.sqrt(2), size=(pairs, queries))
    found = (ttest_rel(differences, np.zeros_like(differences), axis=1).pvalue < 0.05).mean()
    both = noise**2 / queries
    assert found == pytest.approx(called_different(training**2 + both, both), abs=0.02)
    assert called_different(0.5 * both, both) == pytest.approx(0.05) and np.isnan(called_different(0, 0))
