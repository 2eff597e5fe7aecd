"""The data of config/paper.yaml, from stand-ins for every download: fetched, then read where there is no network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.project import ROOT
from tests.standin import hub, world
from workflow_scripts.storage.artifacts import Artifact

CONFIG = f"config/paper.yaml {world.OVERLAY}"


@pytest.mark.standin
def test_the_papers_data_is_fetched_and_then_read_without_a_network(tmp_path: Path) -> None:
    project = world.make(tmp_path)
    results = project.folder / "results/paper"
    with world.environment(tmp_path) as fetched:
        fetches = {"fetch_archives": 16, "fetch_backbone": 2, "download_file": 1, "downloads": 1}
        assert project.planned("downloads", config=CONFIG) == fetches
        project.build("downloads", "--keep-going", config=CONFIG)
        assert {name.rpartition("/")[2] for name in fetched}.isdisjoint(hub.NOT_WANTED)
        assert project.planned("downloads", config=CONFIG) == {}
        _check_archives(tmp_path, results)
        # From here on every address is dead.
        shutil.rmtree(tmp_path / "mirror")
        shutil.rmtree(tmp_path / "hub")
        jobs = project.planned(config=CONFIG)
        targets = [
            *_manifests("corpora", jobs["prepare_corpus"]),
            *_manifests("collections", jobs["prepare_collection"]),
        ]
        targets.append("results/paper/rankings/msmarco-hard-negatives/msmarco-train/manifest.json")
        project.build(*targets, config=CONFIG)
        # One archive more in a family, or another mirror, fetches and rereads nothing else.
        project.edit(world.OVERLAY, "mirrors:", "mirrors:\n  http://: https://")
        assert project.planned(*targets, config=CONFIG).keys() <= {"fetch_archives", "download_file", "import_rankings"}
    _check_texts(results)


def _manifests(kind: str, number: int) -> list[str]:
    names = yaml.safe_load((ROOT / "config/paper.yaml").read_text())[kind]
    assert len(names) == number
    return [f"results/paper/{kind}/{name}/manifest.json" for name in names]


def _check_archives(folder: Path, results: Path) -> None:
    """Each lies where ir_datasets looks for it, whole, and no other was fetched."""
    listed = [each for path in results.glob("archives/*/archives.json") for each in json.loads(path.read_text())]
    home = folder / "ir_datasets"
    assert len(listed) == len({each["address"] for each in listed}) == 7 + 14 + 2
    for each in listed:
        mirrored = folder / "mirror" / each["address"].removeprefix("https://")
        assert (home / each["path"]).read_bytes() == mirrored.read_bytes()
    assert not list(home.rglob("*.part"))


def _check_texts(results: Path) -> None:
    def read(*parts: str) -> pd.DataFrame:
        *folder, name = parts
        return pd.read_parquet(Artifact(results.joinpath(*folder, "manifest.json")).file(name))

    passages = read("corpora", "msmarco", "documents.parquet")["text"]
    assert passages.str.contains("café\u2019s").sum() == 1000 and not passages.str.contains("Ã").any()
    wikipedia = read("corpora", "dpr-w100", "documents.parquet")["text"]
    assert wikipedia.str.contains(' "so" they say').sum() == 600 and not wikipedia.str.contains('""').any()
    counts = Artifact(results / "collections/nq-train/manifest.json").counts
    assert counts["queries"] == 300 - 28  # of every eleventh question no passage is annotated
    assert len(read("collections", "beir-arguana", "queries.parquet")) == 8
    assert read("corpora", "beir-fever", "documents.parquet")["doc_id"].str.endswith("_中文").all()
    assert Artifact(results / "collections/beir-cqadupstack-tex/manifest.json").counts["qrels"] > 5
    ranking = Artifact(results / "rankings/msmarco-hard-negatives/msmarco-train/manifest.json").counts
    assert ranking["queries"] == 500 and ranking["queries_without_results"] > 0 and ranking["duplicates"] > 0
