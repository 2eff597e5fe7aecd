"""Score profiles, power laws and smoothed histories against hand-computed values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rendered import keep_figures

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.report import draw_score_by_rank, draw_score_grid
from workflow_scripts.report.fit_profiles import fit_power_law, fit_profiles
from workflow_scripts.report.profile_scores import mean_profile, profile_scores
from workflow_scripts.report.profiles import domain_profiles
from workflow_scripts.report.smooth_curves import mean_curves, smooth
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.runs import write_run
from workflow_scripts.storage.tables import read_numbers


def ranking(**queries: list[float]) -> pd.DataFrame:
    rows = [(query, rank, score) for query, scores in queries.items() for rank, score in enumerate(scores, 1)]
    return pd.DataFrame(rows, columns=["query_id", "rank", "score"])


def test_profile_of_negative_scores_of_any_scale() -> None:
    # a spans [-9, -1], b [0, 1]; c has one candidate, d no spread: neither has a scale.
    ratios, scores, queries = mean_profile(ranking(a=[-1, -3, -5, -9], b=[1, 1, 0.5, 0], c=[4], d=[2, 2]), 4)
    assert queries == 2
    assert ratios.tolist() == [0.25, 0.5, 0.75, 1]
    assert scores.tolist() == pytest.approx([1, (0.75 + 1) / 2, 0.5, 0])
    # Two candidates on a grid of four: 1 up to the ratio 1/2, then straight down.
    assert mean_profile(ranking(a=[7, 3]), 4)[1].tolist() == pytest.approx([1, 1, 0.5, 0])
    with pytest.raises(InputError, match="different scores"):
        mean_profile(ranking(c=[4], d=[2, 2]), 4)


def test_power_law_is_recovered_and_the_range_respected() -> None:
    ratios = np.arange(1, 101) / 100
    scores = 0.3 * ratios**-0.4
    scores[60:] = 0
    law = fit_power_law(ratios, scores, [0, 0.5])
    assert law == pytest.approx({"scale": 0.3, "exponent": 0.4, "r_squared": 1})
    noisy = scores[:50] * np.exp(np.random.default_rng(0).normal(0, 0.2, 50))
    # numpy's polyfit weighs residuals, not their squares.
    slope, offset = np.polyfit(np.log(ratios[:50]), np.log(noisy), 1, w=np.sqrt(1 / ratios[:50]))
    law = fit_power_law(ratios[:50], noisy, [0, 1])
    assert (-law["exponent"], np.log(law["scale"])) == pytest.approx((slope, offset))
    for bad_range, message in (([0, 0.8], "not positive"), ([0.5, 0.51], "three points")):
        with pytest.raises(InputError, match=message):
            fit_power_law(ratios, scores, bad_range)


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
        students.append(tmp_path / str(seed) / "manifest.json")
        with ArtifactWriter(students[-1], kind="test", spec={}) as writer:
            columns = {"documents": [8, 16, 24], "loss": [1.0, 2.0, 3.0], "gradient_norm": norms}
            pd.DataFrame(columns).to_parquet(writer.path("history.parquet"))
    curves = mean_curves(students, 0.0)
    assert curves["gradient_norm"] == pytest.approx([3, 1, nan], nan_ok=True)
    assert curves["training_loss"].tolist() == [1, 2, 3]


@pytest.mark.slow
def test_figures_from_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    rankers = [["teacher", "", "", "base", None], ["be", "kl", "random", "base", 0], ["be", "kl", "random", "base", 1]]
    manifests = []
    for number, _ in enumerate(rankers):
        manifests.append(tmp_path / f"run{number}" / "manifest.json")
        with ArtifactWriter(manifests[-1], kind="test", spec={}) as writer:
            for collection in ("one", "two"):
                rows = [(f"q{query}", f"d{place}", rng.normal()) for query in range(4) for place in range(20)]
                frame = pd.DataFrame(rows, columns=["query_id", "doc_id", "score"])
                write_run(writer.path(f"{collection}.run.gz"), frame, "x")
    profiles = tmp_path / "profiles.parquet"
    spec = {"rankers": rankers, "collections": ["one", "two"], "points": 20}
    profile_scores(spec=spec, runs=manifests, output=profiles)
    frame = pd.read_parquet(profiles)
    assert len(frame) == 3 * 2 * 20
    domains = [{"name": "both", "collections": ["one", "two"]}, {"name": "second", "collections": ["two"]}]
    both = parse_domains(domains)[0]
    ratios, curves = domain_profiles(frame[frame["student"] == "be"], both)
    expected = frame[(frame["student"] == "be") & (frame["seed"] == 1)].groupby("rank_ratio")["score"].mean()
    assert curves.shape == (2, 20) and ratios[-1] == 1
    assert curves[1] == pytest.approx(expected.to_numpy())
    with pytest.raises(InputError, match="lacks the profile"):
        domain_profiles(frame[frame["collection"] == "one"], both)
    paths = {kind: tmp_path / f"figure.{kind}" for kind in ("png", "pdf")} | {"profiles": profiles}
    axes = {"students": ["be"], "teachers": ["base"], "domains": domains}
    by_rank = {**axes, "fit_range": [0, 0.5]}
    fit_profiles(spec=by_rank, profiles=profiles, output=tmp_path / "fits.parquet")
    fits, _ = read_numbers(tmp_path / "fits.parquet")
    assert fits["ranker"].tolist() == ["teacher", "be"] * 2
    drawn = keep_figures(monkeypatch, draw_score_by_rank)
    draw_score_by_rank.draw_score_by_rank(spec=by_rank, fits=tmp_path / "fits.parquet", **paths)
    first = paths["pdf"].read_bytes(), paths["png"].read_bytes()
    draw_score_by_rank.draw_score_by_rank(spec=by_rank, fits=tmp_path / "fits.parquet", **paths)
    assert (paths["pdf"].read_bytes(), paths["png"].read_bytes()) == first  # the same figure has the same bytes
    # Teacher, its fit, student, its fit: the lines are the means of the profiles, the fits those of the numbers.
    teacher, of_teacher, student, of_student = drawn[0].axes[0].lines
    mean = curves.mean(axis=0)
    assert student.get_ydata()[:-1] == pytest.approx(mean[:-1]) and np.isnan(student.get_ydata()[-1])
    for line, law in ((of_teacher, fits.iloc[0]), (of_student, fits.iloc[1])):
        assert line.get_ydata() == pytest.approx(law["scale"] * line.get_xdata() ** -law["exponent"])
    assert f"{fits['exponent'][0]:.2f}" in teacher.get_label()
    grid = keep_figures(monkeypatch, draw_score_grid)
    draw_score_grid.draw_score_grid(spec={**axes, "losses": ["kl"], "samplers": ["random"], "depth": 20}, **paths)
    shown = dict(zip(["teacher", "be"], grid[0].axes[0].lines, strict=True))
    assert shown["be"].get_xdata().tolist() == pytest.approx(list(range(1, 21)))
    assert shown["be"].get_ydata()[:-1] == pytest.approx(mean[:-1])
