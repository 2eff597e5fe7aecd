"""Pools and dense searches that several jobs share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project import Project

pytestmark = pytest.mark.long
RESULTS = Path("results/tiny")
MADE = ("scores/base/positives", "scores/base/bm25", "rankings/dense/demo-train")
DENSE = "  dense: {model: dense, encoder: mini, depth: 40}\nfirst_stage:"


def contents(project: Project) -> dict[str, tuple]:
    """Each artifact's bytes, and what a reader's early cut-off compares."""
    found = {}
    for name in MADE:
        folder = project.folder / RESULTS / name
        manifest = json.loads((folder / "manifest.json").read_text())
        files = [(folder / file).read_bytes() for file in manifest["files"]]
        found[name] = files, manifest["kind"], manifest["spec"], manifest["counts"]
    return found


@pytest.mark.slow
def test_the_number_of_shards_changes_no_byte_and_trains_nothing(tiny: Project, tmp_path: Path) -> None:
    project = tiny.duplicate(tmp_path / "copy")
    # Of such parts and chunks this small a pool and a corpus have several.
    project.edit("workflow_scripts/teach/pools.py", "PART = 2**20", "PART = 2**8")
    project.edit("workflow_scripts/models/dense_retrieval.py", "2**17  # vectors", "2**6  # vectors")
    project.edit("tests/config/tiny.yaml", "first_stage:", DENSE)
    targets = ["all", *(str(RESULTS / name / "manifest.json") for name in MADE)]
    project.build(*targets)
    whole = contents(project)
    weights = {path: path.stat().st_mtime_ns for path in project.folder.rglob("model.safetensors")}
    assert len(weights) > 8 and project.planned(*targets) == {}

    project.edit("tests/config/tiny.yaml", "experiment: tiny", "experiment: tiny\nshards: 3")
    made, kept = project.outcome(*targets)
    scattered = ("list_pairs", "score_shard", "merge_pool", "search_shard", "merge_search")
    assert [made[rule] for rule in scattered] == [2, 6, 2, 3, 1]
    assert contents(project) == whole
    shards = (project.folder / RESULTS / "shards/scores/base/bm25").rglob("manifest.json")
    assert min(json.loads(path.read_text())["counts"]["scored"] for path in shards) > 0
    assert kept["mine_negatives"] and kept["label_groups"]
    assert not {"mine_negatives", "label_groups", "train_student", "train_teacher", "rerank_candidates"} & {*made}
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    assert project.planned(*targets) == {}
