"""Every collection of ir_datasets that a shipped config names is there, with its fields, archives and libraries."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from factories import shipped

from workflow_scripts.experiment.archives import archives_of, families, family_of, load
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.storage.errors import InputError

CONFIGS = {"demo": ["demo"], "study": ["demo", "study"], "small": ["small"], "paper": ["paper"]}


@pytest.fixture(autouse=True)
def nothing_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's ir_datasets has unpacked before."""
    monkeypatch.setattr(Path, "exists", lambda self: False)


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> dict:
    return Experiment(shipped(*CONFIGS[request.param])).config


def test_every_collection_of_a_shipped_config_can_be_read(config: dict) -> None:
    import ir_datasets

    for family, datasets in families(config).items():
        for name, parts in datasets.items():
            assert family_of(name) == family
            module = importlib.import_module(f"ir_datasets.datasets.{name.split('/')[0].replace('-', '_')}")
            for library in re.findall(r"lazy_libs\.(\w+)\(\)", inspect.getsource(module)):
                getattr(ir_datasets.lazy_libs, library)()  # of Natural Questions, ijson
            for part in parts:
                archives = archives_of(name, part)
                assert archives, (name, part)
                for archive in archives:
                    assert archive.md5 and archive.size and archive.path.is_absolute()
    for corpus in config["corpora"].values():
        if corpus["source"] == "ir_datasets":
            wanted = {*corpus.get("text_fields", ["text"]), corpus.get("title_field") or "doc_id"}
            assert wanted <= set(load(corpus["id"], "docs").docs_cls()._fields), corpus["id"]
    for collection in config["collections"].values():
        if collection["source"] == "ir_datasets" and "id" in collection:
            fields = load(collection["id"], "queries").queries_cls()._fields
            assert collection.get("query_field", "text") in fields, collection["id"]


def test_collections_of_one_archive_are_of_one_family() -> None:
    """The archives of different families of the paper are different files."""
    paper = Experiment(shipped("paper")).config
    owners: dict[Path, str] = {}
    for family, datasets in families(paper).items():
        for name, parts in datasets.items():
            for archive in (each for part in parts for each in archives_of(name, part)):
                assert owners.setdefault(archive.path, family) == family
    assert len([path for path in owners if "cqadupstack" in str(path)]) == 1


def test_archives_are_found_with_their_mirrors_and_places(monkeypatch: pytest.MonkeyPatch) -> None:
    (archive,) = archives_of("vaswani", "docs")
    assert archive.in_place and archive.addresses[0].startswith("http://")
    assert archive.addresses[1] == f"https://mirror.ir-datasets.com/{archive.md5}"
    (triples,) = [each for each in archives_of("msmarco-passage/train/triples-small", "docpairs") if not each.in_place]
    assert triples.path.name == triples.md5 and triples.size > 7e9
    # What ir_datasets has unpacked needs no archive.
    monkeypatch.setattr(Path, "exists", lambda self: self.suffix == ".txt")
    assert archives_of("vaswani", "docs") == []


def test_a_collection_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="ir_datasets has no collection 'vaswanii'"):
        archives_of("vaswanii", "docs")
    with pytest.raises(InputError, match="msmarco-passage of ir_datasets has no queries"):
        load("msmarco-passage", "queries")
