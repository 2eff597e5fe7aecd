"""The cells of an experiment: the main grid and its studies."""

from __future__ import annotations

import pytest
from changed_demo import demo

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.grid_point import GridPoint, points
from workflow_scripts.experiment.places import Places
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.errors import InputError


def test_studies_add_cells_and_seeds_are_told_apart() -> None:
    experiment = Experiment(demo({"seeds": [0, {"seed": 4, "order": 0}], "studies.teachers.seeds": [4]}))
    assert experiment.seeding[4] == {"sampling": 4, "order": 0, "initialisation": 4}
    # The study's cells of the grid's own teacher are the grid's.
    assert [
        ranker.cell for ranker in points(experiment.studies["teachers"]) if ranker.path not in experiment.grid_rankers
    ] == [
        "ce.kl.random.weak.seed4",
        "ce.kl.crossencoder.weak.seed4",
    ]
    assert "ce.marginmse.bm25-outliers.base.seed0" in experiment.cells and len(experiment.grid_rankers) == 80
    # A cut has no groups of its own.
    assert experiment.groups_id("bm25-outliers", "base") == "bm25" and "bm25-outliers.base" not in experiment.groups_ids


def test_a_study_of_budgets_adds_students_and_shares_the_grid_s() -> None:
    study = {"students": ["be"], "losses": ["kl"], "samplers": ["random", "bm25"], "teachers": ["base"]}
    experiment = Experiment(demo({"studies.budgets": study | {"multiples": [0.125, 1, 4]}}))
    assert experiment.studies["budgets"]["students"] == ["be-3200", "be", "be-102400"]
    new = [
        ranker.path for ranker in points(experiment.studies["budgets"]) if ranker.path not in experiment.grid_rankers
    ]
    assert new == [f"be-{n}/kl.{sampler}.base/seed0" for n in (3200, 102400) for sampler in ("random", "bm25")]
    specs = {path: Rankers(experiment).student_spec(path) for path in (*new, "be/kl.random.base/seed0")}
    assert [spec["documents"] for spec in specs.values()] == [3200, 3200, 102400, 102400, 25600]
    # Nothing but the name and the budget differs: the same negatives, labels and seeds.
    kept = [{key: spec[key] for key in spec if key not in ("name", "documents")} for spec in specs.values()]
    assert all(spec == kept[0] for spec in kept)
    assert Rankers(experiment).labels(new[0]) == Rankers(experiment).labels("be/kl.random.base/seed0")
    # A student with a budget of its own is multiplied by that.
    other = Experiment(demo({"studies.budgets": study | {"multiples": [0.5, 1]}, "students.be.documents": 2560}))
    assert other.studies["budgets"]["students"] == ["be-1280", "be"]


def test_only_a_loss_with_in_batch_negatives_says_so_to_its_students() -> None:
    loss = {"function": "lce", "in_batch_negatives": True, "in_grid": False}
    study = {"students": ["be"], "losses": ["lce", "batch"], "samplers": ["bm25"], "teachers": ["base"]}
    rankers = Rankers(Experiment(demo({"losses.batch": loss, "studies.losses": study})))
    own, batch = (rankers.student_spec(f"be/{name}.bm25.none/seed0") for name in ("lce", "batch"))
    assert batch == own | {"in_batch_negatives": True, "name": batch["name"]} and "in_batch_negatives" not in own
    # Its job alone reads what is judged: the batch may hold a query's other positives.
    read = [rankers.judged(f"be/{name}.bm25.none/seed0") for name in ("lce", "batch")]
    assert read == [[], ["collections/demo-train"]]


def test_a_student_s_pooling_is_in_its_spec_and_locality_is_measured_in_a_trained_space() -> None:
    experiment = Experiment(demo({"students.be.pooling": "mean"}))
    specs = [Rankers(experiment).student_spec(f"{name}/kl.bm25.base/seed0") for name in ("be", "ce")]
    assert specs[0]["pooling"] == "mean" and "similarity" not in specs[0] and "pooling" not in specs[1]
    assert experiment.embedding == "be/lce.random.none/seed0"
    assert (
        Experiment(demo({"students": {"ce": demo()["students"]["ce"]}, "systems.dense.encoder": "mini"})).embedding
        == "mini"
    )
    assert Experiment(demo({"analysis": {"locality": {"embedding": "mini"}}})).embedding == "mini"


def test_a_student_that_reads_no_teacher_is_trained_once_and_stands_under_each() -> None:
    # A second teacher trains every student again, but for contrastive ones on negatives drawn without a teacher.
    one, two = Experiment(demo()), Experiment(demo({"teachers.weak.in_grid": True}))
    assert len(set(two.grid_rankers) - set(one.grid_rankers)) == 2 * (4 * 5 - 3)
    teacherless = {path for path in two.grid_rankers if ".none/" in path}
    drawn = ("random", "bm25", "dense")
    assert teacherless == {f"{name}/lce.{sampler}.none/seed0" for name in ("be", "ce") for sampler in drawn}
    for teacher in ("base", "weak"):
        assert two.points[GridPoint("ce", "lce", "bm25", teacher, 0)].path == "ce/lce.bm25.none/seed0"
        # It is found by the name of every place where it stands.
        for name in (f"ce.lce.bm25.{teacher}.seed0", f"ce/lce.bm25.{teacher}/seed0"):
            assert two.ranker(name).path == "ce/lce.bm25.none/seed0"
    encoder = Experiment(demo({"systems.dense.encoder": "be/lce.bm25.base/seed0"})).config["systems"]["dense"][
        "encoder"
    ]
    assert encoder == "be/lce.bm25.none/seed0"
    # A cut of such groups is by a teacher's entropy.
    assert "ce/lce.bm25-outliers.base/seed0" in Experiment(demo({"studies.cuts.losses": ["lce"]})).rankers


def test_fold_teachers_score_and_the_whole_teacher_is_evaluated() -> None:
    rankers = Rankers(Experiment(demo({"teachers.base.folds": 2})))
    assert rankers.scorers("base") == ["teachers/base/fold0", "teachers/base/fold1"]
    assert rankers.model("teacher/base") == "teachers/base"
    whole, fold = rankers.teacher_spec("base"), rankers.teacher_spec("base/fold1")
    assert fold == whole | {"name": "teacher/base/fold1", "fold": {"of": 2, "left_out": 1}}
    with pytest.raises(InputError, match="no 'fold2' of teacher base: it has fold0, fold1"):
        rankers.teacher_spec("base/fold2")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("tables/first_stage.md", "no 'first_stage.md' among the tables of demo: it has first_stage.csv"),
        ("tables/main.losses", "no 'main.losses' among the tables of demo: it has main.losses.csv, main.losses.md, m"),
        ("tables/none.md", "no 'none.md' among the tables of demo: it has main, main.losses, first_stage"),
        ("figures/main.csv", "no 'main.csv' among the figures of demo: it has cost"),
    ],
)
def test_a_table_or_figure_that_is_none_is_answered_with_those_that_there_are(asked: str, answer: str) -> None:
    places = Places(Experiment(demo()))
    there = [*places.tables("main", "main.losses"), "results/demo/tables/first_stage.csv", *places.figures("cost")]
    with pytest.raises(InputError) as raised:
        places.refuse(asked, there)
    assert str(raised.value).startswith(answer)
