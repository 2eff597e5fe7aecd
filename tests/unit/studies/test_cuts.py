"""Entropy cuts by hand and by a second implementation; what is trained on, and the table, on made artifacts."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import RULE, numbered_store, table_spec, write_groups, write_labels, write_metrics
from rendered import make_table
from scipy import stats
from statsmodels.stats.multitest import multipletests

from workflow_scripts.analysis import cuts
from workflow_scripts.analysis.cut_names import CUTS, HALVES, QUARTERS, RANDOM
from workflow_scripts.analysis.inference import infer
from workflow_scripts.storage.errors import InputError
from workflow_scripts.studies import make_cuts_table
from workflow_scripts.train.groups import Groups, TooFewQueries, read_groups

HALF, QUARTER = "below-median", "upper-quartile"
BY_ENTROPY = [cut for cut in CUTS if cut not in RANDOM]
DOMAINS = [{"name": "near", "collections": ["a"]}, {"name": "far", "collections": ["a", "b"]}]
STORES = numbered_store("q", range(32)), numbered_store("d", range(40))


def kept(entropy: list[float], fence: float = 1.5) -> dict[str, list[int]]:
    return {cut: np.flatnonzero(cuts.keep(np.array(entropy), cut, fence)).tolist() for cut in BY_ENTROPY}


def test_each_cut_keeps_what_its_name_says() -> None:
    # Quartiles of 0, 1, ..., 8 tenths, shuffled: 0.2, 0.4, 0.6. The public scripts' upper quartile kept the other 7.
    tenths = [5, 0, 8, 3, 1, 7, 2, 6, 4]
    found = {cut: sorted(tenths[place] for place in places) for cut, places in kept([t / 10 for t in tenths]).items()}
    assert found == {
        "lower-quartile": [0, 1, 2],
        "middle-quarter": [4, 5],
        "upper-quartile": [7, 8],
        "inner-quartiles": [3, 4, 5, 6],
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
        masks = {cut: cuts.keep(entropy, cut) for cut in BY_ENTROPY}
        for names in (("lower-quartile", "inner-quartiles", "upper-quartile"), ("below-median", "above-median")):
            assert (sum(masks[name].astype(int) for name in names) == 1).all()
    entropy = np.random.default_rng(0).permutation(4000) / 4000
    sizes = {cut: int(cuts.keep(entropy, cut).sum()) for cut in BY_ENTROPY if cut != "outliers"}
    ids = [f"q{number}" for number in range(4000)]
    random = {cut: cuts.keep_random(ids, cut, seed=3) for cut in RANDOM}
    sizes |= {cut: int(kept.sum()) for cut, kept in random.items()}
    assert sizes == dict.fromkeys(QUARTERS, 1000) | dict.fromkeys(HALVES, 2000)
    assert entropy[cuts.keep(entropy, "upper-quartile")].min() == 0.75


def test_a_random_cut_depends_on_the_seed_and_the_queries_alone() -> None:
    ids = [f"q{number}" for number in range(400)]
    kept = set(np.array(ids)[cuts.keep_random(ids, "random-quarter", seed=3)])
    assert len(kept) == 100
    assert set(np.array(ids[::-1])[cuts.keep_random(ids[::-1], "random-quarter", seed=3)]) == kept
    other = set(np.array(ids)[cuts.keep_random(ids, "random-quarter", seed=4)])
    assert len(kept & other) == pytest.approx(25, abs=15)
    # Without regard to how unsure the teacher is: queries sorted by entropy are kept from all over.
    assert 15 < sum(int(text[1:]) < 100 for text in kept) < 35


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
    drawn = {f"q{query:03}": [f"d{(3 * query + place) % 40:03}" for place in range(size)] for query in range(queries)}
    return write_groups(folder / "groups", drawn), write_labels(folder / "labels", drawn, scores, entropies(scores))


def entropies(scores: np.ndarray) -> np.ndarray:
    """H by definition: scipy's entropy of a coin for every pair."""
    pairs = [(1 / (1 + np.exp(b - a)) for a, b in combinations(group.astype(float), 2)) for group in scores]
    return np.array([np.mean([stats.entropy([p, 1 - p], base=2) for p in coins]) for coins in pairs])


def read(paths: tuple[Path, Path], cut: str, at_least: int = 1, reads_teacher: bool = True, **fence: float) -> Groups:
    spec = {"cut": cut, "at_least": at_least, **fence}
    return read_groups(paths[0], *STORES, group_size=4, labels=paths[1], cut=spec, reads_teacher=reads_teacher)


def test_a_cut_is_trained_on_the_groups_of_its_queries_as_they_were(tmp_path: Path) -> None:
    scores = np.random.default_rng(3).normal(scale=2, size=(32, 4)).astype(np.float32)
    scores[5] = 0.0, 0.0, 0.0, 0.0  # certainly unsure
    paths, h = sampled(tmp_path, scores), entropies(scores)
    documents = np.array([[(3 * query + place) % 40 for place in range(4)] for query in range(32)])
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


def test_a_cut_that_keeps_too_few_says_what_would_help(tmp_path: Path) -> None:
    scores = np.random.default_rng(3).normal(scale=2, size=(32, 4)).astype(np.float32)
    paths = sampled(tmp_path, scores)
    widest = cuts.widest_fence(entropies(scores), 4)
    with pytest.raises(
        TooFewQueries, match=rf"keeps 0 of 32 .*fences .* 9 inter.*set a fence below {widest:.3g} or leav"
    ):
        read(paths, "outliers", at_least=4, fence=9)
    with pytest.raises(TooFewQueries, match=r"quartile keeps 8 of 32 .* not at least 9 .* bits\): leave this cut out"):
        read(paths, "upper-quartile", at_least=9)
    with pytest.raises(TooFewQueries, match="random-quarter keeps 8 of 32 queries, not at least 9"):
        read(paths, "random-quarter", at_least=9, seed=0)
    # A random cut reads no labels.
    spec = {"cut": "random-quarter", "at_least": 8, "seed": 0}
    assert len(read_groups(paths[0], *STORES, group_size=4, cut=spec)) == 8


def measured(tmp_path: Path, samplers: dict[str, float]) -> Path:
    """Two students, two seeds of each sampler (id to gain), on 60 and 30 queries."""
    generator = np.random.default_rng(0)
    difficulty = {"a": generator.uniform(0.2, 0.6, 60), "b": generator.uniform(0.2, 0.6, 30)}
    values = {}
    for student, (sampler, gain), seed, name in product(("be", "ce"), samplers.items(), (0, 1), difficulty):
        own = difficulty[name] + gain * (student == "ce") + generator.normal(0, 0.03, len(difficulty[name]))
        values[student, "kl", sampler, "t", seed, name] = own
    return write_metrics(tmp_path / "metrics.parquet", values)


def study(tmp_path: Path) -> tuple[dict, list[Path]]:
    """The spec and the labels of one sampler, two seeds, four cuts."""
    kept = {"random-quarter": {"x": "r4"}, QUARTER: {"x": "x4"}, HALF: {"x": "x2"}, "outliers": {"x": "gone"}}
    spec = table_spec(students=["be", "ce"], seeds=[0, 1], domains=DOMAINS, rule=RULE | {"confidence": 0.9})
    spec |= {"cuts": kept, "fence": 0.5, "at_least": 5, "sampling": [0, 1]}
    generator = np.random.default_rng(3)
    return spec, [sampled(tmp_path / str(seed), generator.normal(size=(32, 4)))[1] for seed in (0, 1)]


def make(tmp_path: Path, spec: dict, labels: list[Path]) -> tuple[pd.DataFrame, str]:
    paths = {"metrics": tmp_path / "metrics.parquet", "labels": labels}
    return make_table(make_cuts_table.make_cuts_table, spec, tmp_path / "cuts.parquet", **paths)


def test_the_table_by_hand(tmp_path: Path) -> None:
    path = measured(tmp_path, {"x": 0.0, "x4": 0.1, "r4": 0.02, "x2": 0.001, "other": 0.5})
    spec, manifests = study(tmp_path)
    table, markdown = make(tmp_path, spec, manifests)
    assert list(table.columns) == list(make_cuts_table.COLUMNS) and len(table) == 2 * 2 * 5
    order = ("all queries", QUARTER, "random-quarter", HALF, "outliers")
    assert table["cut"].tolist() == [name for name in order for _ in range(2)] * 2
    assert table["sampler"].unique().tolist() == ["x"]

    # What was trained on, from the labels of all groups.
    for name, mask in {"all queries": lambda h: h > 0, QUARTER: lambda h: h > np.percentile(h, 75)}.items():
        labels = [pd.read_parquet(manifest.parent / "labels.parquet") for manifest in manifests]
        h = [entropies(frame["score"].to_numpy().reshape(-1, 4)) for frame in labels]
        of_cut = table[table["cut"] == name]
        assert of_cut["entropy"].to_numpy() == pytest.approx(np.mean([v[mask(v)].mean() for v in h]), rel=1e-5)
        assert set(of_cut["groups"]) == {8 if name == QUARTER else 32}
        assert set(of_cut["share"]) == {0.25 if name == QUARTER else 1}

    # The cross-encoder near by: each cut less all queries, one block and one family; the quarter less the random one.
    values = pd.read_parquet(path).astype({"sampler": str, "student": str, "collection": str})
    values = values[(values["student"] == "ce") & (values["collection"] == "a")].sort_values("query_id")
    cells = ["x", "x4", "r4", "x2"]
    y = np.stack(
        [[values[(values["sampler"] == cell) & (values["seed"] == seed)]["value"] for seed in (0, 1)] for cell in cells]
    )
    contrasts = np.array([[-1, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1], [0, 1, -1, 0]])
    expected = infer({"a": y}, {"a": 1.0}, contrasts, [range(4)])
    low, high = expected.interval(0.9)
    different, within = (
        multipletests(p[:3], method="holm")[1] for p in (expected.difference_p(), expected.equivalence_p(0.02))
    )
    near = table[(table["student"] == "ce") & (table["domain"] == "near")].set_index("cut")
    for place, name in enumerate((QUARTER, "random-quarter", HALF)):
        row = near.loc[name]
        assert row["mean"] == pytest.approx(y[place + 1].mean(), rel=1e-5)
        assert row["std_seed"] == pytest.approx(y[place + 1].mean(axis=1).std(ddof=1), rel=1e-4)
        assert row["ci_low"] < row["mean"] < row["ci_high"]
        assert row["difference"] == pytest.approx((y[place + 1] - y[0]).mean(), rel=1e-5)
        ends = [row["difference_ci_low"], row["difference_ci_high"]]
        assert ends == pytest.approx([low[place], high[place]], rel=1e-4)
        assert row["p_difference_holm"] == pytest.approx(different[place], rel=1e-4)
        assert row["p_equivalence_holm"] == pytest.approx(within[place], rel=1e-4)
    beside = near["beside_difference"].dropna()
    assert beside.to_dict() == pytest.approx({QUARTER: (y[1] - y[2]).mean()}, rel=1e-5)
    assert near.loc[QUARTER, "beside_ci_low"] == pytest.approx(low[3], rel=1e-4)
    assert near.loc["all queries", ["difference", "outcome"]].isna().all() and (near["margin"].dropna() == 0.02).all()

    # A cut of too few queries, which was not trained, is a row that says so.
    assert near.loc["outliers", "outcome"] == "too few queries" and near.loc["outliers", "groups"] < 5
    assert near.loc["outliers", ["mean", "difference"]].isna().all()

    assert "A cut of fewer than 5 queries was not trained." in markdown and "too few queries" in markdown
    assert "Of 12 differences from all queries: " in markdown and "within ±0.02." in markdown
    assert "| kl     | upper-quartile | " in markdown and "near ce minus random" in markdown
    assert "Called different: " in markdown and "of 16 comparisons in 8 families" in markdown


def test_one_seed_without_controls_gives_no_verdict(tmp_path: Path) -> None:
    measured(tmp_path, {"x": 0.0, "x4": 0.1, "r4": 0.02, "x2": 0.001})
    spec, manifests = study(tmp_path)
    table, _ = make(tmp_path, spec | {"seeds": [0], "sampling": [0], "fence": 5}, manifests[:1])
    assert set(table["outcome"].dropna()) == {"one seed", "too few queries"} and table["p_difference"].isna().all()
    assert table.loc[table["cut"] == QUARTER, "difference"].notna().all()


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    measured(tmp_path, {"x": 0.0, "x4": 0.1, "r4": 0.0})
    spec, labels = study(tmp_path)
    with pytest.raises(InputError, match=r"lack .* loss=kl sampler=x2 teacher=t seed=0 on a"):
        make(tmp_path, spec, labels)
