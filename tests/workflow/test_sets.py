"""Evaluation sets: a cell needs the data of its own domain, and no more; what is scored stays scored."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from project import Project

CELL = "cells/ce.lce.random.none.seed0.in-domain.csv"
MORE = """
  demo-more: {corpus: demo-hard, source: generated, role: test, seed: 7, queries: 10}
"""


def planned_inputs(project: Project, target: str, config: str) -> set[str]:
    """What a dry run would prepare: ids of corpora and collections."""
    lines = project.build(target, "--dry-run", "--quiet", "host", config=config).splitlines()
    return {line.split("=")[1] for line in lines if line.strip().startswith(("wildcards: corpus=", "wildcards: coll"))}


def test_a_cell_downloads_and_scores_its_own_domain_alone(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    target, config = f"results/paper/{CELL}", "config/paper.yaml"
    jobs = project.planned(target, config=config)
    assert sum(jobs.values()) <= 18 and jobs["rerank_candidates"] == jobs["measure_students_in_domain"] == 1
    assert jobs["prepare_corpus"] == jobs["build_index"] == 1
    names = {"msmarco", "msmarco-train", "trec-dl-2019", "trec-dl-2020"}
    assert {each.split(",")[0] for each in planned_inputs(project, target, config)} == names


@pytest.fixture
def copied(tiny: Project, tmp_path: Path) -> Project:
    return tiny.duplicate(tmp_path / "copy")


def test_a_new_collection_in_a_set_of_its_own_scores_nothing_old(copied: Project) -> None:
    copied.edit("tests/config/tiny.yaml", "collections:\n", "collections:\n" + MORE.lstrip("\n"))
    copied.edit("tests/config/tiny.yaml", "in-domain: [demo]", "in-domain: [demo, demo-more]")
    copied.edit("tests/config/tiny.yaml", "sets: {", "sets: {more: [demo-more], ")
    jobs = copied.planned()
    assert "train_student" not in jobs and "score_pool" not in jobs
    # The eight students and the teacher, on the new set alone; of the old one, metrics and cells of what changed.
    assert jobs["rerank_candidates"] == jobs["write_cell"] + 1 == 9 and jobs["gather_evaluation"] == 1
    cell = "results/tiny/cells/be.lce.bm25.none.seed0.in-domain.csv"
    before = pd.read_csv(copied.folder / cell)
    made, _ = copied.outcome(cell)
    assert made["rerank_candidates"] == 1
    # The mean over a collection of the old set and one of the new.
    metrics = [
        pd.read_parquet(copied.folder / f"results/tiny/metrics/be/lce.bm25.none/seed0/{name}/metrics.parquet")
        for name in ("all", "more")
    ]
    means = pd.concat(metrics).query("measure == 'AP'").groupby("collection", observed=True)["value"].mean()
    after = pd.read_csv(copied.folder / cell).set_index("measure")
    assert after.loc["AP", "value"] == pytest.approx((means["demo"] + means["demo-more"]) / 2, abs=1e-6)
    assert after.loc["AP", "n_queries"] == before["n_queries"][0] + 10


def test_dropping_a_domain_scores_nothing(copied: Project) -> None:
    copied.edit("tests/config/tiny.yaml", "  hard-shift: [demo-hard]\n", "")
    jobs = copied.planned()
    assert not {"rerank_candidates", "gather_evaluation", "tokenise_evaluation", "train_student"} & set(jobs)
    assert jobs["make_main_table"] == 1
