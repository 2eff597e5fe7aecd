"""The demo, as a newcomer runs it: from nothing to tables, then nothing to do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ir_measures
import pandas as pd
import pytest
import yaml
from ir_measures import nDCG
from project import ROOT, Project

from workflow_scripts.models import scoring
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.evaluation import read_candidates, read_evaluation
from workflow_scripts.train.train_ranker import train_ranker

CONFIG = "config/demo.yaml"
RESULTS = Path("results/demo")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.fresh(tmp_path_factory.mktemp("demo"))
    project.build("--profile", "config/profiles/local", config=CONFIG)
    return project


def in_domain(table: pd.DataFrame) -> pd.DataFrame:
    rows = (table["measure"] == "nDCG@10") & (table["domain"] == "in-domain") & (table["collection"] == "all")
    return table[rows]


def test_every_cell_is_in_the_table(demo: Project) -> None:
    table = pd.read_csv(demo.folder / RESULTS / "tables" / "main.csv", keep_default_na=False)
    students = table[~table["student"].isin(["bm25", "teacher"])]
    keys = ["student", "loss", "sampler", "teacher"]
    assert len(students.drop_duplicates(keys)) == 40
    # Every row of the grid on every domain with every measure, no hole.
    config = yaml.safe_load((ROOT / CONFIG).read_text())
    domains, measures = len(config["domains"]), len(config["evaluation"]["measures"])
    assert (students[students["collection"] == "all"].groupby(keys).size() == domains * measures).all()
    assert table["mean"].astype(float).between(0, 1).all()


def test_teacher_and_cross_encoders_beat_bm25_where_they_were_trained(demo: Project) -> None:
    table = in_domain(pd.read_csv(demo.folder / RESULTS / "tables" / "main.csv", keep_default_na=False))
    mean = table.groupby("student")["mean"].mean()
    assert mean["teacher"] > mean["bm25"] and mean["ce"] > mean["bm25"]


def test_a_cell_says_what_the_table_says(demo: Project) -> None:
    table = in_domain(pd.read_csv(demo.folder / RESULTS / "tables" / "main.csv", keep_default_na=False))
    row = table[(table["student"] == "ce") & (table["loss"] == "kl") & (table["sampler"] == "bm25")].iloc[0]
    cell = pd.read_csv(demo.folder / RESULTS / "cells" / "ce.kl.bm25.base.seed0.in-domain.csv").set_index("measure")
    assert cell.loc["nDCG@10", "value"] == pytest.approx(float(row["mean"]), abs=1e-6)
    assert cell.loc["nDCG@10", "ci_low"] < float(row["mean"]) < cell.loc["nDCG@10", "ci_high"]
    assert cell.loc["nDCG@10", "n_queries"] == int(row["n_queries"]) == 250


def test_every_student_kept_its_budget_and_its_history(demo: Project) -> None:
    budget = yaml.safe_load((ROOT / CONFIG).read_text())["training"]["documents"]
    manifests = sorted((demo.folder / RESULTS / "students").rglob("manifest.json"))
    assert len(manifests) == 71
    for manifest in manifests:
        history = pd.read_parquet(manifest.parent / "history.parquet")
        assert history["documents"].iloc[-1] == budget, manifest
        assert history[["loss", "gradient_norm", "learning_rate"]].notna().all().all()
        assert json.loads(manifest.read_text())["cost"]["wall_s"] > 0
        assert (manifest.parent / "model.safetensors").is_file() and (manifest.parent / "README.md").is_file()


def test_a_run_reranks_what_bm25_retrieved(demo: Project) -> None:
    def read(ranker: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        with gzip.open(demo.folder / RESULTS / "runs" / ranker / "all" / "demo.run.gz", "rt") as file:
            for line in file:
                query, _, document, *_ = line.split()
                found.setdefault(query, set()).add(document)
        return found

    assert read("bm25") == read("ce/kl.random.base/seed0") == read("teacher/base")


@pytest.mark.parametrize("student", ["be", "ce"])
def test_bf16_changes_less_than_training_again_does(demo: Project, student: str, tmp_path: Path) -> None:
    """``auto`` is bf16 where arithmetic is fast and the processor multiplies it; here any computes it."""
    results, cell = demo.folder / RESULTS, f"{student}/kl.bm25.base/seed0"
    candidates = results / "runs/bm25/all/manifest.json"
    run = read_candidates(candidates, "demo")[["query_id", "doc_id"]]
    queries, documents = (
        TokenStore(results / "tokens/mini/evaluation/all/manifest.json", f"demo.{kind}")
        for kind in ("queries", "documents")
    )
    pairs = queries.rows(run["query_id"]), documents.rows(run["doc_id"])
    made = json.loads((results / f"students/{cell}/manifest.json").read_text())
    inputs = {name: demo.folder / each["path"] for name, each in made["inputs"].items()}
    train_ranker(spec=made["spec"] | {"precision": "bf16"}, **inputs, output=tmp_path / "manifest.json")

    def ndcg(model: Path, precision: str) -> float:
        ranker = scoring.scoring_ranker(model, made["spec"]["architecture"], queries, precision=precision)
        scores = scoring.score_pairs(ranker, queries, documents, *pairs)
        judged = read_evaluation(candidates, "demo", "qrels")
        return ir_measures.calc_aggregate([nDCG @ 10], judged, run.assign(score=scores))[nDCG @ 10]

    keys = ["student", "loss", "measure", "domain"]
    controls = pd.read_csv(results / "tables/controls.csv").set_index(keys)
    sd = controls.loc[(student, "kl", "nDCG@10", "in-domain"), "sd"]
    main = in_domain(pd.read_csv(results / "tables/main.csv", keep_default_na=False))
    row = main[(main["student"] == student) & (main["loss"] == "kl") & (main["sampler"] == "bm25")].iloc[0]
    fp32 = ndcg(results / "students" / cell, "fp32")
    assert fp32 == pytest.approx(float(row["mean"]), abs=1e-4)
    # The same model scored otherwise, and, since other rounding is another training, the difference of two trainings.
    assert 0 < abs(ndcg(results / "students" / cell, "bf16") - fp32) < sd
    assert 0 < abs(ndcg(tmp_path, "bf16") - fp32) < 2 * 2**0.5 * sd


def test_a_second_run_has_nothing_to_do(demo: Project) -> None:
    output = demo.build("--profile", "config/profiles/local", config=CONFIG)
    assert "Nothing to be done" in output


def test_the_studies_did_to_the_data_what_they_say(demo: Project) -> None:
    tables, groups = demo.folder / RESULTS / "tables", demo.folder / RESULTS / "groups"

    def drawn(sampler: str) -> pd.DataFrame:
        return pd.read_parquet(groups / sampler / "seed0" / "groups.parquet")

    # Cuts: a quarter of the training queries each side, half of them above the median.
    queries = drawn("bm25")["query_id"].nunique()
    for cut, share in (("lower-quartile", 4), ("upper-quartile", 4), ("above-median", 2)):
        student = demo.folder / RESULTS / f"students/ce/marginmse.bm25-{cut}.base/seed0/manifest.json"
        assert json.loads(student.read_text())["counts"]["groups"] == queries / share
    # Dials: none or all of the negatives near, the labels surer or less sure, both seen in what came out.
    near = drawn("near-100")
    assert set(drawn("near-0")["source"]) == {"positive", "corpus"} and set(near["source"]) == {"positive", "bm25"}
    cells = (
        pd.read_csv(tables / "factorial_cells.csv").groupby(["share", "temperature"])[["diameter", "entropy"]].mean()
    )
    assert cells.loc[(0, 0.25), "diameter"] > cells.loc[(1, 0.25), "diameter"]
    assert cells.loc[(1, 4), "entropy"] > cells.loc[(1, 0.25), "entropy"]
    # The weaker teacher is weaker, and a student finds in the whole collection what BM25 does not.
    main = in_domain(pd.read_csv(tables / "main.csv", keep_default_na=False)).set_index(["student", "loss", "sampler"])
    teachers = pd.read_csv(tables / "teachers.csv", keep_default_na=False)
    of_weak = teachers[(teachers["scope"] == "teacher") & (teachers["teacher"] == "weak")]
    weak = of_weak[(of_weak["domain"] == "in-domain") & (of_weak["measure"] == "nDCG@10")]["value"].astype(float)
    assert (weak < main.loc[("teacher", "", ""), "mean"]).all() and len(weak) == 1
    retrieval = pd.read_csv(tables / "retrieval.csv")
    recall = retrieval[(retrieval["measure"] == "R@100") & (retrieval["domain"] == "in-domain")]
    contrastive = recall[recall["loss"] == "lce"]
    assert (contrastive["retrieved"] > contrastive["reranked"]).all() and len(recall) == 20
