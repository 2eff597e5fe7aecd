"""What a job keeps: an artifact whose opened files, spec and code are those of the one that is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from project import Project

RESULTS = Path("results/tiny")
CELL = "results/tiny/cells/ce.marginmse.bm25.base.seed0.in-domain.csv"
TABLES = ("make_", "draw_", "render_", "collect_", "write_", "profile_", "fit_")


def artifacts(counts: dict[str, int]) -> dict[str, int]:
    """Counts without tables, cells and figures, which may be made again."""
    return {rule: count for rule, count in counts.items() if not rule.startswith(TABLES)}


def test_a_lost_ranking_and_a_new_seed_cost_what_is_new(tiny: Project, tmp_path: Path) -> None:
    # Copied as cp -r does, without times and without Snakemake's records: it plans every job.
    project = tiny.duplicate(tmp_path / "copy", records=False)
    for lost in ("rankings/bm25/demo-train", "index/demo"):
        shutil.rmtree(project.folder / RESULTS / lost)
    project.edit("tests/config/tiny.yaml", "seeds: [0]", "seeds: [0, {seed: 1, order: 2}]")
    before = {path: path.stat().st_mtime_ns for path in (project.folder / RESULTS).rglob("model.safetensors")}
    made, kept = project.outcome()
    assert artifacts(made) == {
        # The index's bytes differ, what is found in it does not: nothing behind the rankings is made.
        "build_index": 1,
        "search_index": 2,
        # The second seed's groups of BM25's negatives are there: the teacher was trained on them.
        "mine_negatives": 1,
        "label_groups": 2,
        "train_student": 8,
        "rerank_candidates": 8,
        # With their cells.
        "measure_runs": 8,
        "smooth_curves": 1,
        "embed_groups": 1,
    }
    assert kept["train_student"] == 8 and kept["train_teacher"] == 1 and kept["pretrain_backbone"] == 1
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert project.planned() == {}


@pytest.fixture
def judged(tiny: Project, tmp_path: Path) -> Project:
    """The experiment with its test collection's queries and judgements in files, and one cell built."""
    project = tiny.duplicate(tmp_path / "copy")
    collection = project.folder / RESULTS / "collections/demo"
    queries, judgements = (pd.read_parquet(collection / f"{name}.parquet") for name in ("queries", "qrels"))
    queries[["query_id", "text"]].to_csv(project.folder / "queries.tsv", sep="\t", index=False, header=False)
    lines = judgements[["query_id", "doc_id", "relevance"]].itertuples(index=False)
    (project.folder / "qrels.txt").write_text("".join(f"{query} 0 {doc} {grade}\n" for query, doc, grade in lines))
    given = "source: files, role: test, queries: queries.tsv, qrels: qrels.txt}"
    project.edit("tests/config/tiny.yaml", "source: generated, role: test, seed: 7, queries: 20}", given)
    project.build(CELL)
    return project


def test_a_corrected_judgement_scores_nothing(judged: Project) -> None:
    lines = (judged.folder / "qrels.txt").read_text().splitlines()
    query, _, document, grade = lines[0].split()
    lines[0] = f"{query} 0 {document} {int(grade) + 1}"
    (judged.folder / "qrels.txt").write_text("\n".join(lines) + "\n")
    made, kept = judged.outcome(CELL)
    assert dict(made) == {"prepare_collection": 1, "gather_evaluation": 1, "measure_runs": 1}
    assert kept["rerank_candidates"] == kept["tokenise_evaluation"] == 1


@pytest.mark.parametrize("end", ["raise RuntimeError('broken')", "import os; os.kill(os.getpid(), 9)"])
def test_a_failed_job_leaves_no_trap(tiny: Project, tmp_path: Path, end: str) -> None:
    project = tiny.duplicate(tmp_path / "copy")
    student = project.folder / RESULTS / "students/ce/marginmse.bm25.base/seed0/model.safetensors"
    before = student.read_bytes()
    project.edit("tests/config/tiny.yaml", "{pool: 20, depth: 30}", "{pool: 15, depth: 30}")
    script = project.folder / "workflow_scripts/teach/label_groups.py"
    whole = script.read_text()
    script.write_text(whole.replace('    """', f'    {end}\n    """', 1))
    assert script.read_text() != whole
    project.refused(CELL)
    script.write_text(whole)
    made, _ = project.outcome(CELL)
    assert made["label_groups"] == made["train_student"] == made["rerank_candidates"] == made["measure_runs"] == 1
    assert student.read_bytes() != before
    assert project.planned(CELL) == {}
