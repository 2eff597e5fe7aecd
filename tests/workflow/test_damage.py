"""Every way to damage an artifact x every kind of artifact: verify names it, no job uses it, one command mends it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import shipped
from project import ROOT, Project

from tests.chaos import DAMAGE, Chaos, flip
from workflow_scripts.daily.verify import faults
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.leftovers import is_left_over
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.provenance import CARD

DRAW = random.Random(0)
STUDENT = "students/ce/marginmse.bm25.base/seed0"


@pytest.fixture(scope="module")
def results(tiny: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the results: files that nobody has compared yet."""
    return tiny.duplicate(tmp_path_factory.mktemp("damage")).folder / "results" / "tiny"


def one_of_each_kind(results: Path) -> Iterator[Path]:
    kinds = set()
    for manifest in sorted(results.rglob("manifest.json")):
        place = manifest.relative_to(results).parts[0]
        kind = (Artifact(manifest).kind, place)
        if kind not in kinds:
            kinds.add(kind)
            yield manifest
    assert len(kinds) >= 14


def test_verify_names_every_damage_of_every_kind(results: Path) -> None:
    assert list(faults(results)) == []
    for manifest in one_of_each_kind(results):
        for name in Artifact(manifest).manifest["files"]:
            path = manifest.parent / name
            whole = path.read_bytes()
            for damage, do in DAMAGE.items() if whole else ():
                do(path, DRAW)
                if name == next(iter(Artifact(manifest).manifest["files"])):
                    assert [found for found, _ in faults(results)] == [manifest], (path, damage)
                if name != CARD:
                    with pytest.raises(Exception, match="make it again: rm "):
                        Artifact(manifest).file(name)
                path.write_bytes(whole)
        manifest.rename(manifest.with_name("away"))
        assert manifest in [found for found, _ in faults(results)], manifest
        manifest.with_name("away").rename(manifest)
    assert list(faults(results)) == []


def test_verify_can_tell_of_any_damage_to_a_manifest(results: Path) -> None:
    """A bit anywhere, or the end gone: the manifest is named, or the bit was in what nothing compares."""
    for manifest in one_of_each_kind(results):
        whole = manifest.read_bytes()
        for damage in ("flipped", "flipped", "truncated"):
            DAMAGE[damage](manifest, DRAW)
            found = [path for path, _ in faults(results)]
            assert manifest in found or damage == "flipped", manifest
            manifest.write_bytes(whole)
    assert list(faults(results)) == []


def test_verify_names_swapped_artifacts_of_every_kind(results: Path) -> None:
    by_kind: dict[str, list[Path]] = {}
    for manifest in sorted(results.rglob("manifest.json")):
        by_kind.setdefault(Artifact(manifest).kind, []).append(manifest.parent)
    pairs = [folders[:2] for folders in by_kind.values() if len(folders) > 1]
    assert len(pairs) >= 9
    for one, other in pairs:
        for _ in range(2):  # and back again
            one.rename(one.with_name("away"))
            other.rename(one)
            one.with_name("away").rename(other)
            found = {path.parent for path, fault in faults(results) if fault.startswith("is the manifest of ")}
            assert found in ({one, other}, set()) and bool(found) == (_ == 0)


def test_verify_names_what_is_stale(results: Path) -> None:
    """A ranking that is another one now: the groups drawn from it are stale, what it is not opened for is not."""
    ranking = results / "rankings/bm25/demo-train/manifest.json"
    shutil.copytree(ranking.parent, results.parents[1] / "kept")
    before = {path for path, _ in faults(results)}
    content = ranking.read_text()
    checksum = Artifact(ranking).manifest["files"]["ranking.parquet"]["sha256"]
    ranking.write_text(content.replace(checksum, checksum[::-1]))
    stale = {str(path.parent.relative_to(results)) for path, fault in faults(results) if fault.startswith("is stale")}
    ranking.write_text(content)
    groups = {str(path.relative_to(results)) for path in results.glob("groups/*/seed*")}
    assert before == set() and stale == {"scores/base/bm25", *groups}


def test_no_job_uses_a_damaged_input_and_one_command_mends_it(tiny: Project, tmp_path: Path) -> None:
    project = tiny.duplicate(tmp_path / "a project")
    results = project.folder / "results" / "tiny"
    damaged = {  # file to the artifact whose job opens it
        "labels/base/bm25/seed0/labels.parquet": STUDENT,
        "students/be/lce.bm25.none/seed0/model.safetensors": "runs/be/lce.bm25.none/seed0/all",
        "runs/ce/lce.bm25.none/seed0/all/demo.run.gz": "metrics/ce/lce.bm25.none/seed0/all",
    }
    for path, consumer in damaged.items():
        flip(results / path, DRAW)
        (results / consumer / "manifest.json").unlink()
    output = project.refused(
        "--keep-going", *(f"results/tiny/{consumer}/manifest.json" for consumer in damaged.values())
    )
    for path, consumer in damaged.items():
        assert f"error: results/tiny/{path} has other bytes" in output and "make it again: rm " in output, path
        assert not (results / consumer / "manifest.json").exists()
    verify = [sys.executable, "-m", "workflow_scripts.daily.verify", "results/tiny", "tests/config/tiny.yaml"]
    done = subprocess.run(verify, cwd=project.folder, capture_output=True, text=True)
    *named, _, command = done.stdout.splitlines()
    assert done.returncode == 1 and len(named) >= 2 * len(damaged), done
    (project.folder / ".venv").symlink_to(ROOT / ".venv")
    before = {path: path.stat().st_mtime_ns for path in results.rglob("manifest.json")}
    mended = subprocess.run(command, shell=True, cwd=project.folder, capture_output=True)
    assert mended.returncode == 0, mended.stderr[-3000:]
    made = {str(path.parent.relative_to(results)) for path in results.rglob("manifest.json")}
    made -= {str(path.parent.relative_to(results)) for path in before if path.stat().st_mtime_ns == before[path]}
    assert list(faults(results)) == [] and made == {
        line.split("/manifest.json")[0].removeprefix("results/tiny/") for line in named
    }


def test_nothing_that_a_config_makes_is_left_over_and_all_of_a_loss_that_is_gone(results: Path) -> None:
    config = read_config(results.parents[1] / "tests/config/tiny.yaml")
    made = {str(path.relative_to(results)) for path in results.rglob("[!.]*") if path.is_file()}
    made = {name for name in made if name.endswith(("manifest.json", ".parquet", ".csv"))}
    assert [name for name in sorted(made) if is_left_over(Rankers(Experiment(config)), name)] == []
    del config["losses"]["marginmse"]
    left = {name for name in made if is_left_over(Rankers(Experiment(config)), name)}
    assert left == {name for name in made if "marginmse" in name} and {name.split("/")[0] for name in left} == {
        *("students", "runs", "metrics", "cells")
    }
    others = Rankers(Experiment(shipped("demo") | {"shards": 2}))
    made = ("shards/scores/base/bm25/2-of-2", "pairs/mini/bm25", "exports/teacher.base/model", "embeddings")
    gone = ("shards/scores/base/bm25/2-of-3", "pairs/mini/none", "exports/teacher.none/model", "tokens/none/demo.full")
    gone += ("calibrations/none", "teachers/base/fold0", "runs/retrieved/teacher/base/all", "runs/bm25/a")
    for name in (*made, *gone):
        assert is_left_over(others, f"{name}/manifest.json") == (name in gone), name
    tables = ("tables/main.md", "analysis/factorial_cells.parquet", "tables/per_collection.be.csv", "figures/cost.png")
    dropped = (
        "tables/pipelines.md",
        "analysis/main.budgets.parquet",
        "figures/budgets.pdf",
        "tables/per_collection.x.md",
    )
    for name in (*tables, *dropped):
        assert is_left_over(others, name) == (name in dropped), name


def test_what_an_earlier_config_has_left_hinders_no_repair(tiny: Project, tmp_path: Path) -> None:
    project = tiny.duplicate(tmp_path / "copy")
    (project.folder / ".venv").symlink_to(ROOT / ".venv")
    results = project.folder / "results/tiny"
    project.edit("tests/config/tiny.yaml", "  marginmse: {function: marginmse}\n", "")
    flip(results / STUDENT / "model.safetensors", DRAW)
    (results / STUDENT / ".started").touch()
    metrics = "metrics/ce/lce.bm25.none/seed0/all/metrics.parquet"
    whole = (results / metrics).read_bytes()
    flip(results / metrics, DRAW)
    verify = [sys.executable, "-m", "workflow_scripts.daily.verify", "results/tiny", "tests/config/tiny.yaml"]
    said = subprocess.run(verify, cwd=project.folder, capture_output=True, text=True).stdout.splitlines()
    assert said[2].startswith("1 of no cell of this config") and said[3] == f"rm -rf results/tiny/{STUDENT}"
    assert said[4].startswith("1 to make again") and STUDENT not in said[5]
    subprocess.run(said[5], shell=True, cwd=project.folder, check=True, capture_output=True)
    assert (results / metrics).read_bytes() == whole
    # What was made from it is left over too.
    while (done := subprocess.run(verify, cwd=project.folder, capture_output=True, text=True)).returncode:
        *_, removal = done.stdout.splitlines()
        assert removal.startswith("rm -rf ") and "marginmse" in removal
        subprocess.run(removal, shell=True, cwd=project.folder, check=True)


@pytest.mark.long
def test_random_damage_is_mended_to_the_same_bytes(tiny: Project, tmp_path: Path) -> None:
    """A handful of what ``python -m tests.chaos`` does for half an hour."""
    chaos = Chaos(tmp_path, tiny)
    project = chaos.copy("damaged")
    outcomes = [chaos.damage(project, random.Random(f"test {number}")) for number in range(3)]
    assert [str(outcome) for outcome in outcomes if outcome.differs] == []
