"""The factorial study: analysis of variance, effects' shares and sizes against others' code, and the table."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rendered import keep_figures, render
from scipy import stats
from statsmodels.stats.anova import AnovaRM

from workflow_scripts.analysis import measures
from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import call
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers, write_table
from workflow_scripts.studies import draw_factorial, factorial
from workflow_scripts.studies.make_factorial_table import BLOCK, CELLS, make_factorial_table

ONE = {"a": 1.0}
RULE = asdict(Rule(0.02, "absolute", 0.1, 0.05, confidence=0.95))


def test_anova_against_statsmodels_with_the_seed_as_subject() -> None:
    means = np.random.default_rng(2).normal(size=(3, 2, 4)) + np.arange(3)[:, None, None] + 5 * np.arange(4)
    rows = [(i, j, s, means[i, j, s]) for i, j, s in np.ndindex(*means.shape)]
    frame = pd.DataFrame(rows, columns=["a", "b", "seed", "y"])
    expected = AnovaRM(frame, "y", "seed", within=["a", "b"]).fit().anova_table
    table = factorial.anova(means, 0.95).set_index("source")
    effects, errors = ["locality", "entropy", "interaction"], ["locality:seed", "entropy:seed", "interaction:seed"]
    assert table.index.tolist() == [*effects, "seed", *errors]
    ours = table.loc[effects, ["f", "df", "error_df", "p"]].to_numpy(float)
    np.testing.assert_allclose(ours, expected.to_numpy(float), rtol=1e-8)
    assert table["df"].tolist() == [2, 1, 2, 3, 6, 3, 6]
    assert table["eta_squared"].sum() == pytest.approx(1)
    # By the definition of Olejnik and Algina: (SS - df MS_error) / (SS + (N - df) MS_error).
    ss, df = (table.loc[effects, name].to_numpy(float) for name in ("sum_squares", "df"))
    error = (table.loc[errors, "sum_squares"] / table.loc[errors, "df"]).to_numpy()
    expected = (ss - df * error) / (ss + (means.size - df) * error)
    assert table.loc[effects, "partial_omega_squared"].tolist() == pytest.approx(expected.tolist())
    assert table.loc[["seed", *errors], ["error_df", "f", "p", "partial_omega_squared"]].isna().all(axis=None)


def test_omega_squared_is_the_effects_share_at_any_number_of_seeds() -> None:
    # An interaction of +-1 in 2 x 2 cells with noise of variance 1: a share of .5. Partial epsilon squared is .8 at 50.
    generator = np.random.default_rng(4)
    cells = np.array([[1.0, -1.0], [-1.0, 1.0]])[..., None]
    for seeds in (10, 50):
        tables = [factorial.anova(cells + generator.normal(size=(2, 2, seeds)), 0.95) for _ in range(200)]
        rows = [table.set_index("source").loc["interaction"] for table in tables]
        assert np.mean([row["partial_omega_squared"] for row in rows]) == pytest.approx(0.5, abs=0.03)
        covered = [row["share_low"] <= 0.5 <= row["share_high"] for row in rows]
        assert np.mean(covered) == pytest.approx(0.95, abs=0.04)


def test_an_effect_without_error_is_not_tested() -> None:
    means = np.repeat(np.array([[0.1, 0.2], [0.3, 0.7]])[..., None], 3, axis=2) + np.array([0.1, 0.3, 0.7])
    # No spread over seeds, no spread at all, and none but rounding.
    for values in (means, np.full((3, 3, 3), 0.7), np.full((3, 3, 3), 0.7) + 1e-16 * np.arange(27).reshape(3, 3, 3)):
        table = factorial.anova(values, 0.95)
        assert table[["f", "p", "partial_omega_squared", "share_low"]].isna().all(axis=None)


def test_one_seed_leaves_nothing_to_test_the_anova_with() -> None:
    means = np.array([[[0.0], [1.0]], [[2.0], [7.0]]])
    table = factorial.anova(means, 0.95).set_index("source")
    assert table["sum_squares"].to_dict() == {"locality": 16, "entropy": 9, "interaction": 4}
    assert table.drop(columns=["df", "sum_squares", "eta_squared"]).isna().all(axis=None)


@pytest.mark.parametrize(("f", "df", "rest"), [(5.0, 2, 18), (1000.0, 1, 8), (0.4, 4, 18), (0.01, 4, 18)])
def test_the_share_is_the_noncentral_f_distribution_turned_round(f: float, df: int, rest: int) -> None:
    low, high = factorial.share_interval(f, df, rest, 90, 0.95)
    for end, probability in ((low, 0.975), (high, 0.025)):
        if end == 0:
            assert stats.f.cdf(f, df, rest) <= probability
        else:
            # F' <= f where its numerator's chi-square is at most df f w / rest, over all w of the denominator's.
            size, w = 90 * end / (1 - end), np.linspace(1e-9, 8 * rest + 60, 40_001)
            below = stats.ncx2.cdf(df * f * w / rest, df, size) * stats.chi2.pdf(w, rest)
            assert np.trapezoid(below, w) == pytest.approx(probability, abs=1e-6)


def test_the_sizes_by_hand() -> None:
    cells = np.array([[1.0, 2.0, 4.0], [0.0, 9.0, 9.0], [3.0, 5.0, 11.0]])
    sizes = {name: float((c * cells).sum()) for name, c in factorial.contrasts(3, 3).items()}
    assert sizes == pytest.approx(
        {"locality": 19 / 3 - 7 / 3, "entropy": 24 / 3 - 4 / 3, "interaction": 11 - 3 - 4 + 1}
    )


def test_one_seed_is_the_paired_t_test_of_the_contrast() -> None:
    values = np.random.default_rng(1).normal(size=(2, 3, 1, 40))
    contrast = values[1, 2, 0] - values[0, 2, 0] - values[1, 0, 0] + values[0, 0, 0]
    found = factorial.estimate({"a": values}, ONE, factorial.contrasts(2, 3)["interaction"])
    expected = stats.ttest_1samp(contrast, 0)
    assert found.mean.tolist() == pytest.approx([contrast.mean()])
    assert found.difference_p()[0] == pytest.approx(expected.pvalue) and found.degrees[0] == pytest.approx(39)
    table = factorial.analyse({"a": values}, ONE, margin=0.1, rule=Rule(**RULE)).set_index("source")
    ends = table.loc["interaction", ["ci_low", "ci_high"]].tolist()
    assert ends == pytest.approx(list(expected.confidence_interval(0.95)))


def test_without_noise_over_queries_the_test_of_the_size_is_the_anovas_and_the_t_test_over_seeds() -> None:
    values = np.repeat(np.random.default_rng(3).normal(size=(2, 2, 3, 1)), 30, axis=3)
    values = values + np.array([0.0, 3.0, -4.0])[:, None]
    table = factorial.analyse({"a": values}, ONE, margin=0.1, rule=Rule(**RULE)).set_index("source")
    effects = table.loc[["locality", "entropy", "interaction"]]
    assert ((effects["size"] / effects["error"]) ** 2).tolist() == pytest.approx(effects["f"].tolist())
    assert effects["p_size"].tolist() == pytest.approx(effects["p"].tolist())
    expected = stats.ttest_1samp(np.tensordot([[1, -1], [-1, 1]], values[..., 0], axes=2), 0)
    assert effects.loc["interaction", "p_size"] == pytest.approx(expected.pvalue)
    ends = effects.loc["interaction", ["ci_low", "ci_high"]].tolist()
    assert ends == pytest.approx(list(expected.confidence_interval(0.95)))


EFFECTS = ("locality", "entropy", "interaction")
SHARED = {"a seed": (1, 1), "a sampler": (3, 1), "a loss": (1, 3), "a cell": (3, 3)}
"""Cells of one seed that share a training's noise  # of (localities, entropies), apart."""


def study(
    generator: np.random.Generator,
    size: float,
    training: float,
    pair: float = 0.1,
    cell: float = 0.05,
    seeds: int = 3,
    queries: int = 60,
) -> np.ndarray:
    """3 x 3 cells, each effect of ``size`` from end to end, and every kind of noise that a contrast can hold.

    ``training``: standard deviation of each kind of :data:`SHARED` noise over seeds; ``cell``: what a cell does to a
    query whatever the seed; ``pair``: of a training and a query.
    """
    steps = np.linspace(-0.5, 0.5, 3)
    cells = size * (steps[:, None] + steps + np.outer(steps, steps))
    values = cells[..., None, None] + generator.normal(0, 0.2, queries)  # difficulty
    for shape in SHARED.values():
        values = values + generator.normal(0, training, (*shape, seeds, 1))
    return values + generator.normal(0, cell, (3, 3, 1, queries)) + generator.normal(0, pair, (3, 3, seeds, queries))


def simulate(
    generator: np.random.Generator, size: float, margin: float = 0.03, studies: int = 400, **noise: float
) -> pd.DataFrame:
    """By effect: how often a difference and an equivalence are shown, F rejects, the interval covers."""
    rows, rule = [], Rule(**RULE | {"margin": margin})
    for _ in range(studies):
        table = factorial.analyse({"a": study(generator, size, **noise)}, ONE, margin=margin, rule=rule)
        for effect in table.iloc[:3].itertuples():
            covered = effect.ci_low <= size <= effect.ci_high
            rows.append((effect.p_size <= 0.05, effect.p_equivalence <= 0.1, effect.p <= 0.05, covered))
    shares = np.reshape(rows, (studies, 3, 4)).mean(axis=0)
    return pd.DataFrame(shares, index=EFFECTS, columns=["different", "equivalent", "f", "interval"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "pair", "cell"),
    [(0.05, 0.05, 0.0), (0.02, 0.1, 0.05), (0.002, 0.1, 0.05)],
    ids=["seeds dominate", "both", "queries dominate"],
)
def test_errors_and_coverage_by_simulation(training: float, pair: float, cell: float) -> None:
    found = simulate(np.random.default_rng(7), 0.0, training=training, pair=pair, cell=cell)
    # 400 studies: two standard errors are 0.022.
    assert (found["interval"] >= 0.93).all() and (found["different"] <= 0.07).all()
    if cell == 0:
        assert found["f"].tolist() == pytest.approx([0.05] * 3, abs=0.025)
    if training == 0.002:
        # F takes what a cell does to these queries for an effect: it speaks of no others.
        assert (found["f"] > found["different"] + 0.02).all()


@pytest.mark.slow
def test_what_is_there_is_found() -> None:
    generator = np.random.default_rng(11)
    assert (simulate(generator, 0.4, studies=100, training=0.02)[["different", "f"]].min() > 0.9).all()
    assert (simulate(generator, 0.15, studies=100, training=0.002)["different"] > 0.9).all()
    # An effect of the margin's size is no equivalence; none at all is one.
    assert (simulate(generator, 0.1, margin=0.1, studies=200, training=0.005)["equivalent"] <= 0.14).all()
    assert (simulate(generator, 0.0, margin=0.2, studies=100, training=0.005)["equivalent"] > 0.9).all()


SAMPLERS, LOSSES, QUERIES = {"far": 0.0, "near": 1.0}, {"sharp": 0.25, "soft": 4.0}, [f"q{i:02}" for i in range(40)]


def artifact(manifest: Path, tables: dict[str, pd.DataFrame]) -> str:
    with ArtifactWriter(manifest, kind="test", spec={}) as writer:
        for name, frame in tables.items():
            frame.to_parquet(writer.path(name))
    return str(manifest)


class Files:
    """A tiny study on disk: ``a`` has an excess risk, three queries apart, ``b`` has none."""

    def __init__(self, folder: Path, seeds: list[int], interaction: float = 0.0) -> None:
        self.folder, self.seeds = folder, seeds
        generator = np.random.default_rng(0)
        difficulty = generator.uniform(0.2, 0.6, len(QUERIES))
        rows = [("bm25", "", "", "", None, name, q, "nDCG@10", 0.5) for name in "ab" for q in QUERIES]
        rows += self.risks(["bm25", "", "", "", None], generator, 0.5)
        for (i, sampler), (j, loss), seed in product(enumerate(SAMPLERS), enumerate(LOSSES), seeds):
            gain = 0.1 * i - 0.05 * j + interaction * i * j
            for name in "ab":
                values = difficulty + gain + generator.normal(0, 0.01, len(QUERIES))
                keys = ("be", loss, sampler, "t", seed, name)
                rows += [(*keys, query, "nDCG@10", value) for query, value in zip(QUERIES, values, strict=True)]
            rows += self.risks(["be", loss, sampler, "t", seed], generator, 0.3 - 0.1 * i + 0.1 * j)
        frame = pd.DataFrame(rows, columns=measures.METRICS_SCHEMA.names).astype({"seed": "Int32"})
        write_table(folder / "metrics.parquet", frame, measures.METRICS_SCHEMA)
        self.groups, self.labels = [], []
        for sampler, seed in product(SAMPLERS, seeds):
            pairs = pd.DataFrame(list(product(QUERIES, range(3))), columns=["query_id", "position"])
            pairs = pairs.assign(doc_id=[f"d{place}" for place in pairs["position"]], probability=0.1)
            scores = pairs.assign(score=generator.normal(0, 3 - 2 * SAMPLERS[sampler], len(pairs)))
            place = folder / "groups" / f"{sampler}{seed}"
            self.groups.append(artifact(place / "manifest.json", {"groups.parquet": pairs}))
            self.labels.append(artifact(place / "labels" / "manifest.json", {"labels.parquet": scores}))
        self.locality = folder / "locality.parquet"
        lines = [(sampler, "t", "diameter", 0.9 - 0.3 * share) for sampler, share in SAMPLERS.items()]
        columns = ["sampler", "teacher", "quantity", "value"]
        write_numbers(self.locality, pd.DataFrame([*lines, ("near", "t", "kappa", np.nan)], columns=columns), {})

    def risks(self, ranker: list, generator: np.random.Generator, mean: float) -> list[tuple]:
        values = mean + generator.normal(0, 0.05, len(QUERIES) - 3)
        return [(*ranker, "a", q, "excess risk", value) for q, value in zip(QUERIES[:-3], values, strict=True)]

    def make(self, **changes: object) -> tuple[pd.DataFrame, pd.DataFrame, str]:
        spec = {
            "students": ["be"],
            "losses": list(LOSSES),
            "samplers": list(SAMPLERS),
            "teachers": ["t"],
            "seeds": self.seeds,
            "locality": SAMPLERS,
            "entropy": LOSSES,
            "domains": {"known": ["a"], "unknown": ["a", "b"]},
            "measures": ["nDCG@10"],
            "rule": RULE,
        } | changes
        lists = {"labels": self.labels, "groups": self.groups}
        outputs = {"output": self.folder / "factorial.parquet", "cells": self.folder / "factorial_cells.parquet"}
        arguments = ["--spec", json.dumps(spec), "--metrics", str(self.folder / "metrics.parquet")]
        arguments += ["--locality", str(self.locality), *(f"--{name}={path}" for name, path in outputs.items())]
        for name, values in lists.items():
            arguments += [f"--{name}", *values]
        call(make_factorial_table, arguments)
        table, markdown = render("factorial", outputs["output"])
        cells, dials = render("factorial_cells", outputs["cells"])
        return table, cells, markdown + dials


def test_the_table_finds_what_was_put_in(tmp_path: Path) -> None:
    files = Files(tmp_path, [0, 1, 2])
    table, cells, markdown = files.make()
    assert tuple(table.columns) == (*BLOCK, *factorial.COLUMNS) and tuple(cells.columns) == CELLS
    found = table.set_index(["domain", "measure", "source"])
    outcomes = table.loc[(table["domain"] == "unknown") & (table["measure"] == "nDCG@10"), "outcome"]
    assert outcomes.dropna().tolist() == ["different", "different", "equivalent"]
    assert found.loc[("unknown", "nDCG@10", "locality"), "size"] == pytest.approx(0.1, abs=0.005)
    assert found.loc[("unknown", "nDCG@10", "entropy"), "size"] == pytest.approx(-0.05, abs=0.005)
    # Excess risk only where every collection of the domain has it.
    assert set(table.loc[table["measure"] == "excess risk", "domain"]) == {"known"}
    assert found.loc[("known", "excess risk", "locality"), "n_queries"] == 37
    assert found.loc[("known", "excess risk", "locality"), "size"] < -0.05
    assert "shown in 0 of 3 rows (≠), shown to be within ±0.02 in 2 (≈)" in markdown
    # What the dials did: diameter and two entropies of each share.
    far, near = (line.split("|") for line in markdown.splitlines() if line.startswith("| t "))
    assert [far[4].strip(), near[4].strip()] == ["0.900", "0.600"] and float(near[5]) < float(near[6])
    # A cell by hand.
    values = pd.read_parquet(tmp_path / "metrics.parquet").query("measure == 'nDCG@10'")
    values = values[(values["loss"] == "soft") & (values["sampler"] == "near") & (values["collection"] == "a")]
    seeds = values.groupby("seed")["value"].mean()
    chosen = (cells["loss"] == "soft") & (cells["sampler"] == "near") & (cells["measure"] == "nDCG@10")
    cell = cells[chosen & (cells["domain"] == "known")].iloc[0]
    assert (cell["mean"], cell["std_seed"]) == (
        pytest.approx(seeds.mean(), abs=1e-6),
        pytest.approx(seeds.std(), abs=1e-6),
    )
    assert cell["ci_low"] < cell["mean"] < cell["ci_high"]
    assert (cell["share"], cell["temperature"], cell["diameter"]) == (1.0, 4.0, pytest.approx(0.6))
    scores = [pd.read_parquet(Path(label).parent / "labels.parquet")["score"] for label in files.labels[3:]]
    entropy = np.mean([pairwise_entropy(part.to_numpy().reshape(-1, 3) / 4).mean() for part in scores])
    assert cell["entropy"] == pytest.approx(entropy, abs=1e-6)


def test_an_interaction_is_called_one_and_one_seed_covers_no_other(tmp_path: Path) -> None:
    table, cells, markdown = Files(tmp_path, [4], interaction=0.2).make()
    effects = table[table["measure"] == "nDCG@10"].set_index(["domain", "source"])
    assert effects.loc[("known", "interaction"), "outcome"] == "different"
    assert effects.loc[("known", "interaction"), "size"] == pytest.approx(0.2, abs=0.01)
    assert table[["f", "p", "partial_omega_squared"]].isna().all(axis=None) and "seed" not in set(table["source"])
    assert cells["std_seed"].isna().all()
    assert "The interaction is shown in 2 of 3 rows" in markdown and "another training would change" in markdown


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    files = Files(tmp_path, [0, 1])
    with pytest.raises(InputError, match="lack nDCG@10 of student=be loss=sharp sampler=far teacher=t seed=2 on a"):
        files.make(seeds=[0, 2])
    shared = RULE | {"margin": 0.1, "margin_of": "baseline"}
    table = files.make(rule=shared)[0].set_index(["domain", "measure", "source"])
    assert table.loc[("known", "nDCG@10", "interaction"), "margin"] == pytest.approx(0.05)
    assert table.loc[("known", "excess risk", "interaction"), "margin"] == pytest.approx(0.05, abs=0.002)
    whole, _ = read_numbers(files.locality)
    write_numbers(files.locality, whole[whole["sampler"] == "far"], {})
    with pytest.raises(InputError, match="no diameter of near under t"):
        files.make()


def test_the_figure_shows_the_cells_and_refuses_a_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, cells, _ = Files(tmp_path, [0, 1]).make()
    spec = {"students": ["be"], "teachers": ["t"], "domain": "known", "measures": ["nDCG@10", "excess risk"]}
    spec |= {"locality": list(SAMPLERS.items()), "entropy": list(LOSSES.items())}
    paths = {"cells": tmp_path / "factorial_cells.parquet", "png": tmp_path / "f.png", "pdf": tmp_path / "f.pdf"}
    drawn = keep_figures(monkeypatch, draw_factorial)
    draw_factorial.draw_factorial(spec=spec, **paths)
    panels = drawn[0].axes[:2]
    means = cells[cells["domain"] == "known"].set_index(["measure", "loss", "sampler"])["mean"]
    for panel, measure in zip(panels, spec["measures"], strict=True):
        shown = [[means[measure, loss, sampler] for sampler in SAMPLERS] for loss in LOSSES]
        np.testing.assert_allclose(panel.images[0].get_array(), shown, atol=1e-6)
        assert [text.get_text()[:5] for text in panel.texts] == [f"{mean:.3f}" for row in shown for mean in row]
    draw_factorial.draw_factorial(spec=spec | {"domain": "unknown"}, **paths)
    assert [panel.images[0].get_array().shape for panel in drawn[1].axes[:1]] == [(2, 2)]
    with pytest.raises(InputError, match="cells lack nDCG@10 of be under t, warm with far, on known"):
        draw_factorial.draw_factorial(spec=spec | {"entropy": [["warm", 2]]}, **paths)
