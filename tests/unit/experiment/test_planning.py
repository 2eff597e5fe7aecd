"""The experiment: shipped ones are valid, faults are one line each."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from workflow_scripts.experiment import functions
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.grid_point import GridPoint
from workflow_scripts.experiment.studies import is_whole
from workflow_scripts.mine.samplers.mixed import near_negatives
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_valid(path: Path) -> None:
    if path.stem != "schema":
        experiment = Experiment(yaml.safe_load(path.read_text()))
        grid = len(experiment.config["seeds"]) * 2 * 4
        assert len(experiment.grid_rankers) == grid * (4 if path.stem == "small" else 5)
        teacher = next(iter(experiment.config["teachers"]))
        assert experiment.ranker(f"ce.kl.random.{teacher}.seed0") in experiment.rankers.values()


def test_defaults_come_from_the_schema() -> None:
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    filled = Experiment(config).config
    assert filled["evaluation"]["bootstrap"] == {"samples": 1000, "seed": 0, "confidence": 0.95}
    assert filled["training"]["warmup"] == 0.1 and filled["samplers"]["random"]["reads_teacher"] is False
    # The caller's own mapping is left as it was.
    assert "bootstrap" not in config["evaluation"]


BI_ENCODER = {"architecture": "bi-encoder", "backbone": "mini", "learning_rate": 0.1}
BAD = [
    ("losses.lce.reads_teacher", True, "losses.lce.reads_teacher: lce does not read teacher scores; set it to false"),
    ("samplers.crossencoder.reads_teacher", False, "crossencoder reads teacher scores; set it to true"),
    ("losses.kl.options", {"temp": 1}, "losses.kl.options: kl has no 'temp'; it has temperature"),
    ("losses.lce.options", {"temp": 1}, "losses.lce.options: lce has no 'temp'; it has none"),
    ("samplers.bm25.options", {"pool": 50}, "samplers.bm25.options: bm25 needs 'depth'"),
    ("samplers.bm25.systems", [], "samplers.bm25.systems: bm25 draws from rankings; name at least one system"),
    ("samplers.random.systems", ["qld"], "samplers.random.systems: random reads no rankings; leave them out"),
    ("samplers.ensemble.pools", [], "samplers.ensemble.pools: ensemble draws by the teacher's scores"),
    ("students.teacher", BI_ENCODER, "students.teacher: this name is taken by the runs of the teachers"),
    *((axis, {}, f"{axis}: there are none") for axis in ("students", "losses", "samplers", "teachers", "domains")),
    (
        "pools.positives.known",
        ["positives"],
        "pools.positives.known: pools.positives needs pools.positives, a circle; drop",
    ),
    ("pools.positives.known", ["ensemble"], "a circle; drop one of them"),
    (
        "lengths.document",
        38,
        r"a pair of 8 \+ 38 \+ 3 special tokens exceeds the 48 positions of backbone mini; .* to 49",
    ),
    (
        "domains.more",
        [{"name": "demo-mild", "collections": ["demo"]}],
        "demo-mild has the name of one of the collections",
    ),
    ("domains.more", [{"name": "in-domain", "collections": ["demo"]}], "in-domain has the name of one of the domains"),
    ("domains.more", [{"name": "all", "collections": ["demo"]}], "domains.more: all stands for a domain as a whole"),
    ("domains.more", ["demo", {"name": "x", "collections": ["demo"]}], "domains.more: demo is in it twice"),
    (
        "domains.more",
        [{"name": "x", "collections": ["demo"]}, {"name": "x", "collections": ["demo-mild"]}],
        "the set x has other collections",
    ),
    ("evaluation.measures", ["nDGC@10"], "evaluation.measures: 'nDGC@10' is no measure"),
    ("evaluation.measures", ["R"], "evaluation.measures: 'R' is no measure"),
    ("evaluation.measures", ["MRR"], "evaluation.measures: 'MRR' is printed as 'RR'; write it so"),
    ("evaluation.more_measures", {"demo": ["AP"]}, "evaluation.more_measures.demo: 'AP' is among evaluation.measures"),
    ("corpora.demo.docvectors", False, "systems.bm25-rm3: rm3 reads .* give corpora.demo docvectors: true"),
    ("samplers.bm25.collection", "demo", "samplers.bm25.collection: demo has role test; it needs role train"),
    ("samplers.bm25.collection", "demo-2", "no 'demo-2' among the collections"),
    ("pools.bm25.collection", "other", "no 'other' among the collections"),
    (
        "studies.factorial.losses",
        ["kl-flat", "kl-sharp"],
        "teacher_temperature is 4.0, 0.25; list them in rising order",
    ),
    ("studies.factorial.losses", ["kl-flat"], "studies.factorial.losses: one level shows no effect"),
    ("studies.factorial.samplers", ["random", "near-100"], "random is no mixed, whose share is the dial"),
    ("studies.factorial.seeds", [1], "studies.factorial.seeds: no 1 among the seeds: there are 0"),
    ("studies.teachers.teachers", ["base"], "one teacher shows no difference"),
    ("studies.teachers.losses", ["lce"], "lce reads no teacher"),
    ("studies.cuts.cuts", ["upper"], r"studies.cuts.cuts.0: 'upper' is not one of \['lower-quartile'"),
    (
        "studies.collections",
        {"students": ["ce"], "losses": ["kl"], "samplers": ["bm25"], "teachers": ["base"]},
        "all draw for one collection",
    ),
    (
        "systems.dense.encoder",
        "be/lce.dense.none/seed0",
        "systems.dense.encoder: systems.dense needs be/lce.dense.none/seed0 needs samplers.dense needs systems.dense",
    ),
    ("systems.dense.encoder", "ce/lce.bm25.none/seed0", "systems.dense.encoder: ce is no bi-encoder"),
    ("systems.dense.encoder", "minilm", "systems.dense.encoder: 'minilm' is no backbone and no cell"),
    (
        "systems.dense.encoder",
        "be/lce.bm25.none/seed1",
        "'be/lce.bm25.none/seed1' is no backbone .*; the nearest cell of a bi-encoder is be/lce.bm25.none/seed0",
    ),
    ("systems.dense.encoder", "be/kl.bm25.weak/seed0", "'be/kl.bm25.weak/seed0' is no backbone and no cell"),
    (
        "systems.dense.encoder",
        "be/lce.bm25.base/seed0",
        "systems.dense.encoder: be/lce.bm25.base/seed0 reads no teacher: its name is be/lce.bm25.none/seed0",
    ),
    ("teachers.none", {"backbone": "mini", "trained": False}, "teachers.none: this name stands for no teacher"),
    ("students.be.architecture", "cross-encoder", "systems.dense.encoder: be is no bi-encoder; name a backbone"),
    ("teachers.base.in_grid", False, "teachers: none is in the main grid"),
    ("first_stage.check", ["bm25-rm3"], "of demo-mild's corpus; give corpora.demo-mild docvectors: true"),
    (
        "first_stage.system",
        "dense",
        "first_stage.system: dense is of model dense, .*; name a system of model bm25 or qld",
    ),
    ("students.retrieved", BI_ENCODER, "students.retrieved: this name is taken by the runs of dense retrieval"),
    (
        "evaluation.retrieval.collections",
        ["demo-train"],
        "evaluation.retrieval.collections: demo-train, of role train, is in no domain",
    ),
    ("training.documents", "[", r"training.documents: '\[' is not of type 'integer'"),
    ("training.documents", "2024-13-45", "training.documents: '2024-13-45' is not of type 'integer'"),
    *(
        (
            "losses.kl-flat.options",
            {"teacher_temperature": value},
            f"losses.kl-flat.options.teacher_temperature: {told}",
        )
        for value, told in (("high", "'high' is no number above 0"), (True, "True is no"), (0, "0 is no"))
    ),
    ("samplers.near-0.options.share", "half", "samplers.near-0.options.share: 'half' is no number from 0 to 1"),
    (
        "samplers.near-0.options.share",
        0.5,
        r"0.5 is no whole number of 7 negatives; set it to 0.429 \(3 of 7\) or 0.571",
    ),
    ("samplers.near-0.options.share", 0.9999, "their share is 0.9999, 1; list them in rising order, each level once"),
    ("samplers.near-0.options.depth", 90, "factorial.samplers: near-0 and near-100 differ in depth beside share"),
    ("samplers.near-0.systems", ["bm25", "dense"], "near-0 and near-100 differ in systems beside share"),
    (
        "losses.kl-flat.options.temperature",
        2.0,
        "studies.factorial.losses: kl-sharp and kl-flat differ in temperature beside teacher_temperature; give both",
    ),
    (
        "seeds",
        [0, {"seed": 1, "sampling": 0, "order": 0, "initialisation": 0}],
        "seeds: 0 and 1 have one sampling, order",
    ),
    (
        "studies.teachers.samplers",
        ["random"],
        "studies.teachers.samplers: one sampler shows no conclusion; name at least",
    ),
]


def demo(changes: Mapping[str, object] = MappingProxyType({})) -> dict:
    """The demo's configuration with the values of some keys changed."""
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    for place, new in changes.items():
        part = config
        *parents, last = place.split(".")
        for parent in parents:
            part = part[parent]
        part[last] = new
    return config


def refused(changes: Mapping[str, object], message: str) -> None:
    """The demo so changed is refused with one line."""
    with pytest.raises(InputError, match=message) as raised:
        Experiment(demo(changes))
    assert str(raised.value).startswith("config: ") and "\n" not in str(raised.value)


@pytest.mark.parametrize(("key", "value", "message"), BAD)
def test_a_faulty_cross_reference_is_one_line(key: str, value: object, message: str) -> None:
    refused({key: value}, message)


OTHER = {"collections.other": {"corpus": "demo", "source": "generated", "role": "train", "seed": 8, "queries": 64}}
"""A second training collection."""
DEEP = {"systems": ["dense"], "depth": 50}
BE_STUDY = {"students": ["be"], "losses": ["kl"], "samplers": ["bm25"], "teachers": ["base"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pools.other": DEEP | {"collection": "other", "known": ["bm25"]}},
            "pools.other.known: bm25 is of another collection",
        ),
        (
            {"domains.in-domain": ["demo", "demo-hard"], "evaluation.retrieval.collections": ["demo"]},
            "evaluation.retrieval.collections: they hold no domain as a whole; .*: in-domain has demo, demo-hard;",
        ),
        (
            {"samplers.near-0.collection": "other", "samplers.near-0.pools": []},
            "studies.factorial.samplers: near-0 draws for other, .*; name samplers of demo-train",
        ),
        (
            # training.collection named by itself is the same collection.
            {
                "samplers.bm25.collection": "demo-train",
                "studies.collections": BE_STUDY | {"samplers": ["bm25", "random"]},
            },
            "studies.collections.samplers: all draw for one collection",
        ),
        (
            {
                "samplers.again": demo()["samplers"]["bm25"],
                "studies.collections": BE_STUDY | {"samplers": ["bm25", "again"]},
            },
            "studies.collections.samplers: bm25 and again are both bm25 on demo-train; name one of them",
        ),
    ],
)
def test_entries_that_do_not_go_together_are_one_line(changes: dict, message: str) -> None:
    refused(OTHER | changes, message)


TEACHERLESS = ("random", "bm25", "dense")
DENSE = {"model": "dense", "encoder": "be/kl.bm25.base/seed0", "depth": 100}


@pytest.mark.parametrize(
    ("changes", "circle"),
    [
        (
            # Labels are looked up in the sampler's pools.
            {"systems.dense.encoder": "be/kl.bm25.base/seed0", "samplers.bm25.pools": ["positives", "dense"]},
            "be/kl.bm25.base/seed0 pools.dense",
        ),
        (
            {"systems.dense.encoder": "be/kl.bm25.base/seed0", "pools.bm25.known": ["deep"], "pools.deep": DEEP},
            "be/kl.bm25.base/seed0 pools.bm25 pools.deep",
        ),
        (
            # No label is read, but the sampler draws by a teacher's scores of its pools.
            {"systems.dense.encoder": "be/lce.ensemble.base/seed0", "pools.ensemble.systems": ["dense"]},
            "be/lce.ensemble.base/seed0 samplers.ensemble pools.ensemble",
        ),
        (
            {"systems.dense.encoder": "be/kl.random.base/seed0", "teachers.base.sampler": "dense"},
            "be/kl.random.base/seed0 teachers.base samplers.dense",
        ),
        (
            {"systems.dense.encoder": "be/lce.crossencoder.base/seed0", "teachers.base.sampler": "dense"},
            "be/lce.crossencoder.base/seed0 teachers.base samplers.dense",
        ),
        (
            # Groups of a cut depend on labels whatever the loss.
            {
                "systems.dense.encoder": "be/lce.random-outliers.weak/seed0",
                "studies.cuts": BE_STUDY | {"losses": ["lce"], "samplers": ["random"], "teachers": ["weak"]},
                "teachers.weak.sampler": "dense",
            },
            "be/lce.random-outliers.weak/seed0 teachers.weak samplers.dense",
        ),
        (
            # Two that need each other.
            {
                "systems.dense.encoder": "be/lce.mutual.none/seed0",
                "systems.other": DENSE | {"encoder": "be/lce.dense.none/seed0"},
                "samplers.mutual": {"function": "dense", "systems": ["other"], "options": {"pool": 50, "depth": 100}},
            },
            "be/lce.mutual.none/seed0 samplers.mutual systems.other be/lce.dense.none/seed0 samplers.dense",
        ),
    ],
)
def test_an_encoder_that_needs_its_own_rankings_is_one_line(changes: dict, circle: str) -> None:
    needs = " needs ".join(["systems.dense", *circle.split(), "systems.dense"])
    refused(changes, f"config: systems.dense.encoder: {needs}, a circle; name another cell, or a backbone")


def test_an_encoder_may_have_pools_that_its_training_does_not_read() -> None:
    # Contrastive, and its sampler reads no teacher: the scores of its pools wait for it, not it for them.
    assert Experiment(demo({"samplers.bm25.pools": ["positives", "bm25", "dense"]})).rankers
    # A teacher that is not trained waits for no sampler; a chain of encoders is no circle.
    chain = DENSE | {"encoder": "be/lce.dense.none/seed0"}
    sampler = {"function": "dense", "systems": ["chain"], "options": {"pool": 50, "depth": 100}}
    assert Experiment(demo({"systems.chain": chain, "samplers.chain": sampler})).rankers
    assert Experiment(demo({"teachers.base": {"backbone": "mini", "trained": False}})).rankers


def test_a_share_is_whole_where_the_sampler_takes_it() -> None:
    """The sampler's own rule, which cannot be imported where the experiment is planned."""
    for negatives in (3, 7, 15):
        for share in (n / 2000 for n in range(2001)):
            try:
                near_negatives(share, negatives)
            except InputError:
                assert not is_whole(share, negatives)
            else:
                assert is_whole(share, negatives)


def test_a_cut_takes_only_a_free_name() -> None:
    config = demo()
    config["samplers"]["bm25-outliers"] = config["samplers"]["bm25"]
    with pytest.raises(InputError, match=r"samplers.bm25-outliers: this name is taken by an entropy cut"):
        Experiment(config)


def test_studies_add_cells_and_seeds_are_told_apart() -> None:
    config = demo({"seeds": [0, {"seed": 4, "order": 0}]})
    config["studies"]["teachers"]["seeds"] = [4]
    experiment = Experiment(config)
    assert experiment.seeding[4] == {"sampling": 4, "order": 0, "initialisation": 4}
    # The study's cells of the grid's own teacher are the grid's.
    assert [ranker.cell for ranker in experiment.study("teachers") if ranker.path not in experiment.grid_rankers] == [
        "ce.kl.random.weak.seed4",
        "ce.kl.crossencoder.weak.seed4",
    ]
    assert "ce.marginmse.bm25-outliers.base.seed0" in experiment.cells and len(experiment.grid_rankers) == 80
    assert experiment.label("bm25-outliers", "base") == "bm25"


def test_a_student_that_reads_no_teacher_is_trained_once_and_stands_under_each() -> None:
    """A second teacher in the demo's grid: every student again, but contrastive ones of samplers that read none."""
    one, two = Experiment(demo()), Experiment(demo({"teachers.weak.in_grid": True}))
    new = {path for path in two.grid_rankers if path not in one.grid_rankers}
    # 2 students, 4 losses, 5 samplers; LCE on random, BM25's and the dense miner's negatives reads no teacher.
    assert len(new) == 2 * (4 * 5 - 3) and not any("/lce.bm25." in path or ".none/" in path for path in new)
    kept = [path for path in two.grid_rankers if path.endswith(".none/seed0")]
    assert sorted(kept) == sorted(
        f"{name}/lce.{sampler}.none/seed0" for name in ("be", "ce") for sampler in TEACHERLESS
    )
    for teacher in ("base", "weak"):
        assert two.points[GridPoint("ce", "lce", "bm25", teacher, 0)].path == "ce/lce.bm25.none/seed0"
        with pytest.raises(InputError, match=r"seed0 reads no teacher: its name is ce.lce.bm25.none.seed0$"):
            two.ranker(f"ce.lce.bm25.{teacher}.seed0")
    # A cut of such groups is by a teacher's entropy.
    cuts = Experiment(demo({"studies.cuts.losses": ["lce"]}))
    assert "ce/lce.bm25-outliers.base/seed0" in cuts.rankers


def test_numbers_given_as_texts_are_numbers() -> None:
    # As --config 'seeds=[0, 1]' 'training={documents: 2560}' gives them.
    config = demo({"seeds": ["0", {"seed": "1", "order": "0"}]})
    config["training"]["documents"], config["training"]["dropout"] = "2560", "null"
    experiment = Experiment(config)
    assert experiment.config["seeds"] == [0, 1] and experiment.seeding[1]["order"] == 0
    assert experiment.config["training"]["documents"] == 2560 and experiment.config["training"]["dropout"] is None
    with pytest.raises(InputError, match=r"config: seeds.0: 'zero' is not of type 'integer', 'object'"):
        Experiment(demo({"seeds": ["zero"]}))


def test_what_is_not_read_is_not_refused() -> None:
    # One set in two domains, vectors that no system reads, and documents that only bi-encoders read.
    config = demo({"domains.more": [{"name": "x", "collections": ["demo"]}]})
    config["domains"]["most"] = [{"name": "x", "collections": ["demo"]}, "demo-mild"]
    del config["samplers"]["ensemble"], config["pools"]["ensemble"], config["corpora"]["demo"]["docvectors"]
    config["backbones"]["other"] = config["backbones"]["mini"] | {"source": "google/large"}
    for entry in (config["students"]["ce"], *config["teachers"].values()):
        entry["backbone"] = "other"
    config["lengths"]["document"] = 46
    assert Experiment(config).rankers
    config["lengths"]["document"] = 47
    with pytest.raises(InputError, match=r"a text of 47 \+ 2 special tokens exceeds the 48 positions"):
        Experiment(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NEEDS_TEACHER = 1\n", "kl.py lacks NEEDS_TEACHER = True or False, a function loss"),
        ("NEEDS_TEACHER: bool = True\n", "kl.py lacks a function loss"),
        ("def loss(:\n", "kl.py is no Python: invalid syntax"),
    ],
)
def test_a_faulty_function_file_is_one_line(tmp_path: Path, monkeypatch, text: str, message: str) -> None:
    for kind in ("samplers", "losses"):
        shutil.copytree(ROOT / functions.FOLDERS[kind], tmp_path / functions.FOLDERS[kind])
    (tmp_path / functions.FOLDERS["losses"] / "kl.py").write_text(text)
    monkeypatch.setattr(functions, "ROOT", tmp_path)
    with pytest.raises(InputError, match=f"config: losses.kl.function: .*{message}"):
        Experiment(demo())
