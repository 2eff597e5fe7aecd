"""The factorial study: analysis of variance, effects' shares and sizes against others' code, and the table."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import RULE, table_spec, write_groups, write_labels, write_metrics
from rendered import keep_figures, make_table, render
from scipy import stats
from statsmodels.stats.anova import AnovaRM

from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.families import holm
from workflow_scripts.analysis.inference import infer
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.rectangles import rectangles
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers
from workflow_scripts.studies import draw_factorial, factorial
from workflow_scripts.studies.make_factorial_table import BLOCK, CELLS, make_factorial_table


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


def test_the_sizes_and_rectangles_by_hand() -> None:
    cells = np.array([[1.0, 2.0, 4.0], [0.0, 9.0, 9.0], [3.0, 5.0, 11.0]])
    assert (factorial.main_effects(3, 3) @ cells.ravel()).tolist() == pytest.approx([19 / 3 - 7 / 3, 24 / 3 - 4 / 3])
    found = rectangles(3, 3)
    assert len(found) == 9 and found[(0, 2), (0, 2)] @ cells.ravel() == 1 - 4 - 3 + 11
    assert found[(0, 1), (1, 2)] @ cells.ravel() == 2 - 4 - 9 + 9
    additive = np.add.outer([0.0, 3.0, 5.0], [1.0, 1.0, 7.0]).ravel()
    assert [rectangle @ additive for rectangle in found.values()] == [0] * 9


@pytest.mark.parametrize(
    ("p_difference", "p_equivalence", "outcome"),
    [
        ([0.01, 0.9], [0.9, 0.01], "different"),
        ([0.03, 0.9], [0.9, 0.01], "undecided"),
        ([0.03, 0.04], [0.04, 0.05], "equivalent"),
        ([0.9, 0.9], [0.01, 0.2], "undecided"),
        ([np.nan, np.nan], [np.nan, np.nan], "one seed"),
    ],
)
def test_what_the_rectangles_amount_to(p_difference: list, p_equivalence: list, outcome: str) -> None:
    """Any one for an interaction, Holm-corrected; each by itself for none, which needs no correction."""
    frame = pd.DataFrame({name: [0.0, 0.0] for name in factorial.JUDGED})
    frame = frame.assign(
        p_difference=p_difference,
        p_equivalence=p_equivalence,
        outcome="one seed" if np.isnan(p_difference[0]) else "undecided",
    )
    frame["p_difference_holm"] = holm(p_difference)
    rule = Rule(**RULE | {"alpha": 0.05})
    row = factorial.interaction(frame, list(rectangles(3, 2))[:2], (2, 2), rule)
    assert row["outcome"].tolist() == [outcome]


SAMPLERS, LOSSES, QUERIES = {"far": 0.0, "near": 1.0}, {"sharp": 0.25, "soft": 4.0}, [f"q{i:02}" for i in range(40)]


class Files:
    """A tiny study on disk: ``a`` has an excess risk, three queries apart, ``b`` has none."""

    def __init__(self, folder: Path, seeds: list[int], interaction: float = 0.0) -> None:
        self.folder, self.seeds = folder, seeds
        generator, size = np.random.default_rng(0), len(QUERIES)
        difficulty, bm25, values = generator.uniform(0.2, 0.6, size), ("bm25", "", "", "", None), {}
        values |= {(*bm25, name): np.full(size, 0.5) for name in "ab"}
        values[*bm25, "a", "excess risk"] = generator.normal(0.5, 0.05, size - 3)
        for (i, sampler), (j, loss), seed in product(enumerate(SAMPLERS), enumerate(LOSSES), seeds):
            gain = 0.1 * i - 0.05 * j + interaction * i * j
            for name in "ab":
                values["be", loss, sampler, "t", seed, name] = difficulty + gain + generator.normal(0, 0.01, size)
            risks = generator.normal(0.3 - 0.1 * i + 0.1 * j, 0.05, size - 3)
            values["be", loss, sampler, "t", seed, "a", "excess risk"] = risks
        write_metrics(folder / "metrics.parquet", values)
        drawn = {query: ["d0", "d1", "d2"] for query in QUERIES}
        self.groups, self.labels = [], []
        for sampler, seed in product(SAMPLERS, seeds):
            place, scores = folder / "groups" / f"{sampler}{seed}", generator.normal(size=3 * size)
            self.groups.append(write_groups(place, drawn))
            self.labels.append(write_labels(place / "labels", drawn, scores * (3 - 2 * SAMPLERS[sampler])))
        self.locality = folder / "locality.parquet"
        lines = [(sampler, "t", "diameter", 0.9 - 0.3 * share) for sampler, share in SAMPLERS.items()]
        columns = ["sampler", "teacher", "quantity", "value"]
        write_numbers(self.locality, pd.DataFrame([*lines, ("near", "t", "kappa", np.nan)], columns=columns), {})

    def make(self, **changes: object) -> tuple[pd.DataFrame, pd.DataFrame, str]:
        spec = table_spec(losses=list(LOSSES), samplers=list(SAMPLERS), seeds=self.seeds, interaction_margin=2)
        spec |= {"locality": SAMPLERS, "entropy": LOSSES, "domains": {"known": ["a"], "unknown": ["a", "b"]}}
        paths = {"metrics": self.folder / "metrics.parquet", "cells": self.folder / "factorial_cells.parquet"}
        paths |= {"locality": self.locality, "labels": self.labels, "groups": self.groups}
        table, markdown = make_table(make_factorial_table, spec | changes, self.folder / "factorial.parquet", **paths)
        cells, dials = render("factorial_cells", paths["cells"])
        return table, cells, markdown + dials


def test_the_table_finds_what_was_put_in(tmp_path: Path) -> None:
    files = Files(tmp_path, [0, 1, 2])
    table, cells, markdown = files.make()
    assert tuple(table.columns) == (*BLOCK, *factorial.COLUMNS) and tuple(cells.columns) == CELLS
    found = table.set_index(["domain", "measure", "source"])
    outcomes = table.loc[(table["domain"] == "unknown") & (table["measure"] == "nDCG@10"), "outcome"]
    assert outcomes.dropna().tolist() == ["different", "different", "equivalent", "equivalent"]
    assert found.loc[("unknown", "nDCG@10", "locality"), "difference"] == pytest.approx(0.1, abs=0.005)
    assert found.loc[("unknown", "nDCG@10", "entropy"), "difference"] == pytest.approx(-0.05, abs=0.005)
    assert found.loc[("unknown", "nDCG@10", "interaction"), "margin"] == 0.04
    # Second implementation: four cells are one block.
    values = QueryValues(tmp_path / "metrics.parquet", ["nDCG@10"])
    names = [("be", loss, sampler, "t") for sampler in SAMPLERS for loss in LOSSES]
    y = np.stack([[values.of(name, [seed], "a", "nDCG@10") for seed in range(3)] for name in names])
    expected = infer({"a": y}, {"a": 1.0}, np.array([[1, -1, -1, 1]]), [range(4)])
    row = found.loc[("known", "nDCG@10", "interaction")]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        [float(end[0]) for end in expected.interval(0.95)], rel=1e-4
    )
    assert row["p_equivalence"] == pytest.approx(float(expected.equivalence_p(0.04)[0]), rel=1e-4)
    # Excess risk only where every collection of the domain has it.
    assert set(table.loc[table["measure"] == "excess risk", "domain"]) == {"known"}
    assert found.loc[("known", "excess risk", "locality"), "n_queries"] == 37
    assert found.loc[("known", "excess risk", "locality"), "difference"] < -0.05
    assert "shown in 0 of 3 rows (≠), all its rectangles are within ±0.04 in" in markdown
    assert "comparisons in 6 families" in markdown
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


def test_an_interaction_is_called_one_and_one_seed_decides_nothing(tmp_path: Path) -> None:
    table = Files(tmp_path, [3, 4], interaction=0.2).make()[0]
    effects = table[table["measure"] == "nDCG@10"].set_index(["domain", "source"])
    assert effects.loc[("known", "interaction"), "outcome"] == "different"
    assert effects.loc[("known", "interaction"), "difference"] == pytest.approx(0.2, abs=0.01)
    table, cells, markdown = Files(tmp_path, [4], interaction=0.2).make()
    assert table[["f", "p", "partial_omega_squared", "p_difference"]].isna().all(axis=None)
    assert "seed" not in set(table["source"]) and set(table["outcome"].dropna()) == {"one seed"}
    assert cells[["std_seed", "ci_low"]].isna().all(axis=None)
    assert "The interaction is shown in 0 of 3 rows" in markdown and "there is no verdict" in markdown


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    files = Files(tmp_path, [0, 1])
    with pytest.raises(InputError, match="lack nDCG@10 of student=be loss=sharp sampler=far teacher=t seed=2 on a"):
        files.make(seeds=[0, 2])
    shared = RULE | {"margin": 0.1, "margin_of": "baseline"}
    table = files.make(rule=shared)[0].set_index(["domain", "measure", "source"])
    assert table.loc[("known", "nDCG@10", "locality"), "margin"] == pytest.approx(0.05)
    assert table.loc[("known", "excess risk", "interaction"), "margin"] == pytest.approx(0.1, abs=0.004)
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
