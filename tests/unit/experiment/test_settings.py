"""Settings one by one: types, ranges, defaults, overlays, and the files that describe them."""

from __future__ import annotations

import copy
import functools
import itertools
import math

import pytest
from changed_demo import DEMO, demo, refused
from factories import shipped
from snakemake.utils import update_config

from workflow_scripts.experiment.describe import descriptions
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import overlaid, read_config
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

SHIPPED = {
    "demo": ["demo"],
    "paper": ["paper"],
    "large": ["paper", "large"],
    "small": ["small"],
    "study": ["demo", "study"],
    "small-scratch": ["small", "small-scratch"],
    "small-seeds": ["small", "small-seeds"],
    "rivals": ["demo", "rivals"],
    "budgets": ["demo", "budgets"],
    "pipeline": ["demo", "pipeline"],
    "pipelines": ["demo", "pipelines"],
}
"""Experiment to its files, in the order in which --configfile names them."""


def test_every_shipped_experiment_is_valid() -> None:
    assert {path.stem for path in (ROOT / "config").glob("*.yaml")} == {*SHIPPED, "claims"}
    for name, files in SHIPPED.items():
        experiment = Experiment(shipped(*files))
        # Students x losses, and samplers.
        others = {"small": (8, 4), "small-seeds": (2, 2), "rivals": (2, 7), "budgets": (2, 5), "large": (8, 4)}
        pairs, samplers = others.get(name, (8, 5))
        assert experiment.name == {"pipelines": "demo"}.get(name, name)
        assert len(experiment.grid_rankers) == len(experiment.config["seeds"]) * pairs * samplers
        teacher = next(iter(experiment.config["teachers"]))
        assert experiment.ranker(f"be.kl.random.{teacher}.seed0") in experiment.rankers.values()


@pytest.mark.parametrize("name", ["paper", "large", "small-scratch"])
def test_a_pool_of_a_trained_encoder_holds_what_is_drawn(name: str) -> None:
    config = Experiment(shipped(*SHIPPED[name])).config
    pools, sampler = config["pools"], config["samplers"]["dense"]
    # Positives are left out before the sampler counts: few queries have ten.
    assert pools["dense"]["depth"] >= sampler["options"]["pool"] + 10
    # What it knows is what its cells need anyway: another sampler's pool would be on their bill.
    assert {*pools["dense"]["known"]} == {*sampler["pools"]} - {"dense"} == {"positives", "bm25"}


SCRATCH = {"source": "scratch", "vocabulary": "mini", "corpora": ["demo"]}
FAULTS = [
    # Keys
    ("sampelrs", {}, "top level: unknown key 'sampelrs'; known are analysis, arithmetic, backbones"),
    ("samplers.bm25.dept", 3, "samplers.bm25: unknown key 'dept'; known are collection, function, in_grid, options"),
    ("collections.demo.id", "x", "collections.demo: unknown key 'id'; known are corpus, queries, remove_query"),
    ("training", {"collection": "demo-train"}, "training.negatives: is missing; give it a value"),
    ("corpora.demo", {"documents": 3}, "corpora.demo: source is missing; give it a value"),
    (
        "corpora.demo",
        {"source": "web"},
        "corpora.demo: source is 'web'; it must be one of ir_datasets, generated, files",
    ),
    ("systems.bm25.k1", None, "systems.bm25.k1: must be a number"),
    ("backbones.mini", SCRATCH, "backbones.mini: tokenizer is missing; source scratch needs corpora, tokenizer"),
    ("teachers.base", {"backbone": "mini"}, "teachers.base: loss is missing; a trained teacher needs loss, sampler"),
    (
        "collections.demo-train",
        {"corpus": "demo", "source": "files", "role": "train", "pairs": "qrels", "queries": "x"},
        "collections.demo-train: qrels is missing; a collection of files with judgements needs queries, qrels",
    ),
    (
        "collections.demo-train",
        {"corpus": "demo", "source": "ir_datasets", "role": "train"},
        "collections.demo-train: pairs is missing; role train needs pairs",
    ),
    (
        "collections.demo",
        {"corpus": "demo", "source": "files", "role": "test", "queries": "x", "qrels": "x", "min_relevance": 2},
        r"collections.demo: min_relevance is for training; for role test a measure says it, as in AP\(rel=2\)",
    ),
    ("students", {}, "students: is empty; name at least one"),
    ("seeds", [], "seeds: is empty; name at least one"),
    ("students.BE", {}, r"students.BE: must be lower-case letters and digits, joined by hyphens \(is 'BE'\)"),
    ("corpora", [], r"corpora: must be a mapping of ids to entries \(is \[\]\)"),
    ("corpora", {False: {}}, r"corpora.*: must be text, in quotes where YAML reads something else \(is False\)"),
    ("students.be", 3, r"students.be: must be a mapping of settings \(is 3\)"),
    ("domains.in-domain", "demo", r"domains.in-domain: must be a list \(is 'demo'\)"),
    ("domains.in-domain", ["demo", "demo"], "domains.in-domain: has 'demo' twice; name it once"),
    ("losses.kl.function", "../kl", r"losses.kl.function: must be the name of a file there, lower"),
    (
        "backbones.mini.source",
        "google/large",
        "backbones.mini.revision: the source google/large is of the model hub",
    ),
    ("backbones.mini.revision", 622038, "backbones.mini.revision: must be text, in quotes where YAML"),
    # Numbers
    ("training.documents", "[", r"training.documents: must be a whole number \(is '\['\)"),
    ("training.documents", 2.5, "training.documents: must be a whole number"),
    ("training.documents", True, r"training.documents: must be a whole number \(is True\)"),
    ("training.documents", 0, r"training.documents: must be at least 1 \(is 0\)"),
    ("training.warmup", 1.5, r"training.warmup: must be at most 1 \(is 1.5\)"),
    ("training.negatives", 32_768, r"training.negatives: must be at most 32767 \(is 32768\)"),
    ("training.weight_decay", math.nan, "training.weight_decay: must be a finite number"),
    ("training.weight_decay", "inf", "training.weight_decay: must be a finite number"),
    ("students.be.learning_rate", 0, "students.be.learning_rate: must be above 0"),
    ("analysis", {"equivalence": {"alpha": 0.5}}, "analysis.equivalence.alpha: must be below 0.5"),
    ("analysis", {"figures": {"fit_range": [0]}}, r"analysis.figures.fit_range: must have 2 entries \(has 1\)"),
    ("seeds", ["zero"], r"seeds.0: must be a whole number \(is 'zero'\)"),
    ("seeds", [{"seed": -1}], "seeds.0.seed: must be at least 0"),
    # Words
    ("training.view", "title", r"training.view: must be one of full, body \(is 'title'\)"),
    ("students.be.architecture", "dual", "students.be.architecture: must be one of bi-encoder, cross-encoder"),
    ("systems.bm25-rm3.rm3", 1, r"systems.bm25-rm3.rm3: must be true or false \(is 1\)"),
    ("studies.cuts.cuts", ["upper"], r"studies.cuts.cuts.0: must be one of lower-quartile, .* \(is 'upper'\)"),
    ("experiment", "", "experiment: must be lower-case letters"),
]


@pytest.mark.parametrize(("key", "value", "message"), FAULTS)
def test_a_faulty_setting_is_one_line(key: str, value: object, message: str) -> None:
    refused({key: value}, message)


def test_defaults_are_filled_in_and_what_has_none_is_left_out() -> None:
    before = copy.deepcopy(DEMO)
    config = Experiment(DEMO).config
    assert before == DEMO  # the caller's own mapping is left as it was
    assert config["evaluation"]["bootstrap"] == {"samples": 1000, "seed": 0, "confidence": 0.95}
    assert config["training"]["warmup"] == 0.1 and config["training"]["precision"] == "auto"
    # A job's spec has no key that nobody wrote, and numbers as they were written.
    assert config["systems"]["qld"] == {"model": "qld", "mu": 50, "depth": 20}
    assert "title_field" not in config["corpora"]["demo"] and config["resources"] == {}
    assert repr(config["analysis"]["advice"]["budgets"]) == "[1.5, 3, None]"


def test_values_given_as_texts_are_read() -> None:
    # As --config 'seeds=[0, 1]' 'training={documents: 2560}' gives them; YAML 1.1 reads 2e-5 as a text too.
    changes = {"training.documents": "2560.0", "training.dropout": "null", "students.be.learning_rate": "2e-5"}
    changes |= {"losses.kl.options": {"temperature": "2"}, "samplers.ensemble": "null", "studies.cuts": None}
    config = demo({"seeds": ["0", {"seed": "1", "order": "0"}], "systems.bm25-rm3.rm3": "true", **changes})
    experiment = Experiment(config)
    assert experiment.config["seeds"] == [0, 1] and experiment.seeding[1]["order"] == 0
    assert experiment.config["training"]["documents"] == 2560 and experiment.config["training"]["dropout"] is None
    assert experiment.config["students"]["be"]["learning_rate"] == 2e-5
    assert experiment.config["losses"]["kl"]["options"] == {"temperature": 2}
    assert experiment.config["systems"]["bm25-rm3"]["rm3"] is True
    assert "ensemble" not in experiment.config["samplers"] and "cuts" not in experiment.studies


def test_files_are_overlaid_as_snakemake_does_it_whatever_they_hold() -> None:
    values = (None, 1, [], [1], {}, {"a": None}, {"a": {}}, {"a": [1], "b": {"c": {}}}, {"a": {"b": {"d": 2}}})
    for base, over, third in itertools.product(values, repeat=3):
        files = [{"k": each} for each in (base, over, third)]
        by_snakemake: dict = {}
        for each in files:
            update_config(by_snakemake, copy.deepcopy(each))
        assert functools.reduce(overlaid, files, {}) == by_snakemake, files


def test_an_overlay_holds_what_differs_and_takes_out_what_it_sets_to_null() -> None:
    overlay = {"training": {"documents": 2560}, "samplers": {"dense": None}, "systems": {"dense": None}}
    nulls = {"sets": {"all": None}, "more_measures": {"demo": None}}
    overlay |= {"pools": {"dense": None}, "evaluation": {"measures": ["AP"]} | nulls, "seeds": [3]}
    merged = overlaid(DEMO, overlay)
    by_snakemake = copy.deepcopy(DEMO)
    update_config(by_snakemake, overlay)
    assert merged == by_snakemake
    experiment = Experiment(merged)
    assert list(experiment.config["samplers"])[:4] == ["random", "bm25", "crossencoder", "ensemble"]
    assert "dense" not in experiment.config["systems"] and experiment.config["seeds"] == [3]
    assert experiment.config["training"]["batch_groups"] == 16 and experiment.config["evaluation"]["measures"] == ["AP"]
    assert experiment.config["evaluation"]["sets"] == experiment.config["evaluation"]["more_measures"] == {}
    refused({"systems.dense": None}, "pools.dense.systems: no 'dense' among the systems")
    with pytest.raises(InputError, match="experiment before this one"):
        Experiment(shipped("study"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- demo\n", r"file\.yaml holds no experiment: give --configfile one such as"),
        ("", r"file\.yaml holds no experiment"),
        ("losses: {}\nseeds: [1]\nlosses: {}\n", r"file\.yaml:3: the key losses is there twice; give it once"),
        ("students:\n  be: {a: 1}\n  be: {a: 2}\n", r"file\.yaml:3: the key be is there twice"),
        ("seeds: [1, 010]\n", r"file\.yaml:1: 010 is no decimal number"),
        ("base: &a {x: 1}\nother: {<<: *a, x: 0, y: '010', z: [-1, 1_000, 0.5]}\n", None),
    ],
)
def test_a_file_that_could_be_read_in_two_ways_or_holds_no_experiment_is_one_line(text, message, tmp_path) -> None:
    (tmp_path / "file.yaml").write_text(text)
    if message is None:
        assert read_config(tmp_path / "file.yaml")["other"] == {"x": 0, "y": "010", "z": [-1, 1000, 0.5]}
        return
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "file.yaml")


def test_the_descriptions_are_up_to_date() -> None:
    for path, text in descriptions().items():
        assert path.read_text() == text, f"{path}: run make describe"


def test_each_config_names_the_schema_that_editors_check_it_by() -> None:
    for path in (ROOT / "config").glob("*.yaml"):
        assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n"), path
