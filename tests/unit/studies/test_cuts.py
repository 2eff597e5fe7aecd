"""Entropy cuts by hand and by a second implementation; what is trained on, and the table, on made artifacts."""

from __future__ import annotations

import json
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from workflow_scripts.analysis import cuts, measures
from workflow_scripts.presentation.render_table import render_table
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.command import call
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.groups import GROUPS_SCHEMA, LABELS_SCHEMA
from workflow_scripts.storage.tables import write_table
from workflow_scripts.studies import make_cuts_table
from workflow_scripts.train.groups import Groups, read_groups

HALF, QUARTER = "below-median", "upper-quartile"
DOMAINS = [{"name": "near", "collections": ["a"]}, {"name": "far", "collections": ["a", "b"]}]
RULE = {
    "margin": 0.02,
    "margin_of": "absolute",
    "alpha": 0.1,
    "difference_alpha": 0.05,
    "confidence": 0.9,
}


def kept(entropy: list[float], fence: float = 1.5) -> dict[str, list[int]]:
    return {cut: np.flatnonzero(cuts.keep(np.array(entropy), cut, fence)).tolist() for cut in cuts.CUTS}


def test_each_cut_keeps_what_its_name_says() -> None:
    # Quartiles of 0, 1, ..., 8 tenths, shuffled: 0.2, 0.4, 0.6. The public scripts' upper quartile kept the other 7.
    tenths = [5, 0, 8, 3, 1, 7, 2, 6, 4]
    found = {cut: sorted(tenths[place] for place in places) for cut, places in kept([t / 10 for t in tenths]).items()}
    assert found == {
        "lower-quartile": [0, 1, 2],
        "inner-quartiles": [3, 4, 5, 6],
        "upper-quartile": [7, 8],
        "below-median": [0, 1, 2, 3, 4],
        "above-median": [5, 6, 7, 8],
        "outliers": [],
    }
    # Interpolated quartiles 0.25, 0.5, 0.75 of a unit; and ties: those on a quartile are below it.
    assert kept([0, 1])["lower-quartile"] == [0] and kept([0, 1])["upper-quartile"] == [1]
    assert kept([0.5] * 4)["lower-quartile"] == [0, 1, 2, 3] and not kept([0.5] * 4)["upper-quartile"]
    ties = kept([0.1, 0.2, 0.2, 0.2, 0.9])
    assert ties["lower-quartile"] == [0, 1, 2, 3] and ties["upper-quartile"] == [4] and not ties["inner-quartiles"]
    # Q1 = 2, Q3 = 6: fences at -4 and 12, where a query is no outlier yet.
    assert kept([2, 3, 4, 5, 6, 2, 6, 12, -4])["outliers"] == []
    assert kept([2, 3, 4, 5, 6, 2, 6, 12.1, -4.1])["outliers"] == [7, 8]


def test_the_parts_part_the_queries_and_a_quarter_is_a_quarter() -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        # Rounding to two digits makes ties.
        entropy = np.round(generator.beta(2, 3, size=int(generator.integers(1, 200))), seed % 2 * 10 + 2)
        masks = {cut: cuts.keep(entropy, cut) for cut in cuts.CUTS}
        for names in (cuts.CUTS[:3], cuts.CUTS[3:5]):
            assert (sum(masks[name].astype(int) for name in names) == 1).all()
    entropy = np.random.default_rng(0).permutation(4000) / 4000
    assert [int(cuts.keep(entropy, cut).sum()) for cut in cuts.CUTS[:5]] == [1000, 2000, 1000, 2000, 2000]
    assert entropy[cuts.keep(entropy, "upper-quartile")].min() == 0.75


def test_the_widest_fence_leaves_as_many_as_asked() -> None:
    entropy = np.random.default_rng(1).beta(2, 5, size=300)
    for queries in (1, 5, 60):
        widest = cuts.widest_fence(entropy, queries)
        assert cuts.keep(entropy, "outliers", widest - 1e-9).sum() == queries
        assert cuts.keep(entropy, "outliers", widest + 1e-9).sum() == queries - 1
    # Half the queries lie between the quartiles, whatever the fence; and where all are equal there is no unit.
    assert cuts.widest_fence(entropy, 151) is None and cuts.widest_fence(np.full(4, 0.5), 1) is None


def sampled(folder: Path, scores: np.ndarray) -> tuple[Path, Path]:
    """A sampler's groups and the teacher's scores of them; ``scores``  # (queries, docs)."""
    queries, size = scores.shape
    frame = pd.DataFrame(
        {
            "query_id": np.repeat([f"q{query:02}" for query in range(queries)], size),
            "position": np.tile(np.arange(size), queries),
            "doc_id": [f"d{(3 * query + place) % 40:02}" for query in range(queries) for place in range(size)],
            "source": (["positive"] + ["corpus"] * (size - 2) + ["fill"]) * queries,
            "rank": ([None] + [7] * (size - 1)) * queries,
            "score": ([np.nan] + [1.25] * (size - 1)) * queries,
            "probability": ([np.nan] + [0.5] * (size - 1)) * queries,
        }
    ).astype({"rank": "Int32"})
    paths = folder / "groups/manifest.json", folder / "labels/manifest.json"
    with ArtifactWriter(paths[0], kind="test", spec={}) as writer:
        write_table(writer.path("groups.parquet"), frame, GROUPS_SCHEMA)
    with ArtifactWriter(paths[1], kind="test", spec={}) as writer:
        labels = frame.assign(score=scores.ravel(), entropy=np.repeat(entropies(scores), size))
        write_table(writer.path("labels.parquet"), labels, LABELS_SCHEMA)
    return paths


def entropies(scores: np.ndarray) -> np.ndarray:
    """H by definition: scipy's entropy of a coin for every pair."""
    pairs = [(1 / (1 + np.exp(b - a)) for a, b in combinations(group.astype(float), 2)) for group in scores]
    return np.array([np.mean([stats.entropy([p, 1 - p], base=2) for p in coins]) for coins in pairs])


class Store:
    """Stands for a token store whose ids are numbered."""

    def rows(self, ids: pa.ChunkedArray) -> np.ndarray:
        return np.array([int(text[1:]) for text in ids.to_pylist()])


def read(paths: tuple[Path, Path], cut: str, at_least: int = 1, reads_teacher: bool = True, **fence: float) -> Groups:
    spec = {"cut": cut, "at_least": at_least, **fence}
    return read_groups(paths[0], Store(), Store(), group_size=4, labels=paths[1], cut=spec, reads_teacher=reads_teacher)


def test_a_cut_is_trained_on_the_groups_of_its_queries_as_they_were(tmp_path: Path) -> None:
    scores = np.random.default_rng(3).normal(scale=2, size=(32, 4)).astype(np.float32)
    scores[5] = 0.0, 0.0, 0.0, 0.0  # certainly unsure
    paths, h = sampled(tmp_path, scores), entropies(scores)
    documents = pq.read_table(tmp_path / "groups/groups.parquet")["doc_id"].to_pylist()
    documents = np.array([int(text[1:]) for text in documents]).reshape(32, 4)
    expected = {
        "lower-quartile": (h <= np.percentile(h, 25), {}),
        "upper-quartile": (h > np.percentile(h, 75), {}),
        "above-median": (h > np.median(h), {}),
        "outliers": (np.abs(h - np.percentile(h, [25, 75]).mean()) > (0.5 + 0.2) * stats.iqr(h), {"fence": 0.2}),
    }
    for name, (mask, fence) in expected.items():
        groups = read(paths, name, **fence)
        assert 0 < mask.sum() < 32 and groups.query_rows.tolist() == np.flatnonzero(mask).tolist()
        assert (groups.document_rows == documents[mask]).all() and (groups.teacher == scores[mask]).all()
        # A contrastive loss reads the labels for the cut alone.
        contrastive = read(paths, name, reads_teacher=False, **fence)
        assert (contrastive.document_rows == groups.document_rows).all() and contrastive.teacher is None
    assert expected["upper-quartile"][0].sum() == 8 and expected["upper-quartile"][0][5]


def test_a_cut_that_keeps_too_few_is_refused(tmp_path: Path) -> None:
    scores = np.random.default_rng(3).normal(scale=2, size=(32, 4)).astype(np.float32)
    paths = sampled(tmp_path, scores)
    widest = cuts.widest_fence(entropies(scores), 4)
    with pytest.raises(InputError, match=rf"keeps 0 of 32 .*fences .* 9 inter.*set a fence below {widest:.3g} or leav"):
        read(paths, "outliers", at_least=4, fence=9)
    with pytest.raises(InputError, match=r"quartile keeps 8 of 32 .* not at least 9 .* bits\): leave this cut out"):
        read(paths, "upper-quartile", at_least=9)


def metrics(tmp_path: Path, samplers: dict[str, float]) -> Path:
    """Two students, two seeds of each sampler (id to gain), on 60 and 30 queries."""
    generator = np.random.default_rng(0)
    difficulty = {"a": generator.uniform(0.2, 0.6, 60), "b": generator.uniform(0.2, 0.6, 30)}
    rows = []
    for student, (sampler, gain), seed, name in product(("be", "ce"), samplers.items(), (0, 1), difficulty):
        values = difficulty[name] + gain * (student == "ce") + generator.normal(0, 0.03, len(difficulty[name]))
        rows += [(student, "kl", sampler, "t", seed, name, f"q{i:02}", "nDCG@10", v) for i, v in enumerate(values)]
    frame = pd.DataFrame(rows, columns=measures.METRICS_SCHEMA.names)
    write_table(tmp_path / "metrics.parquet", frame, measures.METRICS_SCHEMA)
    return tmp_path / "metrics.parquet"


def study(tmp_path: Path) -> tuple[dict, list[Path]]:
    """The spec and the labels of one sampler, two seeds, two cuts."""
    spec = {"students": ["be", "ce"], "losses": ["kl"], "samplers": ["x"], "teachers": ["t"], "seeds": [0, 1]}
    spec |= {"domains": DOMAINS, "measures": ["nDCG@10"], "rule": RULE, "fence": 0.5}
    spec |= {
        "bootstrap": {"samples": 500, "seed": 0, "confidence": 0.95},
        "cuts": {QUARTER: {"x": "x4"}, HALF: {"x": "x2"}},
    }
    generator = np.random.default_rng(3)
    paths = [sampled(tmp_path / str(seed), generator.normal(size=(32, 4)).astype(np.float32)) for seed in (0, 1)]
    return spec, [labels for _, labels in paths]


def make(tmp_path: Path, spec: dict, labels: list[Path]) -> pd.DataFrame:
    """The CSV, by way of the numbers."""
    numbers = tmp_path / "cuts.parquet"
    arguments = ["--metrics", f"{tmp_path}/metrics.parquet", "--labels", *map(str, labels), "--output", str(numbers)]
    call(make_cuts_table.make_cuts_table, ["--spec", json.dumps(spec), *arguments])
    files = {ending: tmp_path / f"cuts.{ending}" for ending in ("csv", "md", "tex")}
    captions = ROOT / "workflow_scripts/presentation/captions/cuts.rst"
    render_table(spec={"layout": "cuts"}, numbers=numbers, captions=[captions], **files)
    return pd.read_csv(files["csv"])


def test_the_table_by_hand(tmp_path: Path) -> None:
    path = metrics(tmp_path, {"x": 0.0, "x4": 0.1, "x2": 0.001, "other": 0.5})
    spec, manifests = study(tmp_path)
    table = make(tmp_path, spec, manifests)
    assert list(table.columns) == list(make_cuts_table.COLUMNS) and len(table) == 2 * 2 * 3
    assert table["cut"].tolist() == [name for name in ("all queries", "upper-quartile", HALF) for _ in range(2)] * 2
    assert table["sampler"].unique().tolist() == ["x"]

    # What was trained on, from the labels of all groups.
    for name, mask in {"all queries": lambda h: h > 0, QUARTER: lambda h: h > np.percentile(h, 75)}.items():
        labels = [pd.read_parquet(manifest.parent / "labels.parquet") for manifest in manifests]
        h = [entropies(frame["score"].to_numpy().reshape(-1, 4)) for frame in labels]
        of_cut = table[table["cut"] == name]
        assert of_cut["entropy"].to_numpy() == pytest.approx(np.mean([v[mask(v)].mean() for v in h]), rel=1e-5)
        assert set(of_cut["groups"]) == {8 if name == QUARTER else 32}
        assert set(of_cut["share"]) == {0.25 if name == QUARTER else 1}

    # The cross-encoder near by: seeds averaged first, each cut less all queries, Holm over the two cuts.
    values = pd.read_parquet(path).astype({"sampler": str, "student": str, "collection": str})
    values = values[(values["student"] == "ce") & (values["collection"] == "a")]
    mean = values.groupby(["sampler", "query_id"])["value"].mean().unstack(0)
    seeds = values.groupby(["sampler", "seed"])["value"].mean()
    near = table[(table["student"] == "ce") & (table["domain"] == "near")].set_index("cut")
    tests = {name: stats.ttest_rel(mean[derived], mean["x"]) for name, derived in ((QUARTER, "x4"), (HALF, "x2"))}
    holm = multipletests([test.pvalue for test in tests.values()], method="holm")[1]
    within = [ttost_paired(mean[derived], mean["x"], -0.02, 0.02)[0] for derived in ("x4", "x2")]
    for place, (name, derived) in enumerate(((QUARTER, "x4"), (HALF, "x2"))):
        row, interval = near.loc[name], tests[name].confidence_interval(0.9)
        assert row["mean"] == pytest.approx(mean[derived].mean(), rel=1e-5)
        assert row["std_seed"] == pytest.approx(seeds[derived].std(ddof=1), rel=1e-4)
        assert row["ci_low"] < row["mean"] < row["ci_high"]
        assert row["difference"] == pytest.approx((mean[derived] - mean["x"]).mean(), rel=1e-5)
        ends = [row["difference_low"], row["difference_high"]]
        assert ends == pytest.approx([interval.low, interval.high], rel=1e-4)
        assert row["p_difference_holm"] == pytest.approx(holm[place], rel=1e-4)
        assert row["p_equivalence_holm"] == pytest.approx(multipletests(within, method="holm")[1][place], rel=1e-4)
    assert near["outcome"].tolist()[1:] == ["different", "equivalent"] and (near["margin"].iloc[1:] == 0.02).all()
    assert near.loc["all queries", ["difference", "outcome"]].isna().all()

    # A domain of two collections is their mean, whatever their numbers of queries.
    far = table[(table["student"] == "ce") & (table["domain"] == "far")].set_index("cut")
    everything = pd.read_parquet(path).astype({"sampler": str, "student": str, "collection": str})
    means = everything[everything["student"] == "ce"].groupby(["sampler", "collection"])["value"].mean()
    assert far.loc[QUARTER, "difference"] == pytest.approx((means["x4"] - means["x"]).mean(), rel=1e-4)

    markdown = (tmp_path / "cuts.md").read_text()
    assert "Of 8 differences from all queries: 2 different" in markdown and "within ±0.02." in markdown
    assert "| kl     | upper-quartile | " in markdown and "near ce minus all queries" in markdown
    assert "docs/tables.md#cuts" in markdown


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    metrics(tmp_path, {"x": 0.0, "x4": 0.1})
    spec, labels = study(tmp_path)
    with pytest.raises(InputError, match=r"lack .* loss=kl sampler=x2 teacher=t seed=0 on a"):
        make(tmp_path, spec, labels)
