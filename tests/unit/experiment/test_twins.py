"""A teacher that is one of its own students is refused; one that differs in anything that is trained by is not."""

from __future__ import annotations

import pytest
from changed_demo import demo, refused
from factories import shipped

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import overlaid
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.errors import InputError

PAPER, LARGE = shipped("paper"), shipped("large")
MORE_SEEDS = {"seeds": [0, 1]}
TWIN = {"loss": "lce", "sampler": "bm25", "documents": 25600, "learning_rate": 0.003, "seed": 0}
"""The demo's student ce/lce.bm25.none/seed0 as a teacher."""


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        (MORE_SEEDS, 2),
        ({"controls": {"samplers": ["random", "bm25"], "seeds": [1, 2]}}, 3),
        (LARGE | {"teachers": {"electra": {"seed": 9}}}, 16),
    ],
)
def test_a_teacher_that_is_a_student_is_one_line_with_a_free_seed(changes: dict, free: int) -> None:
    config = overlaid(PAPER, changes)
    with pytest.raises(InputError) as raised:
        Experiment(config)
    seed = config["teachers"]["electra"]["seed"]
    assert str(raised.value) == (
        f"config: teachers.electra.seed: with {seed} this teacher is the student ce/lce.bm25.none/seed{seed}, the same "
        f"model twice; give it a seed that no student has, such as {free}"
    )
    # The seed alone told them apart.
    rankers = Rankers(Experiment(overlaid(config, {"teachers": {"electra": {"seed": free}}})))
    teacher, student = rankers.teacher_spec("electra"), rankers.student_spec(f"ce/lce.bm25.none/seed{seed}")
    assert {key for key in teacher | student if teacher.get(key) != student.get(key)} == {"name", "seeds"}


@pytest.mark.parametrize(
    "changes", [{"documents": 6000000}, {"learning_rate": 0.00002}, {"sampler": "nearer"}, {"backbone": "bert"}]
)
def test_a_teacher_of_a_student_s_seed_may_differ_in_anything_else(changes: dict) -> None:
    nearer = PAPER["samplers"]["bm25"] | {"options": {"pool": 50, "depth": 200}, "in_grid": False}
    overlay = MORE_SEEDS | {"teachers": {"electra": changes}, "samplers": {"nearer": nearer}}
    assert Experiment(overlaid(PAPER, overlay)).rankers


def test_names_and_seeds_that_nothing_is_drawn_by_tell_no_models_apart() -> None:
    base = demo()["teachers"]["base"] | TWIN
    message = "teachers.base.seed: with 0 this teacher is the student ce/lce.bm25.none/seed{}, .* such as {}$"
    refused({"teachers.base": base}, message.format(0, 2))
    again = demo()["samplers"]["bm25"] | {"in_grid": False, "pools": []}
    refused({"teachers.base": base | {"sampler": "again"}, "samplers.again": again}, message.format(0, 2))
    # The backbone is made here and brings its head: nothing is initialised.
    seed = {"seed": 3, "sampling": 0, "order": 0}
    changes = {"seeds": [seed], "systems.dense.encoder": "be/lce.bm25.none/seed3", "teachers.base": base}
    refused(changes, message.format(3, 5))
    assert Experiment(demo(changes | {"seeds": [seed | {"order": 3}]})).rankers
