"""Power: the reach of the demo's designs, what would decide a pair, and the table against its formulas by hand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import RULE, run_script, table_spec, write_metrics
from rendered import make_table
from scipy import stats

from workflow_scripts.analysis.power import Design, Pilot, detectable_difference, seeds_to_decide, smallest_margin
from workflow_scripts.effectiveness.make_equivalence_table import make_equivalence_table
from workflow_scripts.effectiveness.make_power_table import make_power_table

DEMO = Pilot(2 * 0.021**2 / 250, 2 * 0.09**2 / 250, 2 * 0.006**2, 249, 5)
"""Variances like the demo's: 250 queries, trainings .006 apart, seed x query noise .09, cell x query .021."""
GAINS = {"x": 0.0, "y": 0.001, "z": 0.5}
"""Of three samplers, one far better."""


@pytest.mark.parametrize(
    ("seeds", "alone", "family"), [(1, 0.046, 0.071), (3, 0.025, 0.038), (5, 0.018, 0.025), (10, 0.0125, 0.017)]
)
def test_detectable_differences_of_the_demo(seeds: int, alone: float, family: float) -> None:
    found = [detectable_difference(DEMO, Design(seeds), 0.05, in_family=in_family) for in_family in (False, True)]
    assert found == pytest.approx([alone, family], abs=0.0005)


def test_smallest_margins_and_more_queries() -> None:
    found = [smallest_margin(DEMO, Design(10), 0.05, in_family=in_family) for in_family in (False, True)]
    assert found == pytest.approx([0.013, 0.0175], abs=0.0005)
    # Queries without end leave what trainings differ by: kappa (t(.975, 8) + z(.8)) sqrt(T / 3).
    endless = detectable_difference(DEMO, Design(3, more_queries=1e9), 0.05, in_family=False)
    kappa = 1 + 0.23 / 2**0.6
    expected = kappa * (stats.t.ppf(0.975, 8) + stats.norm.ppf(0.8)) * np.sqrt(DEMO.training / 3)
    assert endless == pytest.approx(expected, rel=1e-3)


def test_seeds_that_would_decide_a_pair() -> None:
    alphas = {"alpha": 0.05, "difference_alpha": 0.05}
    for difference, margin in ((0.03, 0.01), (0.002, 0.02)):
        needed = seeds_to_decide(DEMO, -difference, margin, **alphas)
        reach = [
            difference >= detectable_difference(DEMO, Design(seeds), 0.05, in_family=True)
            or difference + smallest_margin(DEMO, Design(seeds), 0.05, in_family=True) <= margin
            for seeds in (needed - 1, needed)
        ]
        assert reach == [False, True]
    assert seeds_to_decide(DEMO, 0.001, 0.001, **alphas) is None


def make(tmp_path: Path, seeds: list[int], gains: Mapping[str, float] = GAINS, noise: float = 0.05) -> tuple:
    """The table and its text of samplers with their gains, on 40 queries."""
    generator = np.random.default_rng(0)
    values = {
        ("be", "kl", name, "t", seed, "a"): 0.4 + gains[name] + noise * generator.normal(0, 1, 40)
        for name, seed in product(gains, seeds)
    }
    path = write_metrics(tmp_path / "metrics.parquet", values)
    spec = table_spec(samplers=list(gains), seeds=seeds, rule=RULE | {"margin": 0.01, "alpha": 0.05})
    run_script(make_equivalence_table, spec, metrics=path, output=tmp_path / "equivalence.parquet")
    paths = {"metrics": path, "equivalence": tmp_path / "equivalence.parquet"}
    return make_table(make_power_table, spec, tmp_path / "power.parquet", **paths)


def test_the_table_by_hand(tmp_path: Path) -> None:
    table, text = make(tmp_path, [0, 1, 2])
    blocks, pairs = table[table["scope"] == "block"], table[table["scope"] == "pair"]
    assert blocks["seeds"].tolist() == [3, 5, 10] and blocks["is_own"].tolist() == [True, False, False]
    assert pairs[["sampler_a", "sampler_b"]].to_numpy().tolist() == [["x", "y"]]
    frame = pd.read_parquet(tmp_path / "metrics.parquet").astype({"sampler": str})
    y = np.stack([rows.pivot(index="seed", columns="query_id", values="value") for _, rows in frame.groupby("sampler")])
    means = y.mean(axis=2)
    rest = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
    pooled = 2 * (rest**2).sum() / (2 * 2) / 3
    components = []
    for one, other in ((0, 1), (0, 2), (1, 2)):
        d = y[one] - y[other]
        left = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
        both = (left**2).sum() / (2 * 39) / (3 * 40)
        components.append((max(d.mean(axis=0).var(ddof=1) / 40 - both, 0), 3 * both, 3 * max(pooled - both, 0)))
    pilot = Pilot(*np.median(components, axis=0).tolist(), 39, 3)
    for seeds, row in zip((3, 5, 10), blocks.itertuples(), strict=True):
        expected = [
            function(pilot, Design(seeds), 0.05, in_family=in_family)
            for function in (detectable_difference, smallest_margin)
            for in_family in (False, True)
        ]
        found = [row.difference_alone, row.difference_family, row.margin_alone, row.margin_family]
        assert found == pytest.approx(expected, rel=1e-4)
    assert f"3 seeds find differences of {blocks['difference_family'].iloc[0]:.3f}" in text
    assert "Of 1 undecided pairs" in text and "### Undecided pairs" in text


def test_one_seed_without_controls_plans_nothing(tmp_path: Path) -> None:
    table, text = make(tmp_path, [0])
    assert table.empty and "Nothing tells what training again changes, so nothing can be planned" in text


@pytest.mark.parametrize(
    ("gains", "noise", "why"),
    [({"x": 0.0}, 0.05, "The experiment has one sampler"), ({"x": 0.0, "y": 0.0}, 0, "No two samplers differ on any")],
)
def test_several_seeds_are_not_blamed_where_there_is_nothing_to_plan(
    tmp_path: Path, gains: Mapping[str, float], noise: float, why: str
) -> None:
    table, text = make(tmp_path, [0, 1, 2], gains, noise)
    assert table.empty and why in text and "training again" not in text
