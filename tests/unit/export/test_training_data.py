"""Training data for other libraries, of a student that reads the teacher and of one whose cut alone does."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from factories import artifact
from project import ROOT

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.exports import Exports
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.export.export_training import export_training
from workflow_scripts.storage.groups import GROUPS_SCHEMA, LABELS_SCHEMA

QUERIES = [f"q{number}" for number in range(4)]
ENTROPY = [0.1, 0.4, 0.2, 0.9]


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Four groups of two documents, H of the first alone in the lower quartile; texts are the ids."""
    rows = {
        "query_id": [query for query in QUERIES for _ in range(2)],
        "position": [0, 1] * 4,
        "doc_id": [f"d{number}" for number in range(8)],
    }
    more = {"source": ["positive", "bm25"] * 4, "rank": [None, 1] * 4, "score": [None] * 8, "probability": [None] * 8}
    labels = {"score": [float(number) for number in range(8)], "entropy": [h for h in ENTROPY for _ in range(2)]}
    texts = pa.schema([("doc_id", pa.string()), ("title", pa.string()), ("text", pa.string())])
    documents = {"doc_id": rows["doc_id"], "title": [""] * 8, "text": rows["doc_id"]}
    files: dict[str, tuple[str, dict, pa.Schema]] = {
        "groups": ("groups.parquet", rows | more, GROUPS_SCHEMA),
        "labels": ("labels.parquet", rows | labels, LABELS_SCHEMA),
        "corpus": ("documents.parquet", documents, texts),
        "collection": (
            "queries.parquet",
            {"query_id": QUERIES, "text": QUERIES},
            pa.schema([("query_id", pa.string()), ("text", pa.string())]),
        ),
    }
    return {
        name: artifact(tmp_path / name / "manifest.json", {file: (columns, schema)}, counts={"temperature": 2.0})
        for name, (file, columns, schema) in files.items()
    }


def exported(tmp_path: Path, inputs: dict[str, Path], cell: str) -> tuple[list[dict], str]:
    """Tevatron's lines of the first group, and the card, of a cell of the demo with these groups."""
    config = read_config(ROOT / "config/demo.yaml")
    config["studies"]["cuts"] |= {"losses": ["lce", "kl"], "at_least": 1}
    spec = Exports(Rankers(Experiment(config)), []).training_spec(cell, "tevatron") | {"group_size": 2}
    card = ROOT / "workflow_scripts/export/data_card.md"
    export_training(spec=spec, **inputs, card=card, output=tmp_path / "out/manifest.json")
    (line,) = map(json.loads, (tmp_path / "out/train.jsonl").read_text().splitlines())
    return line["positive_passages"] + line["negative_passages"], (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize(("loss", "scores"), [("kl", [0.0, 1.0]), ("lce", None)])
def test_scores_are_of_a_loss_that_reads_them_though_the_cut_reads_labels_too(
    tmp_path: Path, inputs: dict[str, Path], loss: str, scores: list[float] | None
) -> None:
    passages, card = exported(tmp_path, inputs, f"ce.{loss}.bm25-lower-quartile.base.seed0")
    assert [passage["docid"] for passage in passages] == ["d0", "d1"]
    assert [passage.get("score") for passage in passages] == (scores or [None, None])
    assert ("`score`, the teacher's" in card) == ("divided by 2" in card) == (scores is not None)
    assert "the queries that the cut `lower-quartile` keeps" in card
