"""Training data for other libraries, of a student that reads the teacher and of one whose cut alone does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from factories import shipped, write_collection, write_corpus, write_groups, write_labels
from project import ROOT

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.exports import Exports
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.export.export_training import export_training
from workflow_scripts.storage.documents import BATCH, read_some


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Four groups of two documents, H of the first alone in the lower quartile; texts are the ids."""
    drawn = {f"q{number}": [f"d{2 * number}", f"d{2 * number + 1}"] for number in range(4)}
    return {
        "groups": write_groups(tmp_path / "groups", drawn),
        "labels": write_labels(tmp_path / "labels", drawn, range(8), entropy=[0.1, 0.4, 0.2, 0.9], temperature=2.0),
        "corpus": write_corpus(tmp_path / "corpus", {f"d{number}": f"d{number}" for number in range(8)}),
        "collection": write_collection(tmp_path / "collection", list(drawn)),
    }


def exported(tmp_path: Path, inputs: dict[str, Path], cell: str) -> tuple[list[dict], str]:
    """Tevatron's lines of the first group, and the card, of a cell of the demo with these groups."""
    config = shipped("demo")
    config["studies"]["cuts"] |= {"losses": ["lce", "kl"], "at_least": 1}
    spec = Exports(Rankers(Experiment(config)), "x").training_spec(cell, "tevatron") | {"group_size": 2}
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


def test_a_batch_of_a_corpus_is_looked_up_among_the_ids_of_its_own_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"é{number:05}" for number in range(2 * BATCH + 100)]
    corpus = write_corpus(tmp_path / "corpus", {each: (each, "text") for each in ids})
    wanted = ["a", "é00000x", "ü", *np.random.default_rng(0).choice(ids[:-50], 500, replace=False)]
    looked_up, is_in = [], pc.is_in
    monkeypatch.setattr(pc, "is_in", lambda values, among: looked_up.append(len(among)) or is_in(values, among))
    found = [row for batch in read_some(corpus, "full", wanted) for row in batch.to_pylist()]
    assert found == [{"doc_id": each, "text": f"{each} text"} for each in sorted(wanted[3:])]
    assert len(looked_up) == 3 and sum(looked_up) == 501  # é00000x lies between two documents
