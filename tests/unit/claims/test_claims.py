"""Claims declared as data, and judged on experiments in which they hold, fail, and cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from factories import RULE, artifact, table_spec, write_metrics
from project import ROOT
from rendered import render
from scipy.stats import spearmanr, ttest_1samp

import audit.claims
from audit.__main__ import Tally
from audit.sources import KEYS, Sources, Values
from workflow_scripts.analysis.inference import infer
from workflow_scripts.analysis.power import Design, Pilot, one_sided_reach
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.claims.cell_claims import seeds_that_show
from workflow_scripts.claims.make_claims_table import make_claims_table
from workflow_scripts.claims.measured_claims import mean_rank_correlation
from workflow_scripts.claims.verdicts import (
    CONTRADICTED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Row,
    judge_claim,
    what_would_decide,
)
from workflow_scripts.experiment.config.claims import read_claims
from workflow_scripts.storage.tables import read_numbers, write_numbers

SHIPPED = read_claims(yaml.safe_load((ROOT / "config/claims.yaml").read_text()), "config/claims.yaml")
SAMPLERS = ["random", "bm25", "crossencoder", "ensemble", "dense"]
LOSSES = ["lce", "kl"]
CUTS = ["all queries", "lower-quartile", "middle-quarter", "upper-quartile"]
DOMAINS = {"near": ["a"], "far": ["b"]}


class Experiment:
    """Made metrics, costs, localities, curves and trainings of one student; ``gains``: of (loss, sampler) by domain."""

    def __init__(self, folder: Path, gains: Mapping, seeds: int = 4, noise: float = 0.003) -> None:
        self.folder, self.seeds = folder, list(range(seeds))
        generator = np.random.default_rng(0)
        base = {name: generator.uniform(0.3, 0.5, 120) for name in "ab"}
        cells = list(product(LOSSES, SAMPLERS)) + [("kl", f"bm25-{cut}") for cut in CUTS[1:]]
        cells += list(product(("kl-1", "kl-4"), ("near-0", "near-50", "near-100")))
        values = {}
        for (loss, sampler), seed, name in product(cells, self.seeds, "ab"):
            gain = gains.get((loss, sampler, name), gains.get((loss, sampler), 0.0))
            own = base[name] + gain + generator.normal(0, noise) + generator.normal(0, 0.02, 120)
            values["be", loss, sampler, "t", seed, name] = own
        write_metrics(folder / "metrics.parquet", values)
        costs = [("student", "be", loss, sampler, "t", 1.0 + SAMPLERS.index(sampler)) for loss, sampler in cells[:10]]
        self.write("cost", costs, ["scope", "student", "loss", "sampler", "teacher", "alone_wh"])
        self.quantities()
        self.curves(dict.fromkeys(("teacher", "be"), 1.0))
        self.trainings([-1.0, -2.0, -3.0, -4.0, -5.0])

    def write(self, name: str, rows: list, columns: list[str]) -> None:
        write_numbers(self.folder / f"{name}.parquet", pd.DataFrame(rows, columns=columns), {})

    def quantities(self, entropy: Mapping | None = None, bounded: float = 1.0) -> None:
        """Groups' entropies, all alike but for ``entropy`` (sampler to factor), and diameters that fall.

        ``bounded``: share of a hard sampler's queries whose kappa is finite.
        """
        generator, rows = np.random.default_rng(1), []
        for place, sampler in enumerate(SAMPLERS):
            for query in range(50):
                h = 0.4 * (entropy or {}).get(sampler, 1.0) + generator.normal(0, 0.02)
                rows += [(sampler, "t", f"q{query}", "entropy", h)]
                rows += [(sampler, "t", f"q{query}", "diameter", 0.5 - 0.03 * place + generator.normal(0, 0.02))]
        self.write("quantities", rows, ["sampler", "teacher", "query_id", "quantity", "value"])
        along = [(name, "t", "diameter", 0.5 - 0.03 * place) for place, name in enumerate(SAMPLERS)]
        along += [(name, "t", "kappa", 1.0 - 0.1 * place) for place, name in enumerate(SAMPLERS)]
        along += [(name, "t", "bounded", 1.0 if name == "random" else bounded) for name in SAMPLERS]
        self.write("locality", along, ["sampler", "teacher", "quantity", "value"])

    def curves(self, differences: Mapping[str, float]) -> None:
        rows = [
            ("near", name, "power law", "exponential", d, d - 0.1, d + 0.1, 1e-4, 2e-4)
            for name, d in differences.items()
        ]
        names = ["domain", "ranker", "form", "rival", "difference", "difference_low", "difference_high", "p", "p_holm"]
        self.write("curves", rows, names)

    def trainings(self, variances: list[float]) -> None:
        """Histories whose gradients' variance goes with the sampler as ``variances``, logarithms, tell."""
        self.students, self.keys = [], []
        dial = {"near-0": -1.0, "near-50": -2.0, "near-100": -3.0}
        levels = {**dict(zip(SAMPLERS, variances, strict=True)), **dial}
        cells = list(product(LOSSES, SAMPLERS)) + list(product(("kl-1", "kl-4"), dial))
        for (loss, sampler), seed in product(cells, self.seeds):
            norms = 1 + np.exp(levels[sampler] / 2 + 0.01 * seed) * np.tile([-1.0, 1.0], 20)
            frame = pd.DataFrame({"loss": np.full(40, 0.3 + 0.01 * levels[sampler]), "gradient_norm": norms})
            path = self.folder / f"{loss}.{sampler}{seed}" / "manifest.json"
            self.students.append(artifact(path, {"history.parquet": frame}))
            self.keys.append(["be", loss, sampler, "t", seed])

    def judge(self, claims: Mapping, **changes: object) -> pd.DataFrame:
        """The table's numbers."""
        spec = table_spec(losses=LOSSES, samplers=SAMPLERS, seeds=self.seeds, domains=DOMAINS, measure="nDCG@10")
        spec |= {"claims": claims, "distilling": ["kl"], "contrastive": ["lce"], "hard": SAMPLERS[1:], "warmup": 0.1}
        spec |= {"in_domain": ["near"], "trainings": self.keys, "rule": RULE | {"margin": 0.01, "alpha": 0.05}}
        kept = {cut: {"bm25": f"bm25-{cut}"} for cut in CUTS[1:]}
        spec["cuts"] = table_spec(samplers=["bm25"], seeds=self.seeds, cuts=kept)
        near = {"near-0": 0.0, "near-50": 0.5, "near-100": 1.0}
        spec["factorial"] = table_spec(losses=["kl-1", "kl-4"], samplers=list(near), seeds=self.seeds, locality=near)
        spec["factorial"]["interaction_margin"] = 2
        spec |= changes
        paths = {
            name: self.folder / f"{name}.parquet" for name in ("metrics", "cost", "locality", "quantities", "curves")
        }
        make_claims_table(spec=spec, students=self.students, output=self.folder / "claims.parquet", **paths)
        return read_numbers(self.folder / "claims.parquet")[0]

    def verdicts(self, claims: Mapping, **changes: object) -> dict[tuple[str, str], str]:
        """(claim, domain) to its verdict."""
        table = self.judge(claims, **changes).drop_duplicates(["claim", "domain"])
        return table.set_index(["claim", "domain"])["verdict"].to_dict()


def test_the_studys_claims_where_they_hold_and_where_they_fail(tmp_path: Path) -> None:
    """Contrastive training gains .1 by hard negatives and distillation nothing; ensembles gain .1 far away."""
    gains = {("lce", name): 0.1 for name in SAMPLERS[1:]} | {("kl", "ensemble", "b"): 0.1}
    cuts = {"lower-quartile": (0.0, 0.0), "middle-quarter": (0.1, 0.1), "upper-quartile": (0.05, -0.1)}
    gains |= {
        ("kl", f"bm25-{cut}", name): gain for cut, both in cuts.items() for name, gain in zip("ab", both, strict=True)
    }
    experiment = Experiment(tmp_path, gains)
    found = experiment.verdicts(SHIPPED)
    assert (found["c1", "near"], found["c1", "far"]) == (SUPPORTED, CONTRADICTED)
    assert (found["c2", "near"], found["c2-harmful", "near"]) == (SUPPORTED, UNDECIDED)
    assert found["c3", "near"] == SUPPORTED and found["c5", "far"] == SUPPORTED and ("c5", "near") not in found
    assert (found["c4", ""], found["c6", ""], found["c7", "near"]) == (SUPPORTED, SUPPORTED, CONTRADICTED)
    assert (found["c8", "near"], found["c8", "far"]) == (SUPPORTED, CONTRADICTED)
    table = read_numbers(tmp_path / "claims.parquet")[0]
    part = table[(table["claim"] == "c1") & (table["domain"] == "far")].iloc[0]
    # Second implementation: two cells of a block of five.
    values = QueryValues(tmp_path / "metrics.parquet", ["nDCG@10"])
    y = np.stack([[values.of(("be", "kl", name, "t"), [s], "b", "nDCG@10") for s in range(4)] for name in SAMPLERS])
    expected = infer({"b": y}, {"b": 1.0}, np.array([[0, -1, 0, 1, 0]]), [range(5)])
    assert part["estimate"] == pytest.approx(float(expected.mean[0]))
    assert part["p_opposite"] == pytest.approx(float(expected.above_p(0.01)[0]))
    assert (part["ci_low"], part["ci_high"]) == pytest.approx([float(end[0]) for end in expected.interval(0.95)])
    # A part that is shown in one domain and not in another is one contrast of signed weights.
    shift = table[(table["claim"] == "c5") & table["part"].str.contains("less the same in-domain")].iloc[0]
    assert shift["estimate"] == pytest.approx(-0.2 + 0.05, abs=0.02)
    dial = table[(table["claim"] == "c6") & ~table["counts"]].iloc[0]
    assert dial["estimate"] == pytest.approx(-2, abs=0.05) and dial["ci_high"] < 0
    _, markdown = render("claims", tmp_path / "claims.parquet")
    assert "9 claims" in markdown and "**contradicted**" in markdown and "each-hard" not in markdown


@pytest.mark.parametrize(
    ("mean", "queries", "said"),
    [
        (0.03, 1e-5, "seeds, to support it"),
        (-0.03, 1e-5, "seeds, to contradict it"),
        (0.03, 1e-2, "more queries (100 seeds on these would not)"),
        (-0.03, 1e-2, "more queries (100 seeds on these would not)"),
    ],
)
def test_what_is_undecided_waits_for_seeds_either_way_or_for_queries(mean: float, queries: float, said: str) -> None:
    """What the queries bring to the variance stays, however many seeds are trained."""
    plan = partial(seeds_that_show, Pilot(queries, 1e-4, 1e-3, 200, 5), mean, "above 0", 0.01)
    found = Finding("", mean, p=0.4, p_opposite=0.4, seeds=plan(0.05), seeds_against=partial(plan, opposite=True))
    waits = what_would_decide(Row("", findings=[found]), UNDECIDED, "cells", 0.05, 6)
    assert waits.lstrip("0123456789 ") == said
    if waits[0].isdigit():
        # Second path: at so many seeds the reach is below the estimate, and at one fewer it is not.
        level = 0.05 if mean > 0 else 0.05 / 6
        seeds = int(waits.split()[0])
        reaches = [one_sided_reach(Pilot(queries, 1e-4, 1e-3, 200, 5), Design(n), level) for n in (seeds - 1, seeds)]
        assert reaches[1] <= 0.03 < reaches[0]


def test_beyond_a_margin_is_shown_on_either_side() -> None:
    pilot = Pilot(1e-5, 1e-4, 1e-3, 200, 5)
    seeds = int(seeds_that_show(pilot, -0.03, "within margin", 0.01, 0.05, opposite=True))
    assert one_sided_reach(pilot, Design(seeds), 0.025) <= 0.02 < one_sided_reach(pilot, Design(seeds - 1), 0.025)


def test_what_cannot_be_told_says_why(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, {("kl", "ensemble"): 0.004}, seeds=2, noise=0.01)
    table = experiment.judge(SHIPPED, cuts=None, hard=[]).drop_duplicates(["claim", "domain"])
    found = table.set_index(["claim", "domain"])
    undecided = found.loc[("c1", "near")]
    assert undecided["verdict"] == UNDECIDED and undecided["decided_by"].endswith(" seeds, to support it")
    assert found.loc[("c2", "near"), "decided_by"] == "no sampler hard"
    assert found.loc[("c3", ""), "decided_by"] == "a factorial of fewer than 3 seeds"
    assert found.loc[("c5", ""), "decided_by"] == "no study of cuts"
    one = Experiment(tmp_path, {}, seeds=1).judge({"c1": SHIPPED["c1"]})
    assert set(one["verdict"]) == {NOT_TESTABLE} and set(one["decided_by"]) == {"one seed, no controls"}
    fewer = SAMPLERS[:4]
    few = Experiment(tmp_path, {}).judge({"c6": SHIPPED["c6"], "c1": SHIPPED["c1"]}, samplers=fewer[:3])
    assert few["decided_by"].unique().tolist() == ["3 of the 5 samplers that it takes", "no sampler ensemble"]
    # Pools that leave documents out have an infinite kappa; on their support it would fall where they narrow.
    mined = Experiment(tmp_path, {})
    mined.quantities(bounded=0.0)
    assert (
        mined.judge({"c6": SHIPPED["c6"]})["decided_by"].iloc[0]
        == "1 of the 5 samplers with a finite kappa that it takes"
    )


def test_controls_stand_in_for_seeds(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, {})
    again = [
        {"student": "be", "loss": loss, "sampler": sampler, "teacher": "t", "seeds": experiment.seeds}
        for loss, sampler in product(LOSSES, ("random", "ensemble"))
    ]
    table = experiment.judge({"c1": SHIPPED["c1"]}, seeds=[0], controls=again)
    assert set(table["basis"]) == {"one seed, controls"} and NOT_TESTABLE not in set(table["verdict"])
    assert "supported¹" in render("claims", tmp_path / "claims.parquet")[1]


def test_cheaper_is_part_of_the_claim(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, {})
    swapped = {
        "c8": {**SHIPPED["c8"], "parts": [{**SHIPPED["c8"]["parts"][0], "samplers": {"ensemble": 1, "bm25": -1}}]}
    }
    assert experiment.verdicts({"c8": SHIPPED["c8"]})["c8", "near"] == SUPPORTED
    assert set(experiment.judge(swapped)["decided_by"]) == {"a lower cost"}


def test_entropies_that_differ_twofold_contradict_that_mining_leaves_them(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, {})
    experiment.quantities({"random": 2.0})
    assert experiment.verdicts({"c4": SHIPPED["c4"]}) == {("c4", ""): CONTRADICTED}


class Recomputed(Values):
    """The audit's values, of made metrics."""

    def __init__(self, metrics: pd.DataFrame) -> None:
        super().__init__(Path(), metrics, False)
        for (*cell, seed, collection, measure), rows in metrics.groupby(KEYS, observed=True):
            self._measured[tuple(cell), int(seed), collection, measure] = dict(
                zip(rows["query_id"], rows["value"], strict=True)
            )


def audited(folder: Path, table: pd.DataFrame) -> None:
    """Hold a table of claims about cells to the audit's numbers."""
    spec = read_numbers(folder / "claims.parquet")[1]
    spec["domains"] = [{"name": name, "collections": members} for name, members in spec["domains"].items()]
    sources = Sources(folder)
    sources.written = {"metrics": pd.read_parquet(folder / "metrics.parquet")}
    sources.values = {"metrics": Recomputed(sources.written["metrics"])}
    sources.numbers = lambda name: read_numbers(folder / f"{name}.parquet")
    tally = Tally("claims", len(table))
    for index, columns in audit.claims.claims(table, spec, sources):
        for name, value in columns.items():
            tally.add(f"{table.loc[index, 'part']}: {name}", table.loc[index, name], value)
    assert tally.differ == [] and tally.number == len(table) * 11


OF_CELLS = {name: claim for name, claim in SHIPPED.items() if claim["test"] in ("cells", "factorial")}


def test_the_audit_finds_what_was_judged_over_several_seeds(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, {("kl", "bm25"): 0.02, ("lce", "ensemble"): 0.05, ("kl-4", "near-100"): 0.03})
    audited(tmp_path, experiment.judge(OF_CELLS))


def test_in_domain_is_the_rows_own_domain_or_the_mean_of_all_and_cuts_have_seeds_of_their_own(tmp_path: Path) -> None:
    """Two domains over the training corpus; cuts that were trained with two of the four seeds."""
    experiment = Experiment(tmp_path, {("kl", "ensemble", "b"): 0.1, ("kl", "bm25-middle-quarter", "b"): 0.08})
    metrics = pd.read_parquet(tmp_path / "metrics.parquet")
    cut = metrics["sampler"].str.contains("-quart") & (metrics["seed"] > 1)
    metrics[~cut].to_parquet(tmp_path / "metrics.parquet")
    own = {"samplers": {"ensemble": 1, "bm25": -1}, "domains": {"in-domain": 1}, "shown": "above 0"}
    cuts = table_spec(samplers=["bm25"], seeds=[0, 1], cuts={name: {"bm25": f"bm25-{name}"} for name in CUTS[1:]})
    declared = {"claims": {"own": {"sentence": "x", "source": "y", "test": "cells", "parts": [own]}}}
    claims, domains = read_claims(declared, "") | {"c5": SHIPPED["c5"]}, {"dl19": ["a"], "dl20": ["b"], "far": ["b"]}
    table = experiment.judge(claims, domains=domains, in_domain=["dl19", "dl20"], cuts=cuts)
    audited(tmp_path, table)
    found = table.groupby(["claim", "domain"])["estimate"].first()
    assert [found["own", name] for name in ("dl19", "dl20")] == pytest.approx([0.0, 0.05], abs=0.02)
    assert found["c5", "far"] == pytest.approx(0.04, abs=0.02)


def test_what_is_the_same_on_every_query_is_not_tested(tmp_path: Path) -> None:
    """Of a factorial's rectangles those alone that differ are asked for; a claim about cells needs all its parts."""
    experiment = Experiment(tmp_path, {})
    metrics = pd.read_parquet(tmp_path / "metrics.parquet")
    for name, like in (("ensemble", "bm25"), ("near-50", "near-0")):  # cells stand in one order
        copied = metrics.loc[metrics["sampler"] == like, "value"].to_numpy()
        metrics.loc[metrics["sampler"] == name, "value"] = copied
    metrics.to_parquet(tmp_path / "metrics.parquet")
    table = experiment.judge(OF_CELLS)
    audited(tmp_path, table)
    found = table.drop_duplicates(["claim", "domain"]).set_index(["claim", "domain"])
    assert found.loc[("c1", "near"), "decided_by"] == "the same on every query"
    assert found.loc[("c3", "near"), "verdict"] == SUPPORTED
    alike = table[(table["claim"] == "c3") & ~table["counts"]]
    assert len(alike) == 2 and set(alike["p"].isna()) == {True}


def test_groups_are_compared_by_a_t_test_over_queries(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, {})
    rows = read_numbers(tmp_path / "quantities.parquet")[0].pivot_table("value", "query_id", ["quantity", "sampler"])
    contrast = rows["entropy", "bm25"] - 0.8 * rows["entropy", "random"]
    found = experiment.judge({"c4": SHIPPED["c4"]})
    (row,) = found[found["part"].str.startswith("entropy: bm25 minus 0.8")].itertuples()
    tested = {side: ttest_1samp(contrast, 0, alternative=side).pvalue for side in ("greater", "less")}
    assert (row.p, row.p_opposite) == pytest.approx((tested["greater"], tested["less"]), rel=1e-9)


def test_the_samplers_are_the_sample_of_a_correlation() -> None:
    """Four cannot be told from chance, five in perfect order alone, however many students and losses agree."""
    ordered = np.arange(5.0)
    for number, smallest in ((4, 2 / 24), (5, 2 / 120)):
        blocks = np.tile(ordered[:number], (30, 1))
        assert mean_rank_correlation(blocks, ordered[:number]) == (pytest.approx(1), pytest.approx(smallest))
    swapped = np.array([1.0, 0, 2, 3, 4])
    rho, p = mean_rank_correlation(np.tile(swapped, (30, 1)), ordered)
    assert rho == pytest.approx(spearmanr(swapped, ordered).statistic) and p > 0.05
    generator = np.random.default_rng(0)
    blocks = generator.normal(size=(6, 5))
    expected = np.mean([spearmanr(block, ordered).statistic for block in blocks])
    assert mean_rank_correlation(blocks, ordered)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([(0.04, 0.9), (0.05, 0.9)], SUPPORTED),
        ([(0.04, 0.9), (0.06, 0.9)], UNDECIDED),
        ([(0.9, 0.01), (0.04, 0.9)], CONTRADICTED),
        ([(0.9, 0.02), (0.04, 0.9)], UNDECIDED),
        ([(np.nan, np.nan), (0.04, 0.9)], NOT_TESTABLE),
    ],
)
def test_all_parts_support_and_one_contradicts_if_corrected(parts: list, verdict: str) -> None:
    rows = [Row("t", findings=[Finding("", p=p, p_opposite=opposite) for p, opposite in parts]) for _ in range(2)]
    # Two rows of two parts: the smallest of four p-values has to be below .0125.
    rows[1] = Row("t", findings=[Finding("", p=0.9, p_opposite=0.9)] * 2)
    assert judge_claim(rows, 0.05)[0] == [verdict, UNDECIDED]
