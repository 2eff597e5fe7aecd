"""Pools, their shards and labels: each pair scored once, killed and resumed, against one pair at a time."""

import numpy as np
import pandas as pd
import pytest
from factories import run_script, write_groups
from scored_world import make_world, one_by_one

from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.models import scoring
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.shards import shard_names
from workflow_scripts.storage.tables import read_table
from workflow_scripts.teach import label_groups, merge_pool, score_pool, score_shard, scored_parts
from workflow_scripts.teach.list_pairs import list_pairs
from workflow_scripts.teach.look_up_labels import look_up_labels
from workflow_scripts.teach.scored_parts import DIGEST


@pytest.fixture
def world(tmp_path):
    return make_world(tmp_path)


def test_pool_scores_each_pair_once_and_labels_look_it_up(world, monkeypatch):
    given = {name: world / name / "manifest.json" for name in ("queries", "documents")}
    given["models"] = world / "cross-encoder/manifest.json"
    ranking, train = world / "ranking/manifest.json", world / "train/manifest.json"
    shallow, deep = world / "shallow/manifest.json", world / "deep/manifest.json"
    auto = {"precision": "auto"}
    for depth, more in ((2, {"collection": train, "output": shallow}), (4, {"known": shallow, "output": deep})):
        run_script(score_pool.score_pool, auto | {"depth": depth}, rankings=ranking, **given, **more)
    listed = read_table(world / "ranking/ranking.parquet")
    positives = read_table(world / "train/positives.parquet")
    expected = {tuple(row) for row in positives.to_numpy()} | {
        (row.query_id, row.doc_id) for row in listed.itertuples() if row.rank <= 2
    }
    first, second = (read_table(world / name / "scores.parquet") for name in ("shallow", "deep"))
    assert list(zip(first["query_id"], first["doc_id"], strict=True)) == sorted(expected)
    others = {(row.query_id, row.doc_id) for row in listed.itertuples() if row.rank <= 4} - expected
    assert list(zip(second["query_id"], second["doc_id"], strict=True)) == sorted(others)
    np.testing.assert_allclose(first["score"], one_by_one(world, "cross-encoder", sorted(expected)), atol=1e-5)

    both = pd.concat([first, second])
    known = {query: both[both["query_id"] == query]["doc_id"].iloc[:2].tolist() for query in ("q0", "q1")}
    for name, drawn in (("known", known), ("new", {"q0": ["d00", "d09"], "q1": ["d05", "d10"]})):
        output, found, again = (world / f"{what}-{name}/manifest.json" for what in ("labels", "found", "again"))
        asked = given | {"groups": write_groups(world / name, drawn)}
        with monkeypatch.context() as patch:
            if name == "known":  # nothing to score: the model stays on the disk
                patch.setattr(label_groups, "_score", None)
            run_script(label_groups.label_groups, auto, **asked, known=[shallow, deep], output=output)
        labels = read_table(output.with_name("labels.parquet"))
        pairs = [(query, document) for query, own in drawn.items() for document in own]
        assert [*zip(labels["query_id"], labels["doc_id"], strict=True)] == pairs
        assert labels["position"].tolist() == [0, 1, 0, 1]
        np.testing.assert_allclose(labels["score"], one_by_one(world, "cross-encoder", pairs), atol=1e-5)
        counts = Artifact(output).counts
        assert counts["pairs"] == 4 and counts["looked_up"] + counts["scored"] == 4
        # The entropy of each group's labels, in each of its rows.
        entropy = pairwise_entropy(labels["score"].to_numpy().reshape(2, 2))
        assert labels["entropy"].tolist() == np.repeat(entropy, 2).tolist()
        # And the same where another job has looked the pairs up.
        run_script(look_up_labels, auto, **asked, known=[shallow, deep], output=found)
        run_script(label_groups.label_groups, auto, **asked, looked_up=found, output=again)
        assert read_table(again.with_name("labels.parquet")).equals(labels) and Artifact(again).counts == counts


def test_a_killed_pool_goes_on_after_its_finished_parts(world, monkeypatch, capsys):
    manifest = {name: world / name / "manifest.json" for name in ("cross-encoder", "queries", "documents", "ranking")}
    inputs = [manifest["cross-encoder"]], manifest["queries"], manifest["documents"], [manifest["ranking"]]
    monkeypatch.setattr(scored_parts, "PART", 3)
    whole, killed = world / "whole/manifest.json", world / "killed/manifest.json"
    score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, whole)
    pairs = Artifact(whole).counts["pairs"]
    assert pairs > 8 and not (whole.parent / ".checkpoint").exists()
    score_pairs, calls = scoring.score_pairs, []

    def counted(*arguments, **options):
        calls.append(len(arguments[3]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score_pairs(*arguments, **options)

    monkeypatch.setattr(scoring, "score_pairs", counted)
    with pytest.raises(KeyboardInterrupt):
        score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, killed)
    assert not killed.exists()
    kept = sorted((killed.parent / ".checkpoint").rglob("*.npy"))
    assert len(kept) == 2
    content = bytearray(kept[1].read_bytes())
    content[-DIGEST - 2] ^= 1  # one bit of a score
    kept[1].write_bytes(content)
    calls.extend([0])  # past the call that is interrupted
    before = len(calls)
    score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, killed)
    assert sum(calls[before:]) == pairs - 3 and "part 1 is scored again" in capsys.readouterr().err
    assert (killed.parent / "scores.parquet").read_bytes() == (whole.parent / "scores.parquet").read_bytes()
    assert not (killed.parent / ".checkpoint").exists()
    monkeypatch.setattr(scored_parts, "PART", 4)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        score_pool.score_pool({"depth": 3, "precision": "auto"}, *inputs, killed)
    calls.extend([0])
    before = len(calls)
    score_pool.score_pool({"depth": 3, "precision": "bf16"}, *inputs, killed)  # another spec: nothing is taken over
    assert sum(calls[before:]) == pairs


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_shards_make_up_the_pool_byte_for_byte(world, tmp_path, monkeypatch, count):
    for module in (scored_parts, score_shard, merge_pool):
        monkeypatch.setattr(module, "PART", 2)
    listing = {name: world / name / "manifest.json" for name in ("queries", "documents")}
    scored = listing | {"models": world / "cross-encoder/manifest.json"}
    ranked, positives = {"rankings": world / "ranking/manifest.json"}, {"collection": world / "train/manifest.json"}
    shallow, deep = ({"depth": depth, "precision": "auto"} for depth in (1, 4))

    def make(script, name, spec, **paths):
        run_script(script, spec, **paths, output=tmp_path / name / "manifest.json")
        return tmp_path / name / "manifest.json"

    # The pool that the deep one knows, scored and, where nothing waits for its scores, listed.
    known = make(score_pool.score_pool, "shallow", shallow, **scored, **ranked, **positives)
    whole = make(score_pool.score_pool, "whole", deep, **scored, **ranked, known=known)
    listed = make(list_pairs, "listed", {"depth": 1}, **listing, **ranked, **positives)
    pairs = make(list_pairs, "pairs", {"depth": 4}, **listing, **ranked, known=listed)
    shards = [
        make(score_shard.score_shard, shard, {"shard": shard, "precision": "auto"}, **scored, pairs=pairs)
        for shard in shard_names(count)
    ]
    merged = Artifact(make(merge_pool.merge_pool, "merged", deep, **scored, pairs=pairs, shards=shards))
    assert merged.identity == Artifact(whole).identity
    assert merged.file("scores.parquet").read_bytes() == whole.with_name("scores.parquet").read_bytes()
    assert merged.counts == {"pairs": 7, "known": 5}
    numbers = [Artifact(shard).counts["scored"] for shard in shards]
    assert sum(numbers) == merged.counts["pairs"] and (count > 4 or min(numbers) > 1)
    if count == 2:
        with pytest.raises(InputError, match=r"shards 2-of-2, 1-of-2 are not all of some work, in order"):
            make(merge_pool.merge_pool, "merged", deep, **scored, pairs=pairs, shards=shards[::-1])
        with pytest.raises(InputError, match=r"the shards hold \d+ scores of .*'s \d+ pairs"):
            make(merge_pool.merge_pool, "merged", deep, **scored, pairs=listed, shards=shards)


def test_pool_of_another_teacher_is_refused(world):
    manifest = {name: world / name / "manifest.json" for name in ("cross-encoder", "queries", "documents", "ranking")}
    inputs = manifest["queries"], manifest["documents"], [manifest["ranking"]]
    pool = world / "pool/manifest.json"
    score_pool.score_pool({"depth": 1, "precision": "auto"}, [manifest["cross-encoder"]], *inputs, pool)
    with pytest.raises(InputError, match="scored by another model"):
        score_pool.score_pool(
            {"depth": 2, "precision": "auto"},
            [world / "bi-encoder/manifest.json"],
            *inputs,
            world / "x.json",
            known=[pool],
        )
