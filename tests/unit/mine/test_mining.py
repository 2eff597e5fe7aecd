"""Mined groups keep their promises."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import write_collection, write_corpus, write_pool, write_ranking

from workflow_scripts.analysis.sampled_groups import count_positives
from workflow_scripts.locality.locality import density_ratios
from workflow_scripts.mine import query_rows
from workflow_scripts.mine.candidates import Negative
from workflow_scripts.mine.mine_negatives import mine_negatives
from workflow_scripts.mine.samplers import Sampler
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.documents import read_shut_out
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table

OPTIONS = {
    "random": {},
    "bm25": {"system": "bm25", "depth": 12, "pool": 8},
    "crossencoder": {"system": "bm25", "depth": 12, "pool": 8},
    "ensemble": {"depth": 10, "per_system": 3, "margin": 0.5},
    "dense": {"system": "dense", "depth": 12, "pool": 8, "skip": 2},
    "mixed": {"system": "bm25", "depth": 12, "pool": 8, "share": 0.4},
    "positive_aware": {"system": "bm25", "depth": 12, "pool": 8, "limit": "margin", "value": 0.5},
    "stratified": {"system": "bm25", "depth": 12},
}
BY_TEACHER = ("crossencoder", "ensemble", "positive_aware", "stratified")
DOCUMENTS = [f"doc{number:02d}" for number in range(40)]
QUERIES = [f"query{number:02d}" for number in range(30)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Paths of a corpus, a collection, three systems' rankings in two artifacts, and two pools of teacher scores."""
    folder, choose = tmp_path_factory.mktemp("mining"), random.Random(0)
    positives = {query: choose.sample(DOCUMENTS, choose.choice([1, 1, 3])) for query in QUERIES}
    listed = {
        system: {query: choose.sample(DOCUMENTS, 20) for query in QUERIES if query != "query07"}
        for system in ("bm25", "dense", "zulu")
    }
    pools: list[list[tuple]] = [[], []]
    for query in QUERIES:
        for document in DOCUMENTS:
            pools[choose.random() < 0.5].append((query, document, choose.gauss(0, 3)))
    return {
        "folder": folder,
        "positives": positives,
        "listed": listed,
        "teacher": {(query, document): score for pool in pools for query, document, score in pool},
        "corpus": write_corpus(folder / "corpus", dict.fromkeys(DOCUMENTS, "")),
        "collection": asked(folder / "collection", positives),
        "rankings": [
            write_ranking(folder / "bm25", {"bm25": listed["bm25"]}, {"depth": 20}),
            write_ranking(
                folder / "both", {name: listed[name] for name in ("dense", "zulu")}, {"systems": ["zulu", "dense"]}
            ),
        ],
        "scores": [write_pool(folder / name, pool) for name, pool in zip("ab", pools, strict=True)],
    }


def asked(folder: Path, positives: dict[str, list[str]], **judged: dict[str, list[str]]) -> Path:
    """A collection of these queries; ``judged``: other documents of them, by the name of their file."""
    pairs = {
        name: [(query, document) for query in sorted(documents) for document in sorted(documents[query])]
        for name, documents in (judged | {"positives": positives}).items()
    }
    return write_collection(folder, sorted(positives), **pairs)


def mine(study: dict, output: Path, sampler: str, **changes: object) -> pd.DataFrame:
    spec = {"sampler": sampler, "options": OPTIONS[sampler], "negatives": 5, "seed": 3, **changes.pop("spec", {})}
    values = {name: study[name] for name in ("corpus", "collection")}
    if sampler != "random":
        values["rankings"] = study["rankings"]
    if sampler in BY_TEACHER:
        values["scores"] = study["scores"]
    mine_negatives(spec, **{**values, "output": output, **changes})
    return read_table(output.parent / "groups.parquet")


@pytest.mark.parametrize("sampler", list(OPTIONS))
def test_mining_keeps_its_promises(study, tmp_path, sampler, capsys):
    frame = mine(study, tmp_path / "whole" / "manifest.json", sampler)
    assert frame["query_id"].tolist() == [query for query in QUERIES for _ in range(6)]
    assert frame["position"].tolist() == [*range(6)] * len(QUERIES)
    allowed = {
        "random": {"corpus"},
        "ensemble": {"bm25", "zulu", "dense", "fill"},
        "mixed": {"bm25", "corpus", "fill"},
        "positive_aware": {"bm25", "fill"},
    }.get(sampler, {sampler, "fill"})
    for query, group in frame.groupby("query_id"):
        assert group["source"].iloc[0] == "positive" and group["doc_id"].iloc[0] in study["positives"][query]
        assert not set(group["doc_id"].iloc[1:]) & set(study["positives"][query])
        assert group["doc_id"].is_unique and set(group["source"].iloc[1:]) <= allowed
        assert group["probability"].iloc[1:].between(0, 1, inclusive="right").all()
        for row in group.iloc[1:].itertuples():
            if row.source in study["listed"]:
                assert study["listed"][row.source][query][int(row.rank) - 1] == row.doc_id
            if sampler == "ensemble" and row.source != "fill":
                lowest = min(study["teacher"][query, document] for document in study["positives"][query])
                assert study["teacher"][query, row.doc_id] <= lowest - 0.5 + 1e-6
            if sampler == "crossencoder" and row.source != "fill":
                assert row.score == pytest.approx(study["teacher"][query, row.doc_id], rel=1e-6)
    said, filled = capsys.readouterr().err, (frame["source"] == "fill").sum()
    share = f"{filled / 150:.2%} of the negatives ({filled} of 150) are random documents: some queries have fewer"
    assert (share in said) == bool(filled) and ("random documents" in said) == bool(filled)
    counts = Artifact(tmp_path / "whole" / "manifest.json").counts
    assert counts["groups"] == 30 and counts["documents"] == 180
    assert counts["filled"] == filled
    assert counts["distinct_documents"] == frame["doc_id"].nunique()
    asked = counts["pairs_to_draw"]
    assert (asked > 0) == (sampler in BY_TEACHER)
    assert max(asked, len(frame)) <= counts["pairs_to_label"] <= asked + len(frame)
    # Query 07 is in no ranking: all of its negatives are filled, or the near ones of a mixture.
    alone = Counter(frame[frame["query_id"] == "query07"]["source"].iloc[1:])
    assert alone == {"random": {"corpus": 5}, "mixed": {"fill": 2, "corpus": 3}}.get(sampler, {"fill": 5})


@pytest.mark.parametrize("sampler", list(OPTIONS))
def test_a_group_depends_on_seed_and_query_alone(study, tmp_path, sampler, monkeypatch):
    whole = mine(study, tmp_path / "whole" / "manifest.json", sampler)
    # A third of the queries, read in batches of three rows.
    part = {query: study["positives"][query] for query in QUERIES[1::3]}
    collection = asked(tmp_path / "part", part)
    monkeypatch.setattr(query_rows, "BATCH_ROWS", 3)
    some = mine(study, tmp_path / "some" / "manifest.json", sampler, collection=collection)
    expected = whole[whole["query_id"].isin(part)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)
    other = mine(study, tmp_path / "other" / "manifest.json", sampler, spec={"seed": 4})
    assert (other["doc_id"] != whole["doc_id"]).any()


@pytest.mark.parametrize("sampler", list(OPTIONS))
def test_what_is_judged_below_the_least_relevance_is_no_negative(study, tmp_path, sampler):
    choose = random.Random(1)
    spared = {query: choose.sample(sorted({*DOCUMENTS} - {*study["positives"][query]}), 15) for query in QUERIES[::2]}
    collection = asked(tmp_path / "collection", study["positives"], spared=spared)
    frame = mine(study, tmp_path / "some" / "manifest.json", sampler, collection=collection)
    whole = mine(study, tmp_path / "whole" / "manifest.json", sampler)
    apart = frame["query_id"].isin(QUERIES[1::2])
    pd.testing.assert_frame_equal(frame[apart], whole[apart])
    positive = frame["position"] == 0
    pd.testing.assert_frame_equal(frame[positive], whole[positive])
    for query, group in frame.groupby("query_id"):
        assert not {*group["doc_id"]} & {*spared.get(query, ())}
        for row in group.iloc[1:].itertuples():
            if row.source in study["listed"]:  # ranks are the system's own
                assert study["listed"][row.source][query][int(row.rank) - 1] == row.doc_id
    if sampler == "random":
        shut_out = count_positives(read_shut_out(collection).to_pandas(), QUERIES)
        chances = frame["probability"].to_numpy().reshape(-1, 6)[:, 1:]
        assert shut_out.max() == 18 and density_ratios(chances, shut_out, len(DOCUMENTS)).bounded.all()


def test_mining_refuses_what_does_not_fit(study, tmp_path):
    output = tmp_path / "manifest.json"
    deep = {"options": {**OPTIONS["bm25"], "depth": 21}}
    wrong = asked(tmp_path / "wrong", {"query01": ["nowhere"]})
    none = write_collection(tmp_path / "none", ["query01", "query02"], positives=[("query01", "doc01")])
    for sampler, changes, message in [
        ("random", {"rankings": study["rankings"]}, "random reads no rankings: leave out --rankings"),
        ("ensemble", {"scores": []}, "ensemble reads scores: give --scores"),
        ("bm25", {"spec": deep}, "20 deep, sampler bm25 reads 21"),
        ("random", {"collection": none}, "query query02 of .* has no positive"),
        ("random", {"collection": wrong}, "document nowhere is not in the corpus"),
        ("bm25", {"rankings": study["rankings"][:1] * 2}, "two rankings are of system 'bm25'"),
    ]:
        with pytest.raises(InputError, match=message):
            mine(study, output, sampler, **changes)
        assert not output.exists()


@pytest.mark.parametrize(
    "choose", [random.sample, lambda pool, count: list(np.random.choice(pool, count, replace=False))]
)
def test_a_sampler_must_draw_by_its_own_generator(study, tmp_path, monkeypatch, choose):
    def sample(query, count, rng):
        eligible = sorted({*DOCUMENTS} - query.positives)
        return [Negative(str(document), "corpus", probability=0.5) for document in choose(eligible, count)]

    sampler = Sampler("mine", {}, False, False, sample)
    monkeypatch.setattr("workflow_scripts.mine.mine_negatives.load_sampler", lambda name, options: sampler)
    with pytest.raises(
        InputError, match=r"mine\.py, function sample\) returned other .* for query query00; it must draw by"
    ):
        mine(study, tmp_path / "made" / "manifest.json", "random")
    assert not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize("spec", [{"system": "bm25"}, {"systems": ["bm25"]}])
def test_a_system_that_lists_nothing_at_all_leaves_its_negatives_to_chance(
    study: dict, tmp_path: Path, spec: dict, capsys: pytest.CaptureFixture
) -> None:
    empty = write_ranking(tmp_path / "empty", {"bm25": {query: [] for query in QUERIES}}, spec | {"depth": 12})
    groups = mine(study, tmp_path / "made" / "manifest.json", "bm25", rankings=[empty])
    assert set(groups["source"]) == {"positive", "fill"} and "100.00% of the negatives" in capsys.readouterr().err
