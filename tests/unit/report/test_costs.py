"""Costs, configuration and lineage, on manifests whose sums are known by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact
from rendered import CAPTIONS, captions, render

from workflow_scripts.presentation.render_table import render_table, unalike
from workflow_scripts.report.draw_cost import pareto_front
from workflow_scripts.report.lineage import STAGES, Lineage
from workflow_scripts.report.make_configuration_table import make_configuration_table, shared_settings
from workflow_scripts.report.make_cost_table import make_cost_table, total_cost
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.circumstances import odd_ones
from workflow_scripts.storage.code import PACKAGE, ROOT
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers

POWER = {"watts_per_core": 36.0, "watts_per_gpu": 360.0}  # 0.01 Wh a core-second, 0.1 a GPU second


class Results:
    """Artifacts of a tiny experiment, each with a cost of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(
        self,
        name: str,
        file: str,
        inputs: dict | None = None,
        spec: dict | None = None,
        counts: dict | None = None,
        **cost: object,
    ) -> Path:
        manifest = self.folder / name / "manifest.json"
        artifact(manifest, {file: "x"}, kind=name.split("/")[0], spec=spec, inputs=inputs, counts=counts)
        content = json.loads(manifest.read_text())
        content["device"] = cost.pop("device", "cpu")
        content["cost"] = {"wall_s": 1.0, "cpu_s": 1.0, "peak_rss_mb": 10.0, **cost}
        manifest.write_text(json.dumps(content))
        return manifest

    def experiment(self) -> list[Path]:
        """Metrics of two students: one of random groups without labels, one of a labelled ranking's."""
        corpus = self.make("corpora/c", "documents.parquet", cpu_s=1)
        ranking = self.make("rankings/bm25/c", "ranking.parquet", {"corpus": corpus}, cpu_s=2, peak_rss_mb=50)
        groups = {
            "random": self.make("groups/random", "groups.parquet", {"corpus": corpus}, cpu_s=4),
            "bm25": self.make("groups/bm25", "groups.parquet", {"rankings": [ranking]}, cpu_s=8),
        }
        teacher = self.make(
            "teachers/t", "history.parquet", {"groups": groups["bm25"]}, {"name": "teacher/t"}, device="gpu", cpu_s=0
        )
        labels = self.make("labels/bm25", "labels.parquet", {"groups": groups["bm25"], "model": teacher}, cpu_s=16)
        metrics = []
        for sampler, rate in (("random", 0.1), ("bm25", 0.2)):
            inputs = {"groups": groups[sampler], **({"labels": labels} if sampler == "bm25" else {})}
            loss = "kl" if sampler == "bm25" else "lce"
            spec = {"learning_rate": rate, "steps": 5, "name": f"be/{sampler}"}
            student = self.make(f"students/{sampler}", "history.parquet", inputs, spec, cpu_s=32)
            run = self.make(f"runs/{sampler}", "demo.run.gz", {"model": student}, {"depth": 100, "tag": sampler})
            keys = {"student": "be", "loss": loss, "sampler": sampler, "teacher": "t", "seed": 0}
            metrics.append(self.make(f"metrics/{sampler}", "metrics.parquet", {"runs": run}, {"keys": keys}))
        run = self.make("runs/teacher", "demo.run.gz", {"model": teacher}, {"depth": 100})
        keys = {"student": "teacher", "loss": "", "sampler": "", "teacher": "t", "seed": None}
        return [*metrics, self.make("metrics/t", "metrics.parquet", {"runs": run}, {"keys": keys})]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def cost_table(results: Results, metrics: list[Path], **more: list[Path]) -> tuple[pd.DataFrame, str]:
    make_cost_table(spec=POWER, metrics=metrics, **more, output=results.folder / "cost.parquet")
    return render("cost", results.folder / "cost.parquet")


def test_lineage_counts_shared_artifacts_once_and_makes_parents_first(results: Results) -> None:
    metrics = results.experiment()
    found = Lineage().behind(metrics)
    names = [str(artifact.folder.relative_to(results.folder)) for artifact in found.values()]
    assert len(names) == len(set(names)) == 14
    order = [names.index(name) for name in ("corpora/c", "rankings/bm25/c", "groups/bm25", "teachers/t", "labels/bm25")]
    assert order == sorted(order)
    stages = {name: artifact.kind for name, artifact in zip(names, found.values(), strict=True)}
    assert stages["teachers/t"] == "teachers" and stages["students/bm25"] == "students"
    assert stages["runs/bm25"] == "runs" and stages["metrics/bm25"] == "metrics"
    (results.folder / "corpora/c/manifest.json").unlink()
    with pytest.raises(InputError, match=r"corpora/c/manifest\.json is missing"):
        Lineage().behind(metrics)


def test_cost_table_by_hand(results: Results) -> None:
    table, markdown = cost_table(results, results.experiment())
    samplers = table[table["scope"] == "sampler"].set_index(["stage", "sampler"])
    assert samplers["cpu_s"].to_dict() == {
        ("groups", "random"): 1 + 4,
        ("groups", "bm25"): 1 + 2 + 8,
        ("groups and labels", "bm25"): 1 + 2 + 8 + 0 + 16,
    }
    # The teacher: one GPU second.
    assert samplers.loc[("groups and labels", "bm25"), "energy_wh"] == pytest.approx(0.27 + 0.1)
    students = table[table["scope"] == "student"].set_index("sampler")
    assert students["cpu_s"].to_dict() == {"random": 5 + 32, "bm25": 27 + 32}
    stages = table[table["scope"] == "stage"].set_index("stage")
    assert stages.loc["students", ["jobs", "cpu_s"]].tolist() == [2, 64]
    assert stages.loc["teachers", ["gpu_s", "cpu_s"]].tolist() == [1, 0]
    assert stages.loc["rankings", "peak_rss_mb"] == 50
    # Groups: 5 and 11 core-seconds; students are in the CSV alone.
    labels = [line.split("|") for line in markdown.splitlines() if "before training: groups  " in line]
    assert [(line[2].strip(), line[11].strip()) for line in labels] == [("random", "1.0"), ("bm25", "2.2")]
    assert "estimate, not a measurement (36 W" in markdown and "times_cheapest" not in table


def test_bought_alone_a_student_pays_for_its_own_pairs(results: Results) -> None:
    """The teacher scored 300 pairs for all samplers, 0.01 Wh each: bm25's groups and labels need 80 of them."""
    teacher = results.make("teachers/t", "x", None, {"name": "teacher/t"}, cpu_s=10)
    # The one by two shards and their merging, the other by one job.
    shards = [
        results.make(f"scored shards/{cpu}", "x", {"models": [teacher]}, cpu_s=cpu, counts={"scored": 100})
        for cpu in (90, 108)
    ]
    pools = [
        results.make(f"teacher scores/{name}", "x", {"models": [teacher], **of}, cpu_s=cpu, counts={"pairs": pairs})
        for name, cpu, pairs, of in (("near", 2, 200, {"shards": shards}), ("far", 100, 100, {}))
    ]
    counts = {"pairs_to_draw": 0, "pairs_to_label": 90}
    plain = results.make("groups/bm25", "x", cpu_s=1, counts=counts)
    counts = {"pairs_to_draw": 150, "pairs_to_label": 160}
    informed = results.make("groups/cross", "x", {"scores": pools}, cpu_s=1, counts=counts)
    metrics = []
    for sampler, groups in (("bm25", plain), ("cross", informed)):
        inputs = {"groups": groups, "models": [teacher], "known": pools}
        if sampler == "bm25":  # its pairs were looked up by another job
            looked_up = results.make("looked-up labels/bm25", "x", inputs, cpu_s=0)
            inputs = {"groups": groups, "models": [teacher], "looked_up": looked_up}
        labels = results.make(f"labels/{sampler}", "x", inputs, cpu_s=5, counts={"scored": 10, "looked_up": 80})
        student = results.make(f"students/{sampler}", "x", {"groups": groups, "labels": labels}, cpu_s=40)
        run = results.make(f"runs/{sampler}", "x", {"model": student})
        keys = {"student": "be", "loss": "kl", "sampler": sampler, "teacher": "t", "seed": 0}
        metrics.append(results.make(f"metrics/{sampler}", "x", {"runs": run}, {"keys": keys}))
    table = cost_table(results, metrics)[0]
    students = table[table["scope"] == "student"].set_index("sampler")
    assert students["energy_wh"].tolist() == pytest.approx([3.56, 3.56])
    assert students["alone_wh"].to_dict() == pytest.approx({"bm25": 0.56 + 0.8, "cross": 0.56 + 1.5})
    samplers = table[table["scope"] == "sampler"].set_index(["stage", "sampler"])["alone_wh"].to_dict()
    assert samplers == pytest.approx(
        {
            ("groups", "bm25"): 0.01,
            ("groups", "cross"): 0.11 + 1.5,
            ("groups and labels", "bm25"): 0.16 + 0.8,
            ("groups and labels", "cross"): 0.16 + 1.5,
        }
    )


def test_what_no_metrics_were_made_from_counts_in_the_stages_alone(results: Results) -> None:
    metrics = results.experiment()
    before, _ = cost_table(results, metrics)
    vectors = results.make(
        "embeddings", "vectors.npy", {"groups": results.folder / "groups/bm25/manifest.json"}, cpu_s=64
    )
    model = results.folder / "students/bm25/manifest.json"
    run = results.make("runs/retrieved", "demo.run.gz", {"model": model}, cpu_s=128)
    keys = {"student": "be", "loss": "kl", "sampler": "bm25", "teacher": "t", "seed": 0}
    found = results.make("metrics/retrieved", "metrics.parquet", {"runs": run}, {"keys": keys})
    after, _ = cost_table(results, metrics, also=[found, vectors])
    stages = [table[table["scope"] == "stage"].set_index("stage")["cpu_s"] for table in (after, before)]
    gained = stages[0].sub(stages[1], fill_value=0)
    assert gained[gained != 0].to_dict() == {"embeddings": 64, "runs": 128, "metrics": 1}
    others = [table[table["scope"] != "stage"].reset_index(drop=True) for table in (after, before)]
    pd.testing.assert_frame_equal(*others, check_dtype=False)


def test_measured_gpu_energy_takes_the_place_of_the_estimate(results: Results) -> None:
    measured = results.make("a", "x", device="gpu", cpu_s=100, gpu_energy_wh=7)
    costs = total_cost([Lineage().artifact(measured)], POWER)
    assert costs["energy_wh"] == pytest.approx(7 + 1)


def test_pareto_front_against_brute_force() -> None:
    rng = np.random.default_rng(3)
    cost, value = rng.integers(0, 8, 40).astype(float), rng.integers(0, 8, 40).astype(float)
    front = pareto_front(cost, value)
    points = set(zip(cost[front], value[front], strict=True))
    undominated = {
        (c, v)
        for c, v in zip(cost, value, strict=True)
        if not any(((cost <= c) & (value >= v)) & ((cost < c) | (value > v)))
    }
    assert points == undominated and len(front) == len(points)
    assert (np.diff(cost[front]) > 0).all()


def test_settings_are_listed_once_by_the_axes_that_decide_them() -> None:
    items = [
        ({"student": student, "loss": loss}, {"rate": rate, "loss": {"name": loss}, "steps": 10_000, "pair": pair})
        for student, rate in (("be", 0.1), ("ce", 0.2))
        for loss, pair in (("kl", f"{student}1"), ("lce", f"{student}2"))
    ]
    assert shared_settings(items) == [
        ("rate", "be", "0.1"),
        ("rate", "ce", "0.2"),
        ("loss.name", "kl", "kl"),
        ("loss.name", "lce", "lce"),
        ("steps", "all", "10,000"),
        ("pair", "be kl", "be1"),
        ("pair", "be lce", "be2"),
        ("pair", "ce kl", "ce1"),
        ("pair", "ce lce", "ce2"),
    ]
    many = [
        ({"name": f"c{number}"}, {"depth": 100 if number else 50, **({"k1": 0.9} if number == 3 else {})})
        for number in range(7)
    ]
    assert shared_settings(many) == [("depth", "c0", "50"), ("depth", "the other 6", "100"), ("k1", "c3", "0.9")]
    with pytest.raises(InputError, match="differ in depth"):
        shared_settings([({"name": "a"}, {"depth": 1}), ({"name": "a"}, {"depth": 2})])


def test_configuration_table_reads_the_manifests(results: Results) -> None:
    metrics = results.experiment()
    make_configuration_table(metrics=metrics, output=results.folder / "configuration.parquet")
    table, markdown = render("configuration", results.folder / "configuration.parquet")
    rows = set(table.itertuples(index=False, name=None))
    assert ("students", "learning_rate", "lce", "0.1") in rows and ("students", "steps", "all", "5") in rows
    assert ("runs", "depth", "all", "100") in rows
    assert ("software", "device", "1 of 14 jobs", "gpu") in rows
    assert not any(setting in ("name", "tag", "keys") for _, setting, _, _ in rows)
    assert markdown.count("| students ") == 1 and markdown.count("| learning\\_rate ") == 1


def test_what_was_made_unalike_is_listed_and_said_in_captions(results: Results) -> None:
    metrics = results.experiment()
    numbers = results.folder / "configuration.parquet"

    def unlike() -> set[tuple[str, ...]]:
        make_configuration_table(metrics=metrics, output=numbers)
        rows = read_numbers(numbers)[0]
        return {tuple(row) for part, *row in rows.itertuples(index=False) if part == "made unalike"}

    def change(name: str, **entries: object) -> None:
        manifest = results.folder / name / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | entries))

    # A teacher on a GPU and students on a CPU are of two kinds.
    assert unlike() == set() and unalike(numbers, [CAPTIONS / "verdicts.rst"]) == ""
    made_by = json.loads((results.folder / "students/bm25/manifest.json").read_text())
    job = {"module": "workflow_scripts.train.train_ranker", "code": "c" * 64, "values": {}, "opened": {}}
    versions = {**made_by["versions"], "distillery": "9"}
    for student, loss in (("bm25", "kl"), ("random", "lce")):
        about = {"spec": {**made_by["spec"], "loss": {"function": loss}}, "job": job, "commit": student}
        change(f"students/{student}", **about, versions=versions)
        job, versions = job | {"code": "d" * 64}, versions | {"torch": "0.1"}
    # What this process has multiplied by depends on the tests before.
    for place, runs in enumerate(sorted(results.folder.glob("runs/*"))):
        # One found nothing to compute, one is of a model that `auto` computes in bf16: that is no difference.
        products = [{}, {"products": "torch, in bf16"}, {"products": "OpenBLAS"}][min(place, 2)]
        change(f"runs/{runs.name}", arithmetic={"setting": "fast"} | products)
    change("runs/bm25", processor=None, arithmetic={"setting": "portable", "products": "OpenBLAS"})
    # Two losses have two codes, a version of the project is none, and what was not recorded is no difference.
    here = made_by["versions"]["torch"]
    mixed = {("arithmetic", "runs", "fast: 2, portable: 1"), ("torch", "students", f"0.1: 1, {here}: 1")}
    assert unlike() == mixed
    change("students/random", spec={**made_by["spec"], "loss": {"function": "kl"}, "name": "be/random"})
    assert unlike() == mixed | {("code", "students", "cccccccccc: 1, dddddddddd: 1")}
    said = "Not all that this rests on was made alike: its runs and students differ in arithmetic, torch and code; "
    assert unalike(numbers, [CAPTIONS / "verdicts.rst"]) == f"{said}the configuration table says which."
    made = {
        name: Artifact(results.folder / f"runs/{name}/manifest.json").manifest for name in ("bm25", "random", "teacher")
    }
    assert odd_ones(made) == {"bm25": ["arithmetic portable"]}
    files = {ending: results.folder / f"cost.{ending}" for ending in ("csv", "md", "tex")}
    cost_table(results, metrics)
    given = {"numbers": results.folder / "cost.parquet", "captions": captions("cost"), "configuration": numbers}
    render_table(spec={"layout": "cost"}, **given, **files)
    assert said in files["md"].read_text() and said in files["tex"].read_text()


def test_the_configuration_is_the_same_bytes_in_whatever_order_inputs_were_recorded(results: Results) -> None:
    rankings = [results.make(f"rankings/{name}", "r", None, {"depth": depth}) for name, depth in (("a", 20), ("b", 10))]
    keys = {"student": "bm25", "loss": "", "sampler": "", "teacher": "", "seed": None}
    tables = []
    for order in (rankings, rankings[::-1]):
        run = results.make("runs/bm25", "x.run.gz", {"rankings": order})
        metrics = results.make("metrics/bm25", "m", {"runs": run}, {"keys": keys})
        make_configuration_table(metrics=[metrics], output=results.folder / "configuration.parquet")
        tables.append((results.folder / "configuration.parquet").read_bytes())
    assert tables[0] == tables[1]


def test_every_kind_of_artifact_that_a_script_writes_has_its_place_in_a_lineage() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / PACKAGE).rglob("*.py"))
    written = set(re.findall(r'ArtifactWriter\([^)]*\bkind="([\w -]+)"', scripts))
    assert {"archives", "corpora", "runs"} <= written <= set(STAGES)
