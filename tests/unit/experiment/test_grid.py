"""The cells of an experiment: the main grid and its studies."""

from __future__ import annotations

from changed_demo import demo

from workflow_scripts.experiment.experiment import Experiment


def test_studies_add_cells_and_seeds_are_told_apart() -> None:
    experiment = Experiment(demo({"seeds": [0, {"seed": 4, "order": 0}], "studies.teachers.seeds": [4]}))
    assert experiment.seeding[4] == {"sampling": 4, "order": 0, "initialisation": 4}
    # The study's cells of the grid's own teacher are the grid's.
    assert [ranker.cell for ranker in experiment.study("teachers") if ranker.path not in experiment.grid_rankers] == [
        "ce.kl.random.weak.seed4",
        "ce.kl.crossencoder.weak.seed4",
    ]
    assert "ce.marginmse.bm25-outliers.base.seed0" in experiment.cells and len(experiment.grid_rankers) == 80
    assert experiment.label("bm25-outliers", "base") == "bm25-outliers.base"
