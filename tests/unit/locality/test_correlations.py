"""Correlations against scipy, divergence by hand, the table on made-up runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact, table_spec, write_metrics
from rendered import make_table
from scipy import stats

from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.locality import make_correlation_table
from workflow_scripts.locality.candidates import listwise_divergence
from workflow_scripts.locality.correlations import pooled_correlation
from workflow_scripts.storage.errors import InputError


def test_one_collection_against_scipy() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=50)
    y = np.round(x + generator.normal(size=50), 1)  # with ties
    r, low, high = pooled_correlation({"a": (x, y)}, {"a": 1.0}, method="pearson", confidence=0.9)
    known = stats.pearsonr(x, y)
    interval = known.confidence_interval(0.9)
    assert (r, low, high) == pytest.approx((known.statistic, interval.low, interval.high))
    r, low, high = pooled_correlation({"a": (x, y)}, {"a": 1.0}, method="spearman", confidence=0.9)
    assert r == pytest.approx(stats.spearmanr(x, y).statistic)
    half = stats.norm.ppf(0.95) * np.sqrt((1 + r**2 / 2) / 47)
    assert (low, high) == pytest.approx((np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)))


def test_collections_are_not_pooled_raw() -> None:
    """Within each collection y falls with x; both are higher in the second, so that raw pooling would see a rise."""
    x = np.arange(10.0)
    y = -x + np.array([1, -1] * 5)
    pairs = {"a": (x, y), "b": (x + 100, y + 100)}
    r, low, high = pooled_correlation(pairs, {"a": 0.25, "b": 0.25}, method="pearson", confidence=0.95)
    assert r == pytest.approx(stats.pearsonr(x, y).statistic) and low < r < high < 0
    alone = pooled_correlation({"a": pairs["a"]}, {"a": 1.0}, method="pearson", confidence=0.95)
    assert high - low < alone[2] - alone[1], "two collections say more than one"
    constant = pooled_correlation({"a": (x, x * 0)}, {"a": 1.0}, method="spearman", confidence=0.95)
    assert np.isnan(constant).all()
    with pytest.raises(InputError, match="a has 3 queries"):
        pooled_correlation({"a": (x[:3], y[:3])}, {"a": 1.0}, method="pearson", confidence=0.95)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_intervals_cover_as_often_as_they_say(method: str) -> None:
    generator, rho, hits = np.random.default_rng(1), 0.5, 0
    truth = rho if method == "pearson" else 6 / np.pi * np.arcsin(rho / 2)
    for _ in range(600):
        x, y = generator.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 40).T
        _, low, high = pooled_correlation({"a": (x, y)}, {"a": 1.0}, method=method, confidence=0.9)
        hits += low <= truth <= high
    assert hits / 600 == pytest.approx(0.9, abs=0.03)


def test_divergence_by_hand() -> None:
    teacher, student = np.log([[0.5, 0.5], [0.25, 0.75]]), np.log([[0.5, 0.5], [0.5, 0.5]])
    expected = [0.0, 0.25 * np.log2(0.5) + 0.75 * np.log2(1.5)]
    assert listwise_divergence(teacher, student + 7) == pytest.approx(expected)


def runs(folder: Path, frame: pd.DataFrame) -> Path:
    return artifact(folder / "manifest.json", {"a.run.gz": frame})


def scored(seed: int) -> pd.DataFrame:
    """Twelve queries with five candidates, one with three, one with one."""
    sizes = {**{f"q{i:02}": 5 for i in range(12)}, "q12": 3, "q13": 1}
    rows = [(query, f"d{place}") for query, size in sizes.items() for place in range(size)]
    frame = pd.DataFrame(rows, columns=["query_id", "doc_id"])
    return frame.assign(score=np.round(np.random.default_rng(seed).normal(0, 2, len(frame)), 4))


def make(
    tmp_path: Path, teacher: Path, students: list[Path], temperature: float | None = None
) -> tuple[pd.DataFrame, str]:
    paths = {"metrics": tmp_path / "metrics.parquet", "teachers": [teacher], "students": students}
    if temperature is not None:
        paths["calibrations"] = artifact(tmp_path / "fitted/manifest.json", {}, counts={"temperature": temperature})
    spec = table_spec(seeds=[0, 1], measure="nDCG@10", depth=4, calibrated=["t"] * (temperature is not None))
    script = make_correlation_table.make_correlation_table
    return make_table(script, spec, tmp_path / "correlation.parquet", **paths)


def test_the_table_by_hand(tmp_path: Path) -> None:
    generator = np.random.default_rng(9)
    queries = [f"q{i:02}" for i in range(14)]  # all judged; q12 has three candidates, q13 one
    rankers = [("be", "kl", "x", "t", 0), ("be", "kl", "x", "t", 1), ("bm25", "", "", "", None)]
    rankers.append(("teacher", "", "", "t", None))
    values = {ranker: generator.uniform(size=14) for ranker in rankers}
    write_metrics(tmp_path / "metrics.parquet", {(*ranker, "a"): own for ranker, own in values.items()})
    # A query that was ranked and not judged is left out.
    extra = pd.DataFrame({"query_id": ["q99"] * 2, "doc_id": ["d0", "d1"], "score": [1.0, 2.0]})
    teacher, students = pd.concat([scored(0), extra]), [scored(1), scored(2)]
    manifests = [runs(tmp_path / f"s{seed}", student) for seed, student in enumerate(students)]
    table, text = make(tmp_path, runs(tmp_path / "teacher", teacher), manifests)
    assert list(table.columns) == list(make_correlation_table.COLUMNS)
    assert (table["n_queries"] == 13).all()

    entropy, divergence = [], []
    for query in queries[:13]:
        best = teacher[teacher["query_id"] == query].nlargest(4, "score").set_index("doc_id")["score"]
        entropy.append(pairwise_entropy(best.to_numpy()[None])[0])
        matched = [run[run["query_id"] == query].set_index("doc_id")["score"][best.index] for run in students]
        p = np.exp(best) / np.exp(best).sum()
        divergence.append(np.mean([(p * np.log2(p * np.exp(f).sum() / np.exp(f))).sum() for f in matched]))
    effect = (values[rankers[0]] + values[rankers[1]])[:13] / 2
    found = table.set_index(["student", "predictor", "method"])["correlation"].astype(float)
    assert found["be", "entropy", "pearson"] == pytest.approx(stats.pearsonr(entropy, effect).statistic, abs=1e-5)
    assert found["be", "kl", "spearman"] == pytest.approx(stats.spearmanr(divergence, effect).statistic, abs=1e-5)
    bm25 = stats.spearmanr(entropy, values[rankers[2]][:13]).statistic
    assert found["bm25", "entropy", "spearman"] == pytest.approx(bm25, abs=1e-5)
    assert ("bm25", "kl", "pearson") not in found.index
    assert "| BM25 " in text and "mean over 2 training seeds" in text

    # A student that ranks as its teacher does has no divergence to correlate.
    same, _ = make(tmp_path, tmp_path / "teacher" / "manifest.json", [tmp_path / "teacher" / "manifest.json"] * 2)
    assert (same.loc[same["predictor"] == "kl", "correlation"].isna()).all()
    # Of a calibrated teacher that is one that gives its labels back; entropies are those of the labels.
    halved = teacher.assign(score=teacher["score"] / 2)
    labels = runs(tmp_path / "labels", halved)
    same, _ = make(tmp_path, tmp_path / "teacher" / "manifest.json", [labels] * 2, temperature=2)
    assert (same.loc[same["predictor"] == "kl", "correlation"].isna()).all()
    as_scored, _ = make(tmp_path, labels, [labels] * 2)
    pd.testing.assert_frame_equal(same, as_scored)

    short = runs(tmp_path / "short", students[0].drop(index=teacher.head(5)["score"].idxmax()))
    with pytest.raises(InputError, match="no score of query q00, document d"):
        make(tmp_path, tmp_path / "teacher" / "manifest.json", [short, manifests[1]])
