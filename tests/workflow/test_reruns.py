"""What reruns: after each change exactly the jobs that it makes stale, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from project import Project

STUDENT = "results/tiny/students/ce/marginmse.bm25.base/seed0"
CELL = "results/tiny/cells/ce.marginmse.bm25.base.seed0.in-domain.csv"
# After any student: its evaluation, then the tables.
TABLES = {
    "collect_metrics": 1,
    "make_main_table": 1,
    "make_equivalence_table": 1,
    "make_per_collection_table": 2,
    "make_variance_table": 1,
    "make_power_table": 1,
    "make_correlation_table": 1,
    "make_configuration_table": 1,
    "make_cost_table": 1,
    "draw_cost": 1,
    "make_advice_table": 1,
    "make_risk_table": 1,
    "make_bound_table": 1,
    "render_table": 14,
    "make_claims_table": 1,
    "profile_scores": 1,
    "fit_profiles": 1,
    "draw_score_by_rank": 1,
    "draw_score_grid": 1,
    "make_report": 1,
}
# After training too, not after an evaluation alone.
TRAINED = {**TABLES, "smooth_curves": 1, "draw_learning_curves": 1}
# After any change of the groups.
LOCALITY = {"embed_groups": 1, "make_locality_table": 1, "render_table": 15}


@pytest.fixture
def built(tiny: Project, tmp_path: Path) -> Project:
    """A copy of the built experiment in which every file has a new time."""
    return tiny.duplicate(tmp_path / "copy")


def append(project: Project, path: str) -> None:
    """Add a statement to a file, which changes what its jobs' code is."""
    file = project.folder / path
    file.write_text(f"{file.read_text()}\nMORE = 1\n")


def evaluation(students: int, trained: bool = True) -> dict[str, int]:
    jobs = {"rerank_candidates": students, "measure_students_all": students}
    return {**({"train_student": students} if trained else {}), **jobs}


def test_a_copy_with_new_times_has_nothing_to_do(built: Project) -> None:
    assert built.planned() == {}


def test_touching_everything_reruns_nothing(built: Project) -> None:
    for path in sorted(built.folder.rglob("*")):
        # Results in path order: some inputs end up newer than what was made from them, as an rsync would leave them.
        if ".snakemake" not in path.parts:
            os.utime(path)
    assert built.planned() == {}


def test_editing_words_reruns_nothing(built: Project) -> None:
    for script in (built.folder / "workflow_scripts").rglob("*.py"):
        text = script.read_text()
        described = text.replace('"""', '"""Edited. ', 1) if text.startswith('"""') else text
        script.write_text(f"# Edited\n{described}")
    assert built.planned() == {}


def test_editing_a_loss_reruns_its_students(built: Project) -> None:
    append(built, "workflow_scripts/train/losses/marginmse.py")
    assert built.planned() == {**evaluation(4), **TRAINED}


def test_a_loss_edited_while_its_student_trains_retrains_it(built: Project) -> None:
    # The loss appends to its own file where it is imported: what was trained with is not what the file says afterwards.
    write = 'with open(__file__, "a") as own:\n    own.write("MORE = 1\\n")\n'
    built.edit("workflow_scripts/train/losses/marginmse.py", "from __future__ import annotations\n", write)
    model = f"{STUDENT}/manifest.json"
    built.build(model)
    assert built.planned(model) == {"train_student": 1}


def test_an_edit_that_is_taken_back_after_the_run_leaves_nothing_made_by_it(built: Project) -> None:
    # A figure's script, imported, edits itself and a loss, both planned before; the student is trained after it.
    figure, loss = "workflow_scripts/report/draw_pipeline.py", "workflow_scripts/train/losses/marginmse.py"
    script = (built.folder / figure).read_text()
    append(built, loss)
    edit = f"""from pathlib import Path as Edited
for edited in (Edited({figure!r}), Edited({loss!r})):
    edited.write_text(edited.read_text() + "LATER = 1\\n")
"""
    built.edit(figure, "from __future__ import annotations\n", f"from __future__ import annotations\n{edit}")
    targets = ("results/tiny/figures/pipeline.png", f"{STUDENT}/manifest.json")
    assert built.planned(*targets) == (both := {"draw_pipeline": 1, "train_student": 1})
    assert "ran other code or settings" in built.build("--cores", "1", "--", *targets)
    for path in (figure, loss):
        built.edit(path, "LATER = 1\n", "")
    assert built.planned(*targets) == both
    (built.folder / figure).write_text(script)
    assert "ran other code or settings" not in built.build(*targets)
    assert built.planned(*targets) == {}


def test_editing_a_sampler_reruns_what_it_mined(built: Project) -> None:
    append(built, "workflow_scripts/mine/samplers/crossencoder.py")
    assert built.planned() == {"mine_negatives": 1, "label_groups": 1, **evaluation(4), **TRAINED, **LOCALITY}


def test_adding_a_loss_and_a_sampler_leaves_every_cell_up_to_date(built: Project) -> None:
    losses, samplers = (built.folder / "workflow_scripts" / kind for kind in ("train/losses", "mine/samplers"))
    shutil.copy(losses / "marginmse.py", losses / "mine.py")
    shutil.copy(samplers / "bm25.py", samplers / "mine.py")
    built.edit("tests/config/tiny.yaml", "losses:\n", "losses:\n  mine: {function: mine}\n")
    sampler = "  mine: {function: mine, systems: [bm25], pools: [positives, bm25], options: {pool: 9, depth: 30}}\n"
    built.edit("tests/config/tiny.yaml", "samplers:\n", "samplers:\n" + sampler)
    # Only the new cells: 2 students x (the new loss with 3 samplers + the 2 old losses with the new sampler).
    made = {"mine_negatives": 1, "label_groups": 1, **LOCALITY, "draw_pipeline": 1}
    assert built.planned() == {**evaluation(10), **TRAINED, **made}


def test_editing_the_table_trains_nothing(built: Project) -> None:
    append(built, "workflow_scripts/effectiveness/make_main_table.py")
    # Each student's table of collections is cut out of it, costs are drawn against it, advice is read off it.
    read = {"make_per_collection_table": 2, "render_table": 4, "draw_cost": 1, "make_advice_table": 1}
    read |= {"make_report": 1}
    assert built.planned() == {"make_main_table": 1, **read}


def test_swapping_two_values_reruns(built: Project) -> None:
    built.edit("tests/config/tiny.yaml", "bi-encoder, backbone: mini, learning_rate: 0.002", "BE, learning_rate: 0.003")
    built.edit(
        "tests/config/tiny.yaml", "cross-encoder, backbone: mini, learning_rate: 0.003", "CE, learning_rate: 0.002"
    )
    built.edit("tests/config/tiny.yaml", "BE", "bi-encoder, backbone: mini")
    built.edit("tests/config/tiny.yaml", "CE", "cross-encoder, backbone: mini")
    # Diameters are measured in a trained bi-encoder's space.
    assert built.planned() == {**evaluation(8), **TRAINED, **LOCALITY}


def test_reordering_a_mapping_reruns_nothing(built: Project) -> None:
    built.edit("tests/config/tiny.yaml", "{pool: 20, depth: 30}", "{depth: 30, pool: 20}")
    assert built.planned() == {}


def test_another_order_of_a_list_that_decides_bytes_reruns(built: Project, tmp_path: Path) -> None:
    # What reads scores takes the first pool's; tables list rankers in the order of the config.
    built.edit("tests/config/tiny.yaml", "    pools: [positives, bm25]\n", "    pools: [bm25, positives]\n")
    assert built.planned() == {"mine_negatives": 1, "label_groups": 1, **evaluation(4), **TRAINED, **LOCALITY}
    built.edit("tests/config/tiny.yaml", "  marginmse: {function: marginmse}\n", "")
    built.edit("tests/config/tiny.yaml", "losses:\n", "losses:\n  marginmse: {function: marginmse}\n")
    assert {"make_configuration_table", "make_cost_table"} <= built.planned().keys()


def test_reversed_systems_draw_again_and_reversed_corpora_pretrain_again(tmp_path: Path) -> None:
    project, config = Project.fresh(tmp_path), "tests/config/tiny.yaml"
    project.edit(config, "corpora: [demo]\n", "corpora: [demo, demo-hard]\n")
    project.edit(config, "systems:\n", "systems:\n  short: {model: bm25, k1: 0.9, b: 0.4, depth: 50}\n")
    project.edit(config, "{systems: [bm25], depth: 30}", "{systems: [bm25, short], depth: 30}")
    options = "options: {per_system: 5, depth: 9, margin: -100}, in_grid: false}"
    both = f"  both: {{function: ensemble, systems: [bm25, short], pools: [positives, bm25], {options}\n"
    project.edit(config, "samplers:\n", f"samplers:\n{both}")
    groups, contamination = (
        "results/tiny/groups/both.base/seed0/manifest.json",
        "results/tiny/analysis/contamination.parquet",
    )
    backbone = "results/tiny/backbones/mini/manifest.json"
    files = [
        groups.replace("manifest.json", "groups.parquet"),
        contamination,
        backbone.replace("manifest.json", "model.safetensors"),
    ]
    targets, changes = (
        (groups, contamination, backbone),
        (
            ("ensemble, systems: [bm25, short]", "ensemble, systems: [short, bm25]", "mine_negatives"),
            (
                "  in-domain: [demo]\n  hard-shift: [demo-hard]\n",
                "  hard-shift: [demo-hard]\n  in-domain: [demo]\n",
                "make_contamination_table",
            ),
            ("corpora: [demo, demo-hard]\n", "corpora: [demo-hard, demo]\n", "pretrain_backbone"),
        ),
    )
    project.build(*targets)
    assert project.planned(*targets) == {}
    for target, file, (old, new, rule) in zip(targets, files, changes, strict=True):
        before = (project.folder / file).read_bytes()
        project.edit(config, old, new)
        assert project.planned(target) == {rule: 1}
        project.build(target)
        assert (project.folder / file).read_bytes() != before


def test_deleting_a_run_reruns_one_evaluation(built: Project) -> None:
    run = built.folder / "results/tiny/runs/ce/marginmse.bm25.base/seed0/all/demo.run.gz"
    before = run.read_bytes()
    run.unlink()
    assert built.planned() == {**evaluation(1, trained=False), **TABLES}
    built.build(CELL)
    assert run.read_bytes() == before


def test_removing_a_student_reruns_its_training_and_evaluation_for_its_cell(built: Project) -> None:
    cell = (built.folder / CELL).read_bytes()
    shutil.rmtree(built.folder / STUDENT)
    shutil.rmtree(built.folder / STUDENT.replace("ce/", "be/"))
    assert built.planned(CELL) == evaluation(1)
    built.build(CELL)
    # On the same machine a retrained student is the same student.
    assert (built.folder / CELL).read_bytes() == cell
    assert built.planned(CELL) == {}


def test_a_user_s_file_that_is_swapped_for_an_older_one_is_read_again(tmp_path: Path) -> None:
    project, own, other = Project.fresh(tmp_path), tmp_path / "own.tsv", tmp_path / "other.tsv"
    own.write_text("d1\tone\n")
    other.write_text("d1\ttwo\n")
    imported = f"{{model: import, url: 'FILE:{own}', systems: [a], depth: 5}}"
    project.edit("tests/config/tiny.yaml", "corpora:\n", "corpora:\n  own: {source: files, documents: own.tsv}\n")
    project.edit("tests/config/tiny.yaml", "systems:\n", f"systems:\n  own: {imported}\n")
    targets = [f"results/tiny/{kind}/own/manifest.json" for kind in ("corpora", "downloads")]
    both = {"prepare_corpus": 1, "download_file": 1}
    assert project.outcome(*targets)[0] == both and project.planned(*targets) == {}
    os.utime(own, (2, 2))
    assert project.outcome(*targets) == ({}, both)
    os.utime(other, (1, 1))
    other.replace(own)
    assert project.planned(*targets) == both
    assert project.outcome(*targets)[0] == both and project.planned(*targets) == {}
