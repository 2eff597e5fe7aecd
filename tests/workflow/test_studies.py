"""Studies added to a finished experiment: their cells alone are made, and a change of one reaches only its own."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from project import Project

from audit.__main__ import audit
from workflow_scripts.analysis.measures import METRICS_SCHEMA
from workflow_scripts.storage.tables import read_numbers, read_table, write_numbers, write_table
from workflow_scripts.studies.make_pipelines_table import make_pipelines_table

PARTS = {
    "collections:\n": """
  demo-other: {corpus: demo-hard, source: generated, role: train, seed: 7, queries: 64}
""",
    "pools:\n": """
  other-positives: {collection: demo-other, systems: [], depth: 0, positives: true}
""",
    "samplers:\n": """
  other-bm25:
    function: bm25
    collection: demo-other
    systems: [bm25]
    pools: [other-positives]
    options: {pool: 20, depth: 30}
    in_grid: false
""",
    "systems:\n": """
  dense: {model: dense, encoder: mini, depth: 30}
""",
    "evaluation:\n": """
  retrieval: {depth: 20, candidates: dense}
""",
}
STUDIES = """
studies:
  cuts:
    students: [ce]
    losses: [marginmse]
    samplers: [bm25]
    teachers: [base]
    cuts: [lower-quartile, random-quarter, outliers]
    fence: 9
    at_least: 8
  collections: {students: [ce], losses: [marginmse], samplers: [bm25, other-bm25], teachers: [base]}
"""


@pytest.fixture(scope="module")
def studied(tiny: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment with two studies, a second training collection and dense retrieval, built."""
    project = tiny.duplicate(tmp_path_factory.mktemp("studied"))
    for header, lines in PARTS.items():
        project.edit("tests/config/tiny.yaml", header, header + lines.removeprefix("\n"))
    project.edit("tests/config/tiny.yaml", "evaluation:\n", STUDIES.removeprefix("\n") + "evaluation:\n")
    planned = project.planned()
    new = {
        name: planned.get(name) for name in ("train_student", "label_groups", "retrieve_documents", "mine_negatives")
    }
    # Three cuts and one cell of the other collection; its uncut cells are the grid's, which stay as they are.
    assert new == {"train_student": 4, "label_groups": 1, "retrieve_documents": 4, "mine_negatives": 1}
    assert planned["rerank_candidates"] == planned["measure_students_all"] == 4 and planned["measure_runs"] == 4 + 4
    # The backbone as a dense system: both collections' documents are found once, and re-ranked by each cross-encoder.
    assert planned["search_dense"] == 2 and planned["rerank_dense_candidates"] == 4
    project.build()
    assert project.planned() == {}
    return project


def test_the_studies_tables_hold_their_cells(studied: Project) -> None:
    tables = studied.folder / "results/tiny/tables"
    cuts = pd.read_csv(tables / "cuts.csv")
    found = cuts[(cuts["domain"] == "in-domain") & (cuts["measure"] == "nDCG@10")].set_index("cut")
    assert found["mean"].notna().to_dict() == {
        "all queries": True,
        "lower-quartile": True,
        "random-quarter": True,
        "outliers": False,
    }
    assert found.loc["outliers", "outcome"] == "too few queries" and found.loc["outliers", "groups"] < 8
    student = studied.folder / "results/tiny/students/ce/marginmse.bm25-outliers.base/seed0"
    assert "keeps 0 of 64 queries" in json.loads((student / "manifest.json").read_text())["counts"]["nothing"]
    training = (tables / "training_collections.md").read_text()
    assert "demo-train" in training and "demo-other" in training
    # Both training collections are held against the test queries.
    assert {"demo-train", "demo-other"} == set(pd.read_csv(tables / "contamination.csv")["training"])
    other = pd.read_parquet(studied.folder / "results/tiny/groups/other-bm25/seed0/groups.parquet")
    own = pd.read_parquet(studied.folder / "results/tiny/collections/demo-other/queries.parquet")
    assert set(other["query_id"]) <= set(own["query_id"])


def test_cross_encoders_re_rank_a_dense_system_s_documents(studied: Project) -> None:
    results = studied.folder / "results/tiny"
    ranker = "ce/marginmse.bm25.base/seed0"
    for collection in ("demo", "demo-hard"):
        ranking = pd.read_parquet(results / f"rankings/dense/{collection}/ranking.parquet")
        listed = set(ranking[ranking["rank"] <= 20][["query_id", "doc_id"]].itertuples(index=False, name=None))
        run = pd.read_csv(results / f"runs/retrieved/{ranker}/all/{collection}.run.gz", sep=" ", header=None)
        assert set(zip(run[0].astype(str), run[2].astype(str), strict=True)) == listed
    table = pd.read_csv(results / "tables/retrieval.csv")
    assert {"be", "ce"} == set(table["student"])
    assert "cross-encoders that order the first 20 documents of dense" in (results / "tables/retrieval.md").read_text()


def test_every_number_is_found_again_and_a_changed_one_is_named(studied: Project, tmp_path: Path) -> None:
    tallies = {tally.table: tally for tally in audit(studied.folder / "results/tiny")}
    assert [line for tally in tallies.values() for line in tally.differ] == []
    assert {name for name, tally in tallies.items() if tally.rows and not tally.number} == set()
    assert {name: tally.left_out for name, tally in tallies.items() if tally.left_out} == {}
    assert {"metrics.parquet", "main", "equivalence", "claims", "advice", "bound", "score_by_rank"} <= set(tallies)
    folder = tmp_path / "results/tiny"
    shutil.copytree(studied.folder / "results/tiny", folder)
    path = folder / "analysis/main.parquet"
    table = pq.read_table(path)
    means = table["mean"].to_pylist()
    means[3] += 1e-4
    pq.write_table(table.set_column(table.column_names.index("mean"), "mean", [means]), path)
    (tally,) = [each for each in audit(folder) if each.table == "main"]
    assert tally.number - tally.agree == 1 and " mean: written " in tally.differ[0]


def test_numbers_over_pipelines_are_found_again_in_the_runs_of_each(studied: Project, tmp_path: Path) -> None:
    names, loss, swapped = ["tiny", "other"], "marginmse", ("bm25", "crossencoder")
    for name in names:
        shutil.copytree(studied.folder / "results/tiny", tmp_path / name)
    # A second pipeline at no cost: two samplers' trainings under each other's name.
    path = tmp_path / "other/metrics.parquet"
    metrics = read_table(path)
    places = metrics["loss"].eq(loss) & metrics["teacher"].eq("base") & metrics["sampler"].isin(swapped)
    metrics.loc[places, "sampler"] = metrics.loc[places, "sampler"].map(dict(zip(swapped, swapped[::-1], strict=True)))
    write_table(path, metrics, METRICS_SCHEMA)
    for student in ("be", "ce"):
        one, other = (tmp_path / f"other/runs/{student}/{loss}.{sampler}.base" for sampler in swapped)
        one.rename(other.with_name("kept"))
        other.rename(one)
        other.with_name("kept").rename(other)
    _, spec = read_numbers(tmp_path / "tiny/analysis/equivalence.parquet")
    spec |= {"experiments": names, "confidence": 0.95}
    blocks = product(spec["students"], spec["losses"], [each["name"] for each in spec["domains"]], spec["measures"])
    keys = ["student", "loss", "domain", "measure"]
    again = pd.DataFrame([(*block, 0.01, 8) for block in blocks], columns=[*keys, "sd", "df"])
    controls, output = tmp_path / "tiny/analysis/controls.parquet", tmp_path / "tiny/analysis/pipelines.parquet"
    write_numbers(controls, again, {})
    paths = [tmp_path / name / "metrics.parquet" for name in names]
    make_pipelines_table(spec=spec, metrics=paths, controls=controls, output=output)
    for each in (tmp_path / "tiny/tables").glob("*.csv"):
        each.unlink()
    (tmp_path / "tiny/tables/pipelines.csv").touch()
    *_, tally = audit(tmp_path / "tiny")
    assert (tally.table, tally.differ, tally.left_out) == ("pipelines", [], set())
    assert tally.number > 100 and read_numbers(output)[0]["sd"].max() > 0


def test_another_fence_cuts_the_outliers_again_and_trains_nothing_else(studied: Project, tmp_path: Path) -> None:
    project = studied.duplicate(tmp_path / "copy")
    project.edit("tests/config/tiny.yaml", "fence: 9\n", "fence: 0\n")
    planned = project.planned()
    assert planned["train_student"] == planned["rerank_candidates"] == 1 and "label_groups" not in planned
    assert "retrieve_documents" not in planned and "mine_negatives" not in planned


def test_another_depth_retrieves_again_and_ranks_nothing_again(studied: Project, tmp_path: Path) -> None:
    project = studied.duplicate(tmp_path / "copy")
    project.edit("tests/config/tiny.yaml", "retrieval: {depth: 20,", "retrieval: {depth: 30,")
    planned = project.planned()
    made = {"retrieve_documents": 4, "measure_runs": 4, "collect_metrics": 1, "make_retrieval_table": 1}
    read = {"draw_cost": 1, "make_advice_table": 1, "make_claims_table": 1, "render_table": 4, "make_report": 1}
    assert planned == {**made, "make_cost_table": 1, **read}


def test_deleting_a_retrieved_run_reruns_one_retrieval(studied: Project, tmp_path: Path) -> None:
    project = studied.duplicate(tmp_path / "copy")
    (project.folder / "results/tiny/runs/retrieved/be/lce.bm25.none/seed0/all/demo.run.gz").unlink()
    planned = project.planned()
    assert planned["retrieve_documents"] == planned["measure_runs"] == 1 and "rerank_candidates" not in planned
