"""Mined groups keep their promises; published negatives are downloaded and become rankings."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import random
import threading
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from factories import artifact

from workflow_scripts.collect.download_file import download_file
from workflow_scripts.index.import_rankings import import_rankings
from workflow_scripts.mine import query_rows
from workflow_scripts.mine.candidates import Negative
from workflow_scripts.mine.mine_negatives import mine_negatives
from workflow_scripts.mine.samplers import Sampler
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rankings import RankingWriter, read_ranking, systems
from workflow_scripts.storage.tables import read_table

SCORES = pa.schema([("query_id", pa.string()), ("doc_id", pa.string()), ("score", pa.float32())])
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


def strings(**columns: list) -> tuple[dict, pa.Schema]:
    return columns, pa.schema([(name, pa.string()) for name in columns])


def write_collection(folder: Path, positives: dict[str, list[str]]) -> Path:
    pairs = [(query, doc) for query in sorted(positives) for doc in sorted(positives[query])]
    query_ids, doc_ids = (list(column) for column in zip(*pairs, strict=True))
    files = {"queries.parquet": strings(query_id=sorted(positives), text=["text"] * len(positives))}
    files |= {"positives.parquet": strings(query_id=query_ids, doc_id=doc_ids)}
    return artifact(folder / "manifest.json", files)


def write_ranking(folder: Path, rankings: dict[str, dict[str, list[str]]], spec: dict, chunk: int = 7) -> Path:
    with (
        ArtifactWriter(folder / "manifest.json", kind="test", spec=spec) as writer,
        RankingWriter(writer.path("ranking.parquet")) as out,
    ):
        for system in sorted(rankings):
            for number, query in enumerate(sorted(rankings[system])):
                documents = rankings[system][query]
                out.add(system, query, documents, np.arange(len(documents), 0, -1, dtype=float))
                if number % chunk == 0:
                    out.flush()
    return folder / "manifest.json"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Paths of a corpus, a collection, three systems' rankings in two artifacts, and two pools of teacher scores."""
    folder, choose = tmp_path_factory.mktemp("mining"), random.Random(0)
    blank = [""] * len(DOCUMENTS)
    documents = strings(doc_id=DOCUMENTS, title=blank, text=blank)
    artifact(folder / "corpus" / "manifest.json", {"documents.parquet": documents})
    positives = {query: choose.sample(DOCUMENTS, choose.choice([1, 1, 3])) for query in QUERIES}
    listed = {
        system: {query: choose.sample(DOCUMENTS, 20) for query in QUERIES if query != "query07"}
        for system in ("bm25", "dense", "zulu")
    }
    pools: list[list[tuple]] = [[], []]
    for query in QUERIES:
        for document in DOCUMENTS:
            pools[choose.random() < 0.5].append((query, document, choose.gauss(0, 3)))
    paths = []
    for name, pool in zip("ab", pools, strict=True):
        files = {"scores.parquet": (pd.DataFrame(pool, columns=SCORES.names), SCORES)}
        paths.append(artifact(folder / name / "manifest.json", files))
    return {
        "folder": folder,
        "positives": positives,
        "listed": listed,
        "teacher": {(query, document): score for pool in pools for query, document, score in pool},
        "corpus": folder / "corpus" / "manifest.json",
        "collection": write_collection(folder / "collection", positives),
        "rankings": [
            write_ranking(folder / "bm25", {"bm25": listed["bm25"]}, {"depth": 20}),
            write_ranking(
                folder / "both", {name: listed[name] for name in ("dense", "zulu")}, {"systems": ["zulu", "dense"]}
            ),
        ],
        "scores": paths,
    }


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
    collection = write_collection(tmp_path / "part", part)
    monkeypatch.setattr(query_rows, "BATCH_ROWS", 3)
    some = mine(study, tmp_path / "some" / "manifest.json", sampler, collection=collection)
    expected = whole[whole["query_id"].isin(part)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)
    other = mine(study, tmp_path / "other" / "manifest.json", sampler, spec={"seed": 4})
    assert (other["doc_id"] != whole["doc_id"]).any()


def test_mining_refuses_what_does_not_fit(study, tmp_path):
    output = tmp_path / "manifest.json"
    deep = {"options": {**OPTIONS["bm25"], "depth": 21}}
    wrong = write_collection(tmp_path / "wrong", {"query01": ["nowhere"]})
    files = {"queries.parquet": strings(query_id=["query01", "query02"], text=["", ""])}
    files |= {"positives.parquet": strings(query_id=["query01"], doc_id=["doc01"])}
    artifact(tmp_path / "none" / "manifest.json", files)
    for sampler, changes, message in [
        ("random", {"rankings": study["rankings"]}, "random reads no rankings: leave out --rankings"),
        ("ensemble", {"scores": []}, "ensemble reads scores: give --scores"),
        ("bm25", {"spec": deep}, "20 deep, sampler bm25 reads 21"),
        ("random", {"collection": tmp_path / "none" / "manifest.json"}, "query query02 of .* has no positive"),
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


def published(folder: Path) -> tuple[str, str]:
    """A file of hard negatives in both published forms; its address and checksum."""
    lines = [
        {"qid": 12, "pos": [1], "neg": {"bm25": [7, 3, 7, 5], "dense": [9]}},
        {"qid": 99, "pos": [2], "neg": {"bm25": [4], "third": [6]}},
        {"qid": 3, "pos": [{"pid": 1, "ce-score": 8.1}], "neg": {"dense": [{"pid": 8, "ce-score": 0.5}, {"pid": 2}]}},
    ]
    path = folder / "negatives.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest()


def numbered(folder: Path, *ids: str) -> Path:
    """A corpus with these ids."""
    columns = {name: sorted(ids) for name in ("doc_id", "title", "text")}
    return artifact(folder / "manifest.json", {"documents.parquet": strings(**columns)})


def test_published_negatives_become_rankings(tmp_path, capsys):
    url, checksum = published(tmp_path)
    download_file({"url": url, "sha256": checksum}, tmp_path / "file" / "manifest.json")
    collection = write_collection(tmp_path / "collection", {"12": ["1"], "3": ["1"], "40": ["1"]})
    spec = {"systems": ["dense", "bm25"], "depth": 2}
    corpus = numbered(tmp_path / "corpus", "1", "2", "3", "7", "8", "9", "x5", "2147483648")
    paths = {"file": tmp_path / "file" / "manifest.json", "corpus": corpus, "collection": collection}
    import_rankings(spec, **paths, output=tmp_path / "out" / "manifest.json")
    frame = read_ranking(tmp_path / "out" / "manifest.json")
    found = defaultdict(list)
    for row in frame.itertuples():
        found[row.system, row.query_id].append((row.rank, row.doc_id))
    assert found == {
        ("bm25", "12"): [(1, "7"), (2, "3")],
        ("dense", "12"): [(1, "9")],
        ("dense", "3"): [(1, "8"), (2, "2")],
    }
    assert frame["score"].isna().all() and systems(tmp_path / "out" / "manifest.json") == ["bm25", "dense"]
    assert Artifact(tmp_path / "out" / "manifest.json").counts == {
        "queries": 3, "queries_without_results": 1, "duplicates": 1, "hits": 5
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["manifest.json", "ranking.parquet"]
    assert [line for line in capsys.readouterr().err.splitlines() if "nothing" in line] == [
        "dense lists nothing for 1 of 3 queries",
        "bm25 lists nothing for 2 of 3 queries, which is most: is the file for this collection?",
    ]
    # Passage 5 is below the depth; 07 and x8 are not 7 and 8.
    other = paths | {"corpus": numbered(tmp_path / "other", "1", "2", "3", "07", "x8", "9")}
    with pytest.raises(InputError, match=r"lists 2 passages that .*/other/.* has no .*, the first is 7: import"):
        import_rankings(spec, **other, output=tmp_path / "x" / "manifest.json")
    with pytest.raises(InputError, match="no system 'other': it has bm25, dense, third"):
        import_rankings({**spec, "systems": ["other"]}, **paths, output=tmp_path / "x" / "manifest.json")


def test_a_download_is_held_to_its_checksum(tmp_path, capsys):
    url, checksum = published(tmp_path)
    output = tmp_path / "file" / "manifest.json"
    for spec, message in [
        ({"url": url, "sha256": "0" * 64}, "not the pinned"),
        ({"url": url + "x", "sha256": checksum}, "cannot be downloaded"),
        ({"url": "http://host/file", "sha256": None}, "must begin with https:// or file://"),
        ({"url": "https://host/..", "sha256": checksum}, "must end with a file's name"),
    ]:
        with pytest.raises(InputError, match=message):
            download_file(spec, output)
        assert not output.exists() and not list(tmp_path.glob("file/*.gz*"))
    download_file({"url": url, "sha256": None}, output)
    assert Artifact(output).counts["sha256"] == checksum
    assert "no checksum is pinned" in capsys.readouterr().err


class Unsteady(http.server.BaseHTTPRequestHandler):
    """Serves BODY from the byte asked for, and breaks off in the middle where it is asked for all."""

    BODY = bytes(range(256)) * 40

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.BODY) - start))
        self.end_headers()
        self.wfile.write(self.BODY[start:] if start else self.BODY[:5000])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def test_a_download_goes_on_where_it_broke_off(tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Unsteady) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/file.bin"
        spec = {"url": url, "sha256": hashlib.sha256(Unsteady.BODY).hexdigest()}
        with pytest.raises(InputError, match=r"broke off at 5,000 of 10,240 bytes: run again to go on"):
            download_file(spec, tmp_path / "manifest.json")
        download_file(spec, tmp_path / "manifest.json")
        server.shutdown()
    assert Artifact(tmp_path / "manifest.json").file("file.bin").read_bytes() == Unsteady.BODY
    assert not list(tmp_path.glob("*.part"))
