"""What is exported, of the study as published: nothing here was generated."""

from __future__ import annotations

import shlex

import pytest
from factories import shipped
from snakemake.cli import parse_config

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.exports import TRAINING_FORMATS, Exports
from workflow_scripts.experiment.overlay import overlaid
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.export.cards import licence, licences
from workflow_scripts.export.export_training import FORMATS
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rerun import snakemake_command

GIVEN = parse_config(["seeds=[0,1]", "backbones={mini: {seed: 1}}"])


@pytest.fixture(scope="module")
def exports() -> Exports:
    return Exports(Rankers(Experiment(shipped("paper"))), snakemake_command(["config/paper.yaml"], config=GIVEN))


def test_every_card_of_the_paper_names_whose_texts_and_models_it_rests_on(exports: Exports) -> None:
    sources = {}
    for ranker in exports.experiment.rankers.values():
        for spec in (exports.training_spec(ranker.cell, "datasets"), exports.model_spec(ranker.cell)):
            made_from = spec["card"]["made_from"]
            assert licence(made_from) == "other"
            assert len({(what, name) for what, name, _ in made_from}) == len(made_from)
            sources[ranker.cell, "systems" in spec] = "\n".join(licences(made_from))
    trained_on = {text.splitlines()[0] for text in sources.values()}
    assert any("msmarco-passage" in line for line in trained_on) and any("dpr-w100" in line for line in trained_on)
    for (cell, model), lines in sources.items():
        assert ("beir/scifact" in lines) == model, cell
        assert not model or "huggingface.co/google" in lines, cell
        # The miner of dense negatives is a student on this backbone, trained on BM25's.
        assert ("bert: `google-bert/bert-base-uncased`" in lines) == (
            ".dense." in cell or (model and cell[:3] == "be.")
        ), cell
        assert ("msmarco-hard-negatives" in lines) == (".ensemble." in cell), cell


@pytest.mark.parametrize(
    ("encoder", "named", "trained_by"),
    [
        ("bge", ["backbone bge: `BAAI/bge-small-en-v1.5`"], []),
        # A cell whose own groups another dense system mines, and whose backbone is of a hub.
        (
            "be/lce.chained.none/seed0",
            ["backbone bge: `BAAI/bge-small-en-v1.5`", "backbone bert: `google-bert/bert-base-uncased`"],
            ["lce", "be"],
        ),
    ],
)
def test_a_card_names_whose_model_mined_the_negatives(encoder: str, named: list[str], trained_by: list[str]) -> None:
    hub = {"revision": "5" * 40, "vocabulary": "bert"}
    overlay = {
        "backbones": {
            "bge": {"source": "BAAI/bge-small-en-v1.5", **hub},
            "bert": {"source": "google-bert/bert-base-uncased", **hub},
        },
        "systems": {"dense": {"encoder": encoder}, "first": {"model": "dense", "encoder": "bge", "depth": 100}},
        "samplers": {"chained": {"function": "dense", "systems": ["first"], "options": {"pool": 50, "depth": 100}}},
        "students": {"be": {"backbone": "bert"}},
    }
    experiment = Experiment(overlaid(shipped("demo"), overlay))
    for cell in ("ce.marginmse.dense.base.seed0", "ce.lce.dense.none.seed0"):
        spec = Exports(Rankers(experiment), "x").training_spec(cell, "datasets")["card"]
        assert [line.split(", ")[0] for line in licences(spec["made_from"])] == named
        assert licence(spec["made_from"]) == "other"
        ids = [name for what, name, _ in spec["made_from"] if what in ("loss", "student")]
        assert ids == trained_by


def test_an_unknown_format_is_refused_before_a_job_runs(exports: Exports) -> None:
    assert tuple(FORMATS) == TRAINING_FORMATS
    with pytest.raises(InputError, match=r"no format 'nonsense': choose datasets, .*, trec, model or onnx"):
        exports.training_spec(next(iter(exports.experiment.rankers.values())).cell, "nonsense")


def test_names_that_are_exported(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exports.ranker("bm25") == "bm25" and exports.ranker("teacher.electra") == "teacher/electra"
    assert exports.model("teacher.electra") == "teachers/electra"
    monkeypatch.setitem(exports.entry("teachers", "electra"), "trained", False)
    for name in ("bm25", "teacher.electra"):
        with pytest.raises(InputError, match="was not trained here"):
            exports.model(name)
    cell = next(iter(exports.experiment.rankers.values())).cell
    assert exports.model(cell).startswith("students/")
    assert list(exports.systems(cell))[:2] == ["this model", "BM25"]
    options = "--configfile config/paper.yaml --config 'seeds=[0, 1]' 'backbones={mini: {seed: 1}}' --cores 2"
    path = f"results/paper/exports/{cell}/model/manifest.json"
    rebuild = exports.model_spec(cell)["card"]["rebuild"]
    assert rebuild == f".venv/bin/python -m snakemake {options} -- \\\n    {path}"
    # What is printed means what was given.
    changes = shlex.split(rebuild)[6:8]
    assert parse_config(changes) == GIVEN
    for name, student in exports.experiment.cells.items():
        path = f"retrieved/{student.path}"
        if student.path in (*exports.experiment.retrievers, *exports.experiment.dense_rerankers):
            assert exports.ranker(f"retrieved.{name}") == path
        else:
            with pytest.raises(InputError, match="evaluated on BM25's candidates alone"):
                exports.ranker(f"retrieved.{name}")
