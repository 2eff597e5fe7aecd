"""Options of losses and samplers as their files describe them, and settings that follow from the files' flags."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from changed_demo import demo, refused

from workflow_scripts.experiment import functions
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.mine.samplers import load_sampler
from workflow_scripts.storage.code import PACKAGE, ROOT, closure
from workflow_scripts.storage.errors import InputError
from workflow_scripts.train.losses import load_loss

BM25 = {"depth": 100, "pool": 50}
OPTIONS = [
    ("losses.kl", {"temp": 1}, ": unknown key 'temp'; known are temperature, teacher_temperature"),
    ("losses.lce", {"temp": 1}, ": unknown key 'temp'; known are none"),
    ("losses.kl", {"temperature": 0}, r".temperature: must be a number, above 0 \(is 0\)"),
    ("losses.kl", {"temperature": "warm"}, r".temperature: must be a number, above 0 \(is 'warm'\)"),
    ("losses.kl", {"temperature": "nan"}, ".temperature: must be a number, above 0"),
    ("losses.kl-flat", {"teacher_temperature": True}, r".teacher_temperature: must be a number, above 0 \(is True\)"),
    ("losses.ranknet", {"targets": "hart"}, r".targets: must be one of hard, soft \(is 'hart'\)"),
    ("samplers.bm25", {"pool": 50}, ".depth: is missing; it must be a whole number, at least 1"),
    ("samplers.bm25", {"depth": 100, "pool": 0}, r".pool: must be a whole number, at least 1 \(is 0\)"),
    ("samplers.bm25", {"depth": 10, "pool": 50}, r".pool: pool must be at most depth \(50 is more than 10\)"),
    ("samplers.dense", BM25 | {"skip": 51}, r".pool: skip \+ pool must be at most depth \(101 is more than 100\)"),
    ("samplers.dense", BM25 | {"skip": -1}, r".skip: must be a whole number, at least 0 \(is -1\)"),
    ("samplers.bm25", BM25 | {"system": 3}, r".system: must be text \(is 3\)"),
    ("samplers.ensemble", {"depth": 9, "per_system": 9, "margin": 1, "systems": "bm25"}, ".systems: must be a list of"),
    ("samplers.near-0", BM25 | {"share": 1.5}, r".share: must be a number, at least 0 and at most 1 \(is 1.5\)"),
]


@pytest.mark.parametrize(("entry", "options", "message"), OPTIONS)
def test_a_faulty_option_is_one_line_in_the_plan_and_by_hand(entry: str, options: dict, message: str) -> None:
    refused({f"{entry}.options": options}, f"{entry}.options{message}")
    kind, name = entry.split(".")
    load = {"losses": load_loss, "samplers": load_sampler}[kind]
    with pytest.raises(InputError, match=f"{kind}: .*, options{message}"):
        load(demo()[kind][name]["function"], options)


FLAGS = [
    ("losses.lce.reads_teacher", True, "losses.lce.reads_teacher: lce reads no teacher scores; leave it out"),
    ("samplers.crossencoder.reads_teacher", False, "crossencoder reads teacher scores; leave it out"),
    ("samplers.bm25.systems", [], "samplers.bm25.systems: bm25 draws from rankings; name at least one system"),
    ("samplers.random.systems", ["qld"], "samplers.random.systems: random reads no rankings; leave them out"),
    ("samplers.ensemble.pools", [], "samplers.ensemble.pools: ensemble draws by the teacher's scores"),
    ("samplers.bm25.function", "bm52", "samplers.bm25.function: no 'bm52'; there are bm25, crossencoder"),
    ("corpora.demo.docvectors", False, "corpora.demo.docvectors: bm25-rm3 with rm3 reads term vectors for demo-train"),
]


@pytest.mark.parametrize(("key", "value", "message"), FLAGS)
def test_what_a_function_or_a_system_reads_is_one_line(key: str, value: object, message: str) -> None:
    refused({key: value}, message)


def test_what_the_plan_can_know_is_filled_in() -> None:
    other = {
        "collections.other": {"corpus": "demo-mild", "source": "generated", "role": "train", "seed": 7, "queries": 9}
    }
    pools = {
        "pools.rm3": {"systems": ["bm25-rm3"], "depth": 20, "collection": "other"},
        "pools.late": {"systems": ["qld"], "depth": 20},
        "pools.more": {"systems": ["qld"], "depth": 20, "known": []},
    }
    config = Experiment(demo({**other, **pools, "losses.lce.reads_teacher": False})).config
    reads = {name: entry["reads_teacher"] for name, entry in config["samplers"].items() if "cut" not in entry}
    assert [name for name, teacher in reads.items() if teacher] == ["crossencoder", "ensemble"]
    assert [name for name, loss in config["losses"].items() if not loss["reads_teacher"]] == ["lce"]
    assert {name: corpus["docvectors"] for name, corpus in config["corpora"].items()} == {
        "demo": True,
        "demo-mild": True,
        "demo-hard": False,
    }
    # The pool of a trained encoder's ranking is no other's, and what is given stays as it is.
    assert {name: pool["known"] for name, pool in config["pools"].items()} == {
        "positives": [],
        "bm25": ["positives"],
        "ensemble": ["positives", "bm25"],
        "dense": ["positives", "bm25"],
        "dev": [],
        "rm3": [],
        "late": ["positives", "bm25", "ensemble"],
        "more": [],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NEEDS_TEACHER = 1\n", "kl.py lacks NEEDS_TEACHER = True or False, a function loss"),
        ("NEEDS_TEACHER: bool = True\n", "kl.py lacks a function loss"),
        ("NEEDS_TEACHER = True\ndef loss(f, g, *, T=1.0): ...\n", r"kl.py lacks OPTIONS\['T'\] with type and desc"),
        ("NEEDS_TEACHER = True\nOPTIONS = {'T': {}}\ndef loss(f, g): ...\n", "kl.py lacks an argument T, which OPT"),
        ("def loss(:\n", "kl.py is no Python: invalid syntax"),
    ],
)
def test_a_faulty_function_file_is_one_line(tmp_path: Path, monkeypatch, text: str, message: str) -> None:
    for kind in ("samplers", "losses"):
        shutil.copytree(ROOT / functions.FOLDERS[kind], tmp_path / functions.FOLDERS[kind])
    (tmp_path / functions.FOLDERS["losses"] / "kl.py").write_text(text)
    monkeypatch.setattr(functions, "ROOT", tmp_path)
    refused({}, f"losses.kl.function: .*{message}")


def test_every_function_fills_the_slots_of_its_docstring() -> None:
    for kind in ("samplers", "losses"):
        slots = ["Source:", "Shapes:", "When to use:", "Compare with:", "Config:"]
        for name in functions.function_names(kind):
            text = (ROOT / functions.FOLDERS[kind] / f"{name}.py").read_text()
            places = [text.find(f"    {slot} ") for slot in slots]
            assert -1 not in places and places == sorted(places), f"{name}: {slots}"


def test_a_file_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError("No module named 'mine'")

    monkeypatch.setattr("workflow_scripts.experiment.options.importlib.import_module", fail)
    with pytest.raises(InputError, match=r"samplers/bm25.py cannot be imported \(ModuleNotFoundError: No module named"):
        load_sampler("bm25", BM25)


def test_a_check_of_settings_that_changes_makes_no_page_again() -> None:
    read = {path.name for path in closure([f"{PACKAGE}.report.make_report"]) if path.parts[1] == "experiment"}
    assert read == {"__init__.py", "in_words.py", "functions.py", "options.py"}
