"""Score profiles, power laws and smoothed histories against hand-computed values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact
from rendered import keep_figures, render
from scipy.optimize import curve_fit

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.report import draw_score_by_rank, draw_score_grid
from workflow_scripts.report.fit_profiles import fit_profiles, held_out_errors
from workflow_scripts.report.profile_scores import profile_scores, query_profiles
from workflow_scripts.report.profiles import domain_profiles
from workflow_scripts.report.rank_curves import fit_curve
from workflow_scripts.report.smooth_curves import mean_curves, smooth
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.storage.tables import read_numbers


def ranking(**queries: list[float]) -> pd.DataFrame:
    rows = [(query, rank, score) for query, scores in queries.items() for rank, score in enumerate(scores, 1)]
    return pd.DataFrame(rows, columns=["query_id", "rank", "score"])


def test_profile_of_negative_scores_of_any_scale() -> None:
    # a spans [-9, -1], b [0, 1]; c has one candidate, d no spread: neither has a scale.
    found = query_profiles(ranking(a=[-1, -3, -5, -9], b=[1, 1, 0.5, 0], c=[4], d=[2, 2]), 4)
    assert found.index.tolist() == ["a", "b"] and found.columns.tolist() == [0.25, 0.5, 0.75, 1]
    assert found.loc["a"].tolist() == pytest.approx([1, 0.75, 0.5, 0])
    assert found.mean().tolist() == pytest.approx([1, (0.75 + 1) / 2, 0.5, 0])
    # Two candidates on a grid of four: 1 up to the ratio 1/2, then straight down.
    assert query_profiles(ranking(a=[7, 3]), 4).loc["a"].tolist() == pytest.approx([1, 1, 0.5, 0])
    with pytest.raises(InputError, match="different scores"):
        query_profiles(ranking(c=[4], d=[2, 2]), 4)


RATIOS = np.arange(1, 51) / 100


def test_curves_are_recovered_and_equal_scipys() -> None:
    shapes = {"power law": RATIOS**-0.4, "exponential": np.exp(-3 * RATIOS)}
    shapes["stretched exponential"] = np.exp(-2 * RATIOS**0.6)
    noise = np.random.default_rng(0).normal(0, 0.02, 50)
    for form, shape in shapes.items():
        exact = fit_curve(form, RATIOS, 0.3 * shape[None])
        expected = {"power law": (0.4, 1), "exponential": (3, 1)}.get(form, (2, 0.6))
        assert (exact.rate[0], exact.stretch[0]) == pytest.approx(expected, rel=1e-4)
        assert exact.scale[0] == pytest.approx(0.3) and exact.at(RATIOS)[0] == pytest.approx(0.3 * shape)
        # numpy's and scipy's weights are of residuals, not of their squares.
        noisy, sigma = 0.3 * shape + noise, np.sqrt(RATIOS)

        def curve(r: np.ndarray, scale: float, rate: float, stretch: float = 1, form: str = form) -> np.ndarray:
            return scale * (r**-rate if form == "power law" else np.exp(-rate * r**stretch))

        start = (0.3, *expected)[: 3 if form == "stretched exponential" else 2]
        (scale, rate, *stretch), _ = curve_fit(curve, RATIOS, noisy, start, sigma)
        found = fit_curve(form, RATIOS, np.stack([noisy, shape]))
        assert (found.scale[0], found.rate[0]) == pytest.approx((scale, rate), rel=1e-3)
        assert found.stretch[0] == pytest.approx(stretch[0] if stretch else 1, rel=1e-3)


@pytest.mark.parametrize("form", ["power law", "exponential"])
def test_the_curve_that_made_the_scores_is_best_on_queries_that_were_not_fitted(form: str) -> None:
    generator = np.random.default_rng(1)
    shape = RATIOS**-0.5 if form == "power law" else np.exp(-4 * RATIOS)
    scores = 0.2 * shape * generator.gamma(4, 0.25, (60, 1)) + generator.normal(0, 0.01, (60, 50))
    (domain,) = parse_domains({"near": ["a"]})
    errors, rival = held_out_errors({"a": scores}, domain, RATIOS, seed=0)
    means = {name: values.mean() for name, values in errors["a"].items()}
    ordered = sorted(means, key=means.get)
    assert ordered[0] == form or means[ordered[0]] == pytest.approx(means[form], rel=1e-3)
    difference = errors["a"]["power law"] - errors["a"][rival]
    assert (difference.mean() < 0) == (form == "power law")
    # Second implementation of one query's error, held out of the fit to the half that it is not in.
    halves = np.random.default_rng(derive_seed(0, "halves", "a")).permutation(60) % 2
    curve = fit_curve(form, RATIOS, scores[halves != halves[7]].mean(axis=0)[None]).at(RATIOS)[0]
    expected = np.average((scores[7] - curve) ** 2, weights=1 / RATIOS)
    assert errors["a"][form][7] == pytest.approx(expected)


def test_smoothing_keeps_means_and_lines() -> None:
    line = np.arange(20.0)
    assert smooth(line, 5)[2:-2] == pytest.approx(line[2:-2])
    assert smooth(np.array([1.0, 4, 1, 4]), 3).tolist() == pytest.approx([2.5, 2, 3, 2.5])
    assert smooth(line, 0) == pytest.approx(line)


def test_steps_that_overflowed_are_left_out_of_the_means(tmp_path: Path) -> None:
    inf, nan = np.inf, np.nan
    assert smooth(np.array([1.0, inf, 4, 1, 4]), 3) == pytest.approx([1, 2.5, 2.5, 3, 2.5])
    assert smooth(np.array([nan, 2.0, 3]), 1) == pytest.approx([nan, 2, 3], nan_ok=True)
    students = []
    for seed, norms in enumerate(([2.0, inf, inf], [4.0, 1, inf])):
        history = pd.DataFrame({"documents": [8, 16, 24], "loss": [1.0, 2.0, 3.0], "gradient_norm": norms})
        students.append(artifact(tmp_path / str(seed) / "manifest.json", {"history.parquet": history}))
    curves = mean_curves(students, 0.0)
    assert curves["gradient_norm"] == pytest.approx([3, 1, nan], nan_ok=True)
    assert curves["training_loss"].tolist() == [1, 2, 3]


@pytest.mark.slow
def test_figures_from_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    rankers = [["teacher", "", "", "base", None], ["be", "kl", "random", "base", 0], ["be", "kl", "random", "base", 1]]
    manifests = []
    for number, _ in enumerate(rankers):
        files = {}
        for collection in ("one", "two"):
            rows = [(f"q{query}", f"d{place}", rng.normal()) for query in range(4) for place in range(20)]
            files[f"{collection}.run.gz"] = pd.DataFrame(rows, columns=["query_id", "doc_id", "score"])
        manifests.append(artifact(tmp_path / f"run{number}" / "manifest.json", files))
    profiles, queries = tmp_path / "profiles.parquet", tmp_path / "queries.parquet"
    spec = {"rankers": rankers, "collections": ["one", "two"], "points": 20}
    profile_scores(spec=spec, runs=manifests, output=profiles, queries=queries)
    frame = pd.read_parquet(profiles)
    assert len(frame) == 3 * 2 * 20
    collections = {"both": ["one", "two"], "second": ["two"], "first": ["one"]}
    domains = [{"name": name, "collections": members} for name, members in collections.items()]
    both = parse_domains(domains)[0]
    ratios, curves = domain_profiles(frame[frame["student"] == "be"], both)
    expected = frame[(frame["student"] == "be") & (frame["seed"] == 1)].groupby("rank_ratio")["score"].mean()
    assert curves.shape == (2, 20) and ratios[-1] == 1
    assert curves[1] == pytest.approx(expected.to_numpy())
    with pytest.raises(InputError, match="lacks the profile"):
        domain_profiles(frame[frame["collection"] == "one"], both)
    paths = {kind: tmp_path / f"figure.{kind}" for kind in ("png", "pdf")} | {"profiles": profiles}
    axes = {"students": ["be"], "teachers": ["base"], "domains": domains}
    by_query = pd.read_parquet(queries).query("student == 'be' and collection == 'one'")
    of_one = frame[(frame["student"] == "be") & (frame["collection"] == "one")].groupby("rank_ratio")["score"].mean()
    assert np.mean(by_query["scores"].to_list(), axis=0) == pytest.approx(of_one.to_numpy(), rel=1e-5)
    by_rank = {**axes, "fit_range": [0, 0.5], "bootstrap": {"samples": 20, "seed": 0, "confidence": 0.9}}
    fit_profiles(spec=by_rank, queries=queries, output=tmp_path / "fits.parquet")
    fits, _ = read_numbers(tmp_path / "fits.parquet")
    assert fits["ranker"].tolist() == (["teacher"] * 3 + ["be"] * 3) * 3
    assert fits.groupby(["domain", "ranker"])["best"].sum().tolist() == [1] * 6
    _, markdown = render("score_by_rank", tmp_path / "fits.parquet")
    assert "of 6 rows" in markdown and markdown.count("| second ") == 2
    drawn = keep_figures(monkeypatch, draw_score_by_rank)
    draw_score_by_rank.draw_score_by_rank(spec=by_rank, fits=tmp_path / "fits.parquet", **paths)
    first = paths["pdf"].read_bytes(), paths["png"].read_bytes()
    draw_score_by_rank.draw_score_by_rank(spec=by_rank, fits=tmp_path / "fits.parquet", **paths)
    assert (paths["pdf"].read_bytes(), paths["png"].read_bytes()) == first  # the same figure has the same bytes
    # Each line, its power law, its rival: the lines are the means of the profiles, the fits those of the numbers.
    teacher, of_teacher, _, student, of_student, _ = drawn[0].axes[0].lines
    mean = curves.mean(axis=0)
    assert student.get_ydata()[:-1] == pytest.approx(mean[:-1]) and np.isnan(student.get_ydata()[-1])
    for line, law in ((of_teacher, fits.iloc[0]), (of_student, fits.iloc[3])):
        assert line.get_ydata() == pytest.approx(law["scale"] * line.get_xdata() ** -law["rate"])
    assert f"{fits['rate'][0]:.2f}" in teacher.get_label()
    grid = keep_figures(monkeypatch, draw_score_grid)
    draw_score_grid.draw_score_grid(spec={**axes, "losses": ["kl"], "samplers": ["random"], "depth": 20}, **paths)
    shown = dict(zip(["teacher", "be"], grid[0].axes[0].lines, strict=True))
    assert shown["be"].get_xdata().tolist() == pytest.approx(list(range(1, 21)))
    assert shown["be"].get_ydata()[:-1] == pytest.approx(mean[:-1])
