"""Controls: which cells are trained again, known from the configuration alone."""

from __future__ import annotations

from changed_demo import demo
from factories import shipped

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.code import ROOT


def controls(changes: dict) -> set[str]:
    """Paths of the students that are trained again."""
    return {each.path for each in Experiment(demo(changes)).controls.values()}


def test_the_cheapest_and_the_costliest_sampler_of_every_student_and_loss_are_trained_again() -> None:
    experiment = Experiment(demo())
    # A training query has at most 1 pair scored for random, 101 for bm25, 146 for ensemble and 151 for dense.
    assert {each.path for each in experiment.controls.values()} == {
        f"{student}/{loss}.{sampler}.{teacher}/seed1"
        for student in ("be", "ce")
        for loss, teacher in (("lce", "none"), ("ranknet", "base"), ("marginmse", "base"), ("kl", "base"))
        for sampler in ("random", "dense")
    }
    assert len(experiment.control_cells) == 16
    assert experiment.control_cells[1] == {
        **{"student": "be", "loss": "lce", "sampler": "dense", "teacher": "none"},
        "seeds": [0, 1],
    }
    # The main grid and what its tables are of stay those of the one seed.
    assert experiment.grid["seeds"] == experiment.config["seeds"] == [0] and len(experiment.grid_rankers) == 40
    assert {seed for *_, seed in experiment.uncut_groups} == {0} and {point.seed for point in experiment.points} == {0}
    # A control is a ranker: trained on its own draw, measured, retrieving, found by the name of its place.
    assert experiment.ranker("ce.lce.random.base.seed1").path == "ce/lce.random.none/seed1"
    spec = Rankers(experiment).student_spec("be/kl.dense.base/seed1")
    assert spec["seeds"] == {"initialisation": 1, "order": 1}
    assert Rankers(experiment).labels("be/kl.dense.base/seed1") == ["labels/base/dense/seed1"]
    assert "be/kl.dense.base/seed1" in experiment.retrievers and len(experiment.retrievers) == 28


def test_imported_rankings_count_each_and_a_sampler_that_waits_for_scores_is_the_costlier() -> None:
    paper = Experiment(shipped("paper"))
    assert {cell["sampler"] for cell in paper.control_cells} == {"random", "ensemble"}  # 200 pairs and 12 x 50
    tiny = Experiment(read_config(ROOT / "tests" / "config" / "tiny.yaml") | {"controls": {}})
    assert {cell["sampler"] for cell in tiny.control_cells} == {"bm25", "crossencoder"}  # of the same pool
    # Two losses have half as many control cells as four: two further seeds for eight degrees of freedom a student, none
    # of them the teacher's 1: with that, ce/lce.bm25.none would be the teacher.
    assert {tuple(cell["seeds"]) for cell in tiny.control_cells} == {(0, 2, 3)}


def test_a_further_seed_is_a_new_model() -> None:
    changes = {"seeds": [{"seed": 2, "order": 7}], "systems.dense.encoder": "be/lce.bm25.none/seed2"}
    again = {path.rsplit("/", 1)[1] for path in controls(changes)}
    assert again == {"seed8"}
    named = controls({"controls": {"samplers": ["bm25"], "seeds": [3, 5]}})
    assert len(named) == 16 and "ce/kl.bm25.base/seed5" in named
    assert controls({"seeds": [0, 1]}) == controls({"controls": None}) == set()


def test_every_teacher_of_the_grid_has_controls_of_its_own() -> None:
    added = controls({"teachers.weak.in_grid": True}) - controls({})
    # Contrastive students on negatives drawn without a teacher are trained once.
    assert len(added) == 12 and all(".weak/" in path for path in added)
