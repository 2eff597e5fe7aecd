"""Published negatives become rankings of the documents and queries that are there."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path

import pytest
from factories import artifact, write_collection, write_corpus

from workflow_scripts.index.import_rankings import import_rankings
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rankings import read_ranking, systems

PUBLISHED = [
    {"qid": 12, "pos": [1], "neg": {"bm25": [7, 3, 7, 5], "dense": [9]}},
    {"qid": 99, "pos": [2], "neg": {"bm25": [4], "third": [6]}},
    {"qid": 3, "pos": [{"pid": 1, "ce-score": 8.1}], "neg": {"dense": [{"pid": 8, "ce-score": 0.5}, {"pid": 2}]}},
]
"""Lines in both published forms."""


def numbered(folder: Path, *ids: str) -> Path:
    """A corpus with these ids."""
    return write_corpus(folder, dict.fromkeys(sorted(ids), ""))


def test_published_negatives_become_rankings(tmp_path, capsys):
    lines = "".join(json.dumps(line) + "\n" for line in PUBLISHED)
    packed = {"negatives.jsonl.gz": gzip.compress(lines.encode())}
    file = artifact(tmp_path / "file/manifest.json", packed, kind="downloads")
    corpus = numbered(tmp_path / "corpus", "1", "2", "3", "7", "8", "9", "x5", "2147483648")
    paths = {"file": file, "corpus": corpus, "collection": write_collection(tmp_path / "collection", ["12", "3", "40"])}
    spec = {"systems": ["dense", "bm25"], "depth": 2}
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
