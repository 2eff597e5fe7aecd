"""The DAG as configured: job counts, refusals, ids."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from project import ROOT, Project
from snakemake.cli import parse_config

TABLES = (
    *("main", "claims", "published", "equivalence", "variance", "power", "controls", "correlation", "locality"),
    *("configuration", "cost", "contamination", "bound", "advice", "retrieval", "cuts", "training_collections"),
)
ONCE = (
    *("download_file", "import_rankings", "train_teacher", "check_first_stage", "embed_groups"),
    *("gather_dense_candidates", "tokenise_dense_candidates", "profile_scores", "fit_profiles", "smooth_curves"),
    *("draw_pipeline", "draw_score_by_rank", "draw_score_grid", "draw_learning_curves", "draw_cost", "make_report"),
    *(f"make_{table}_table" for table in TABLES),
)
"""Jobs of the paper's plan that there is one of."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.fresh(tmp_path_factory.mktemp("fresh"))


def test_paper_plans_the_whole_grid_without_data_or_network(fresh: Project) -> None:
    jobs = fresh.planned(config="config/paper.yaml")
    config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    # The study's four samplers and the dense one; random and ensemble trained again in every loss and student; the
    # study's six entropy cuts and three beside them; Natural Questions beside MS MARCO, of the main grid's cells.
    grid, controls, cuts, second = 4 * 5 * 2, 4 * 2 * 2, (6 + 3) * 2, 2 * 2 * 2
    students, retrievers = grid + controls + cuts + second, (grid + controls) // 2
    corpora, tested = 1 + 25 + 1, 2 + 25
    assert len(config["corpora"]) == corpora
    assert len(config["collections"]) == tested + 2
    assert jobs == {
        # Of each family of public collections once, whatever reads it.
        "prepare_corpus": corpora,
        "build_index": corpora,
        "prepare_collection": tested + 2,
        # The study's BM25 on every collection and both sets of training queries, two more settings on the tested ones.
        "search_index": tested + 2 + 2 * tested,
        # Of the training queries, and of the collections whose dense candidates cross-encoders re-rank.
        "search_dense": 1 + 2,
        "rerank_dense_candidates": retrievers,
        # MS MARCO, DPR, and BEIR's sets, of which CQADupStack's twelve forums are one archive.
        "fetch_archives": 1 + 1 + 14,
        "fetch_backbone": 2,
        # BERT and ELECTRA share one vocabulary.
        # Whole: what is trained on or retrieved from. Of every other corpus, only what is re-ranked.
        "tokenise_corpus": 2,
        "tokenise_queries": 2 + 2,
        # Two evaluation sets: MS MARCO's collections and BEIR's.
        "gather_evaluation": 2,
        "tokenise_evaluation": 2,
        # The teacher's groups are drawn from BM25 with its own seed.
        "mine_negatives": 5 + 2 + 2 + 1,
        "score_pool": 4 + 2,
        "look_up_labels": 5 + 2 + 2,
        "label_groups": 5 + 2 + 2,
        "train_student": students,
        "rerank_candidates": 2 * (students + 1),
        "retrieve_documents": retrievers,
        "measure_runs": 2 * 2 + 2 * retrievers,
        # With their cells.
        "measure_students_in_domain": students,
        "measure_students_out_of_domain": students,
        "collect_metrics": 2,
        "make_per_collection_table": 2,
        "render_table": 21,
        **dict.fromkeys(ONCE, 1),
    }


def test_the_overlays_of_the_demo_plan_their_own_students(fresh: Project) -> None:
    rivals = fresh.planned(config="config/demo.yaml config/rivals.yaml")
    # Seven samplers under two losses, and seven more losses on two of them; three seeds. A teacher has its own groups.
    students = (7 * 2 + 7 * 2) * 3
    assert rivals["train_student"] == rivals["measure_students_all"] == students
    assert rivals["mine_negatives"] == 7 * 3 + 1
    # Six budgets of ten students, three seeds.
    budgets = fresh.planned(config="config/demo.yaml config/budgets.yaml")
    assert budgets["train_student"] == 6 * 5 * 2 * 3 and budgets["mine_negatives"] == 5 * 3 + 1
    # A table of the grid and one of the study.
    for jobs in (rivals, budgets):
        assert jobs["train_teacher"] == jobs["make_main_table"] == jobs["make_study_main_table"] == 1
    assert budgets["draw_budgets"] == 1


def test_a_backbone_is_held_to_the_first_of_its_vocabulary(fresh: Project) -> None:
    for name, fetched in (("bert", 1), ("electra", 2)):
        jobs = fresh.planned(f"results/paper/backbones/{name}/manifest.json", config="config/paper.yaml")
        assert jobs == {"fetch_backbone": fetched}


def test_one_cell_plans_one_student(fresh: Project) -> None:
    jobs = fresh.planned("results/demo/cells/ce.marginmse.bm25.base.seed0.in-domain.csv", config="config/demo.yaml")
    assert jobs["train_student"] == jobs["rerank_candidates"] == jobs["measure_students_all"] == 1
    # No ensemble, no cross-encoder mining, no table; the teacher's own groups, and the pool that calibrates it.
    assert jobs["score_pool"] == 3 and jobs["mine_negatives"] == 2
    assert "make_main_table" not in jobs
    contrastive = fresh.planned("results/demo/cells/ce.lce.bm25.none.seed0.in-domain.csv", config="config/demo.yaml")
    assert "train_teacher" not in contrastive and "label_groups" not in contrastive


def test_all_data_are_read_before_anything_is_computed(fresh: Project) -> None:
    planned = fresh.run("--dry-run").stdout
    block = r"^(?:local)?rule (\w+):\n(?:    (?!priority).*\n)*(?:    priority: (\d+)\n)?"
    jobs = re.findall(block, planned, re.MULTILINE)
    of_data = {"prepare_corpus", "prepare_collection"}
    first = {int(priority) for rule, priority in jobs if rule in of_data}
    # Snakemake prints no priority of 0, and the target all has none.
    assert len(first) == 1 and max(int(priority or 0) for rule, priority in jobs if rule not in of_data) < min(first)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("cells/ce.margin.bm25.base.seed0.in-domain.csv", "losses lce, ranknet, marginmse, kl"),
        ("cells/ce.kl.bm25.base.seed9.in-domain.csv", "seeds 0"),
        ("cells/ce.kl.bm25.base.seed0.indomain.csv", "no 'indomain' among the domains of demo: it has in-domain"),
        ("runs/teacher/base/in-domain/manifest.json", "no evaluation set 'in-domain' in demo: it has all"),
        ("rankings/bm26/demo/manifest.json", "no 'bm26' among the systems of demo: it has bm25"),
        ("groups/ance/seed0/manifest.json", "no sampler 'ance' in demo: it has random, bm25"),
        ("corpora/dmo/manifest.json", "no 'dmo' among the corpora of demo: it has demo"),
    ],
)
def test_a_typo_names_the_valid_ids(fresh: Project, target: str, message: str) -> None:
    assert message in fresh.refused("--dry-run", f"results/demo/{target}", config="config/demo.yaml")


def test_the_page_gives_the_command_that_made_it(fresh: Project) -> None:
    given = ["seeds=[0,2]", "backbones={mini: {seed: 3}}"]
    page = "results/tiny/report.html"
    planned = fresh.run("--dry-run", "--printshellcmds", "--config", *given, "reuse=[]", "--", page).stdout
    command = next(line for line in planned.splitlines() if ".make_report --log" in line)
    words = shlex.split(command.removeprefix("Shell command: "))
    rebuild = shlex.split(json.loads(words[words.index("--spec") + 1])["rebuild"])
    assert rebuild[:6] == [".venv/bin/python", "-m", "snakemake", "--configfile", "tests/config/tiny.yaml", "--config"]
    assert parse_config(rebuild[6:8]) == parse_config(given) and rebuild[8:] == ["--cores", "all"]


def test_a_bad_config_is_one_line_before_anything_runs(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    project.edit("tests/config/tiny.yaml", "documents: 256\n", "documents: 250\n")
    output = project.refused()
    message = "config: training.documents: 250 must be a multiple of a step's 64 documents (nearest: 256)"
    assert [line.strip() for line in output.splitlines() if "training.documents" in line] == [message], output
    assert not (tmp_path / "results").exists()


def test_seeds_that_share_their_sampling_share_its_groups(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    before = project.planned()
    project.edit("tests/config/tiny.yaml", "seeds: [0]", "seeds: [0, {seed: 1, sampling: 0}]")
    jobs = project.planned()
    assert jobs["train_student"] == 2 * before["train_student"] == 16
    assert jobs["mine_negatives"] == before["mine_negatives"] and jobs["label_groups"] == before["label_groups"]


def test_snakemakes_lint_finds_nothing(fresh: Project) -> None:
    done = fresh.run("--lint")
    assert done.returncode == 0 and "in a good condition" in done.stdout + done.stderr


def test_no_rule_names_a_site() -> None:
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        # The module that asks a cluster for its limits is no site.
        text = path.read_text().replace("from workflow_scripts.experiment.slurm import", "")
        assert not re.search(r"slurm|partition|qos|account=", text), path


def test_the_cluster_profile_sends_every_gpu_rule_to_its_partition() -> None:
    profile = yaml.safe_load(next((ROOT / "config" / "profiles" / "slurm").iterdir()).read_text())
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = re.findall(r"^ *use rule (score|train|rerank)_job as (\w+) with:", text, re.MULTILINE)
    sent = set(profile["set-resources"])
    # What is measured within a student's group runs where the group does.
    measured = {name for name in profile["groups"] if name.startswith("measure_students_")}
    assert {name for _, name in rules} == sent - measured and measured <= sent and len(rules) == 11
