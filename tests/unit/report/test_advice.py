"""Advice: cheap where it is as good, dear where that is shown, undecided otherwise; its errors by simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import RULE, table_spec, write_metrics
from rendered import make_table

from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.inference import infer
from workflow_scripts.report.advice import USE, advise, choose, compare, pairwise
from workflow_scripts.report.make_advice_table import make_advice_table
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers

ONE = {"a": 1.0}
COST = np.array([1.0, 1.5, 2.0, 4.0])


def inference(values: np.ndarray):
    """Estimates of contrasts of candidates on one collection; ``values``  # (candidates, seeds, queries)."""
    return lambda contrasts: infer({"a": values}, ONE, contrasts, [range(len(values))])


def exact(gains: list[float], noise: list[float], seeds: int = 4) -> np.ndarray:
    """Values of 100 queries whose means are the gains, whatever the draws, and as noisy under every seed."""
    draws = np.random.default_rng(1).normal(0, 1, (len(gains), seeds, 100))
    return np.array(gains)[:, None, None] + np.array(noise)[:, None, None] * (draws - draws.mean(axis=2, keepdims=True))


def advice_for(gains: list[float], noise: list[float], budget: float | None = None) -> tuple:
    """Advice about four cells."""
    found = compare(inference(exact(gains, noise)), 4, margin=0.02, rule=Rule(**RULE))
    advice = advise(COST, np.array(gains), found, budget)
    return advice.kind, advice.recommended, advice.best, advice.least, advice.number


def test_each_kind_of_advice() -> None:
    quiet, loud = [0.01] * 4, [2.0] * 4
    assert advice_for([0.5, 0.5, 0.4, 0.501], quiet) == ("equivalent", 0, 3, 0, 4)
    assert advice_for([0.5, 0.6, 0.7, 0.4], quiet) == ("use", 2, 2, 2, 4)
    assert advice_for([0.5, 0.6, 0.7, 0.4], quiet, 1.5) == ("use", 1, 1, 1, 2)
    assert advice_for([0.5, 0.6, 0.7, 0.4], quiet, 1) == ("cheapest", 0, 0, 0, 1)
    assert advice_for([0.8, 0.6, 0.7, 0.4], quiet) == ("cheapest", 0, 0, 0, 4)
    assert advice_for([0.5, 0.55, 0.6, 0.4], loud) == ("undecided", None, 2, 0, 4)
    # The best mean is noise, the third is shown to be better than the cheapest; the second is not shown to be worse.
    assert advice_for([0.5, 0.5, 0.6, 0.65], [0.01, 0.01, 0.01, 4.0]) == ("use", 2, 3, 0, 4)


def test_one_seed_without_controls_advises_nothing_dearer() -> None:
    found = compare(inference(exact([0.5, 0.6], [0.01, 0.01], seeds=1)), 2, margin=0.02, rule=Rule(**RULE))
    assert advise(COST[:2], np.array([0.5, 0.6]), found, None).kind == "one seed"
    assert advise(COST[:2], np.array([0.6, 0.5]), found, None).kind == "cheapest"


@pytest.mark.slow
def test_the_dearer_is_advised_without_reason_at_most_as_often_as_alpha() -> None:
    """600 experiments of 3 seeds and 40 queries, eight cells of equal worth: the best of seven often looks better."""
    generator = np.random.default_rng(0)
    rule, advised, uncovered = Rule(**RULE), 0, 0
    for _ in range(600):
        values = generator.normal(0.4, 0.1, (8, 3, 40)) + generator.normal(0, 0.01, (8, 3, 1))
        comparisons = compare(inference(values), 8, margin=0.02, rule=rule)
        advised += advise(np.arange(1.0, 9.0), values.mean(axis=(1, 2)), comparisons, None).kind == USE
        uncovered += ((comparisons.low[1:] > 0) | (comparisons.high[1:] < 0)).any()
    assert advised / 600 <= 0.05 and uncovered / 600 <= 0.05


def test_a_difference_within_the_margin_makes_none_worse_and_no_choice() -> None:
    # 0.51 is shown to be above 0.5 and within 0.02 of it; 0.4 is worse than both.
    infer, rule = inference(exact([0.5, 0.51, 0.4], [0.01] * 3)), Rule(**RULE)
    outcomes, worse, counted = pairwise(infer, 3, margin=0.02, rule=rule)
    assert (counted["tested"], counted["different"]) == (3, 2) and counted["largest_p"] < 1e-6
    assert outcomes.tolist() == [
        ["equivalent", "equivalent", "different"],
        ["equivalent", "equivalent", "different"],
        ["different", "different", "equivalent"],
    ]
    assert np.argwhere(worse).tolist() == [[2, 0], [2, 1]]
    assert choose(infer, 3, margin=0.02, rule=rule)[:4] == ("undecided", 1, 0, "equivalent")
    assert choose(infer, 3, margin=0.001, rule=rule)[:4] == ("use", 1, 0, "different")
    # The rows of the cheapest follow its own outcomes, also where the larger family shows less.
    comparisons = compare(infer, 3, margin=0.02, rule=rule)
    assert comparisons.outcome == ["equivalent", "equivalent", "different"] and not comparisons.worse[0].any()


def write_inputs(tmp_path: Path) -> None:
    """Two losses, two samplers, two domains: ranknet.x is shown to be better in near, nothing in far."""
    generator = np.random.default_rng(0)
    gains = {("lce", "x"): 0.0, ("lce", "y"): 0.001, ("ranknet", "x"): 0.1, ("ranknet", "y"): 0.02}
    base = {"a": generator.uniform(0.2, 0.6, 60), "b": generator.uniform(0.2, 0.6, 40)}
    values, means, costs = {}, [], []
    for place, ((loss, sampler), gain) in enumerate(gains.items()):
        keys = ("be", loss, sampler, "t")
        costs.append(("student", "", *keys, 9.0, 1.5 + place))
        for domain, name in (("near", "a"), ("far", "b")):
            x = base[name] + (gain if name == "a" else 0)
            x = x + generator.normal(0, 0.01 if name == "a" else 0.3, (3, len(base[name])))
            values |= {(*keys, seed, name): x[seed] for seed in range(3)}
            means.append((*keys, domain, "all", "nDCG@10", x.mean(), x.mean(axis=1).std(ddof=1)))
    write_metrics(tmp_path / "metrics.parquet", values)
    names = ["student", "loss", "sampler", "teacher"]
    main = pd.DataFrame(means, columns=[*names, "domain", "collection", "measure", "mean", "std_seed"])
    cost = pd.DataFrame(costs, columns=["scope", "stage", *names, "energy_wh", "alone_wh"])
    cells = pd.DataFrame(gains, index=["gain"]).T.rename_axis(["loss", "sampler"]).reset_index()
    cells = cells.assign(student="be", teacher="t", domain="near", measure="nDCG@10")
    cells["temperature"] = cells["loss"].map({"lce": 1.0, "ranknet": 4.0})
    for name, table in {"main": main, "cost": cost, "factorial": cells}.items():
        write_numbers(tmp_path / f"{name}.parquet", table, {"seeds": [0, 1, 2]})


def make(tmp_path: Path, **changes: object) -> tuple[pd.DataFrame, str]:
    spec = table_spec(losses=["lce", "ranknet"], samplers=["x", "y"], seeds=[0, 1, 2], budgets=[1, 2, None])
    spec |= {"domains": [{"name": "near", "collections": ["a"]}, {"name": "far", "collections": ["b"]}]}
    paths = {name: tmp_path / f"{name}.parquet" for name in ("main", "cost", "metrics", "factorial")}
    spec |= {"measure": "nDCG@10", **changes}
    return make_table(make_advice_table, spec, tmp_path / "advice.parquet", **paths)


def test_the_table_and_its_evidence(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    rows, markdown = make(tmp_path)
    table = rows.fillna({"recommended": ""}).set_index(["question", "domain", "budget"]).sort_index()
    near = table.loc["cell", "near"]
    assert near["advice"].to_dict() == {"1": "cheapest", "2": "equivalent", "any": "use"}
    chosen = near.loc["any"]
    assert (chosen["recommended"], chosen["compared"], chosen["against"]) == ("ranknet.x.t", "ranknet.x.t", "lce.x.t")
    assert float(chosen["difference"]) == pytest.approx(0.1, abs=0.01) and float(chosen["ci_low"]) > 0.09
    assert float(chosen["recommended_cost"]) == pytest.approx(3.5 / 1.5, rel=1e-4) and chosen["n_queries"] == 60
    assert table.loc[("cell", "far", "any"), "advice"] in ("undecided", "cheapest")
    # Alone in the budget in both domains; used in one of two.
    assert near["holds_on"].tolist() == [2, 1, 1] and near["n_domains"].tolist() == [2, 2, 2]
    warm = table.loc["temperature", "near", "any"]
    assert (warm["advice"], str(warm["recommended"])) == ("use", "4")
    # Means of two samplers each: (0.1 + 0.02) / 2 - (0 + 0.001) / 2.
    assert float(warm["difference"]) == pytest.approx(0.0595, abs=0.005)
    assert "**use ranknet.x, better than lce.x**" in markdown and "use temperature 4" in markdown
    assert "Of 6 rows:" in markdown and "all 3 comparisons" in markdown
    # Three in each of two domains, and one of temperatures, whichever of them the rows show.
    assert "of 7 comparisons in 3 families" in markdown and "tested" not in rows
    # A margin that no temperature is outside of: nothing to advise.
    wide = make(tmp_path, rule=RULE | {"margin": 0.2})[0].set_index("question").loc["temperature"]
    assert (wide["advice"], wide["outcome"]) == ("undecided", "equivalent")


def test_a_cell_without_its_cost_or_mean_is_named(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    for file, message in (("main", "lacks nDCG@10 of be lce x t near"), ("cost", "no energy of be lce x t")):
        whole, _ = read_numbers(tmp_path / f"{file}.parquet")
        write_numbers(tmp_path / f"{file}.parquet", whole[1:], {})
        with pytest.raises(InputError, match=message):
            make(tmp_path)
        write_numbers(tmp_path / f"{file}.parquet", whole, {})
