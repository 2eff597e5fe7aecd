"""Entries of an experiment that do not go together: each fault is one line that names the key and the fix."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from changed_demo import DEV, demo, refused

from workflow_scripts.experiment import checks, functions
from workflow_scripts.experiment.experiment import Experiment

OTHER = {"collections.other": {"corpus": "demo", "source": "generated", "role": "train", "seed": 7, "queries": 64}}
"""A second training collection."""
STUDY = {"students": ["be"], "losses": ["kl"], "samplers": ["bm25"], "teachers": ["base"]}
POSITIVE_AWARE = {
    "function": "positive_aware",
    "systems": ["bm25"],
    "pools": ["positives", "bm25"],
    "options": {"pool": 50, "depth": 100, "limit": "share", "value": 0.95},
}
NO_LEVEL = "samplers.aware.options.limit: share depends on the level .* lce, the loss of teacher base, .* limit: margin"
FAULTS = [
    # Backbones
    (
        "backbones.other",
        demo()["backbones"]["mini"] | {"tokenizer": {"kind": "words", "size": 50}},
        "backbones.other.vocabulary: mini's is made of another tokenizer; give other one of its own",
    ),
    ("backbones.mini.architecture.positions", 46, r"a pair of 8 \+ 36 \+ 3 special tokens exceeds the 46 positions"),
    # Parts of paths
    ("experiment", "results", "experiment: results is the name of the folder that all experiments lie in"),
    ("students.results", demo()["students"]["be"], "students: results is the name of the folder"),
    ("evaluation.sets", {"results": ["demo"]}, "evaluation.sets: results is the name of the folder"),
    ("backbones.mini.vocabulary", "results", "backbones.vocabulary: results is the name of the folder"),
    # Seeds
    ("seeds", [0, {"seed": 0, "order": 1}], "seeds: 0 is there twice"),
    ("seeds", [0, {"seed": 1, "sampling": 0, "order": 0, "initialisation": 0}], "0 and 1 have one sampling, order"),
    (
        "seeds",
        [0, {"seed": 1, "sampling": 0, "order": 0}],
        "0 and 1 differ in initialisation alone, and be starts from no new weights: the same model twice",
    ),
    ("controls", {"samplers": ["near-0"]}, "controls.samplers: near-0 is not in the main grid"),
    ("controls", {"samplers": ["bm52"]}, "controls.samplers: no 'bm52' among the samplers"),
    ("controls", {"seeds": [2, 0]}, "controls.seeds: 0 is the experiment's own seed"),
    # Measures and retrieval
    ("evaluation.measures", ["nDGC@10"], "evaluation.measures: 'nDGC@10' must be a measure of ir_measures"),
    ("evaluation.measures", ["R"], "evaluation.measures: 'R' must be a measure"),
    ("evaluation.measures", ["AP", "alpha_nDCG@10"], "'alpha_nDCG@10' is a measure that nothing installed computes"),
    ("evaluation.more_measures", {"demo": ["R@0"]}, "evaluation.more_measures.demo: 'R@0': cutoff is 0, and must be"),
    ("evaluation.measures", ["MRR"], "evaluation.measures: use ir_measures' own name 'RR' for 'MRR'"),
    (
        "evaluation.measures",
        ["R@100", "nDCG@10"],
        "evaluation.measures: re-ranking 100 candidates does not change R@100",
    ),
    ("evaluation.more_measures", {"demo": ["AP"]}, "evaluation.more_measures.demo: 'AP' is among evaluation.measures"),
    ("evaluation.more_measures", {"demo-train": ["P@5"]}, "more_measures.demo-train: is in no domain; name"),
    ("evaluation.retrieval.collections", ["demo-train"], "demo-train, of role train, is in no domain"),
    ("evaluation.sets", {"a": ["dem"]}, "evaluation.sets.a: no 'dem' among the collections"),
    ("evaluation.sets", {"a": ["demo-train"]}, "evaluation.sets.a: demo-train is a training collection"),
    ("evaluation.sets", {"a": ["demo"], "b": ["demo"]}, "evaluation.sets.b: demo is in the set a already"),
    ("evaluation.sets", {"in-domain": ["demo-hard"]}, "evaluation.sets.in-domain: demo, in no set, would be the"),
    ("evaluation.retrieval.candidates", "bm25", "candidates: bm25 is of model bm25; name a system of model dense"),
    ("evaluation.retrieval.candidates", "dens", "evaluation.retrieval.candidates: no 'dens' among the systems"),
    # Studies
    ("studies.factorial.losses", ["kl-flat", "kl-sharp"], "is 4.0, 0.25; list them in rising order"),
    ("studies.factorial.losses", ["kl-flat"], "studies.factorial.losses: needs at least two levels to compare"),
    ("studies.factorial.samplers", ["random", "near-100"], "random must have the function mixed, whose share is the"),
    ("studies.factorial.seeds", [1], "studies.factorial.seeds: no 1 among the seeds: there are 0"),
    ("studies.teachers.teachers", ["base"], "studies.teachers.teachers: needs at least two teachers to compare"),
    ("studies.teachers.samplers", ["random"], "studies.teachers.samplers: needs at least two samplers to compare"),
    ("studies.teachers.losses", ["lce"], "lce reads no teacher"),
    ("studies.budgets", STUDY | {"multiples": [2, 1]}, "studies.budgets.multiples: must rise .are 2, 1.; list them"),
    ("studies.budgets", STUDY | {"multiples": [0.013, 1]}, r"0.013 of be's 25600 .* a step's 128 \(nearest: 0.015\)"),
    ("studies.budgets", STUDY | {"multiples": [1]}, "studies.budgets.multiples: "),
    ("students.be.documents", 100, r"students.be.documents: 100 must be a multiple .* \(nearest: 128\)"),
    ("students.ce.pooling", "mean", "students.ce: pooling is of bi-encoders; leave it out of a cross-encoder"),
    ("systems.dense.similarity", "cosine", "systems.dense.similarity: be/lce.bm25.none/seed0 embeds as it was trained"),
    ("losses.kl.in_batch_negatives", True, "losses.kl.in_batch_negatives: kl reads teacher scores"),
    ("losses.lce.in_batch_negatives", True, "losses.lce.in_batch_negatives: student ce is a cross-encoder"),
    ("studies.collections", STUDY, "all draw for one collection"),
    ("samplers.near-0.options.share", 0.5, r"0.5 must be a whole number of 7 negatives; set it to 0.429 \(3 of 7\) or"),
    ("samplers.near-0.options.share", 0.9999, "their share is 0.9999, 1; list them in rising order, each level once"),
    ("samplers.near-0.options.depth", 90, "factorial.samplers: near-0 and near-100 differ in depth beside share"),
    ("samplers.near-0.systems", ["dense"], "near-0 and near-100 differ in systems beside share"),
    (
        "losses.kl-flat.options.temperature",
        2.0,
        "kl-sharp and kl-flat differ in temperature beside teacher_temperature",
    ),
    ("samplers.bm25-outliers", demo()["samplers"]["bm25"], "this name is taken by an entropy cut"),
]


@pytest.mark.parametrize(("key", "value", "message"), FAULTS)
def test_a_faulty_cross_reference_is_one_line(key: str, value: object, message: str) -> None:
    refused(DEV | {key: value}, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pools.other": {"systems": ["dense"], "depth": 50, "collection": "other", "known": ["bm25"]}},
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
            {"pools.bm25.known": [], "samplers.ensemble.systems": ["bm25"], "samplers.ensemble.pools": ["bm25"]},
            "samplers.ensemble.pools: ensemble reads the positives' scores; name a pool with positives",
        ),
        (
            # training.collection named by itself is the same collection.
            {"samplers.bm25.collection": "demo-train", "studies.collections": STUDY | {"samplers": ["bm25", "random"]}},
            "studies.collections.samplers: all draw for one collection",
        ),
        (
            {
                "samplers.again": demo()["samplers"]["bm25"],
                "studies.collections": STUDY | {"samplers": ["bm25", "again"]},
            },
            "studies.collections.samplers: bm25 and again are both bm25 on demo-train; name one of them",
        ),
        (
            {"collections.demo-mild.queries": 501, "corpora.demo-mild.documents": 4000},
            "corpora.demo-mild.documents: 501 test queries need a source each, and an eighth of it is 500",
        ),
    ],
)
def test_entries_that_do_not_go_together_are_one_line(changes: dict, message: str) -> None:
    refused(OTHER | changes, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"model_type": "bert", "max_position_embeddings": 32}',
            r"exceeds the 32 positions of backbone mini; lower the",
        ),
        ('{"model_type": "bert", "auto_map": {}}', r"backbones.mini.source: \S+ asks to run code"),
        (None, r"backbones.mini.source: \S+config.json is missing"),
    ],
)
def test_a_local_model_folder_is_looked_at_before_anything_is_made(
    text: str | None, message: str, tmp_path: Path
) -> None:
    if text:
        (tmp_path / "config.json").write_text(text)
    refused({"backbones.mini": {"source": str(tmp_path), "vocabulary": "mini"}}, message)


def test_a_share_of_scores_needs_a_teacher_whose_scores_have_a_level(tmp_path: Path, monkeypatch) -> None:
    """Scores of a teacher trained by lce are as good with any constant added, and another share of each is dropped."""
    refused({"samplers.aware": POSITIVE_AWARE}, NO_LEVEL)
    outside = {"samplers.aware": POSITIVE_AWARE | {"in_grid": False}}
    assert Experiment(demo(outside)).rankers
    refused(outside | {"studies.losses": STUDY | {"losses": ["kl", "lce"], "samplers": ["bm25", "aware"]}}, NO_LEVEL)
    margin = POSITIVE_AWARE["options"] | {"limit": "margin"}
    assert Experiment(demo({"samplers.aware": POSITIVE_AWARE | {"options": margin}})).rankers
    # A teacher that is used as it is, and one whose loss says that it fixes the level.
    ready = {"source": "cross-encoder/ms-marco-MiniLM-L6-v2", "revision": "0" * 40, "vocabulary": "bert"}
    config = demo({"samplers.aware": POSITIVE_AWARE, "backbones.ready": ready})
    config["teachers"] = {"base": {"backbone": "ready", "trained": False}}
    del config["studies"]["teachers"]
    assert Experiment(config).rankers
    for kind in ("samplers", "losses"):
        shutil.copytree(checks.ROOT / functions.FOLDERS[kind], tmp_path / functions.FOLDERS[kind])
    with open(tmp_path / functions.FOLDERS["losses"] / "lce.py", "a") as file:
        file.write("FIXES_LEVEL = True\n")
    monkeypatch.setattr(functions, "ROOT", tmp_path)
    assert Experiment(demo({"samplers.aware": POSITIVE_AWARE})).rankers


OF_ALL = "{source: a, student: bm25, collection: all, measure: nDCG@10, value: 0.5, tolerance: 0.1}"
UNSAID = f"sources: {{a: {{where: x, differs: y}}}}\nfigures: [{OF_ALL}]\n"


@pytest.mark.parametrize("text", ["sources: [", "sources: {}\nfigures: [{source: none}]\n", UNSAID])
def test_published_figures_are_read_before_anything_is_made(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config/expected").mkdir(parents=True)
    (tmp_path / "config/expected/mine.yaml").write_text(text)
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    refused({"evaluation.published": "mine"}, r"evaluation.published: \S+mine.yaml")


def test_seeds_may_differ_in_initialisation_where_every_student_has_a_new_head(tmp_path: Path) -> None:
    seeds = [0, {"seed": 1, "sampling": 0, "order": 0}]
    described, local = tmp_path / "config.json", {"source": str(tmp_path), "vocabulary": "other"}
    bare = '{"model_type": "bert", "architectures": ["BertModel"], "id2label": {"0": "LABEL_0"}}'
    described.write_text(bare)
    student = demo()["students"]["ce"] | {"backbone": "other"}
    changes = {"seeds": seeds, "students": {"ce": student}, "backbones.other": local, "systems.dense.encoder": "mini"}
    assert Experiment(demo(changes)).rankers
    described.write_text(bare.replace("Model", "ForSequenceClassification"))
    refused(changes, "0 and 1 differ in initialisation alone, and ce starts from no new weights")
    # A control is such a seed too.
    refused({"seeds": [42], "controls": {"seeds": [43, 1]}}, "controls.seeds: 1 is below the experiment's own seed 42")
    changes = {"seeds": [{"seed": 2, "sampling": 5, "order": 5}], "controls": {"seeds": [5]}}
    refused(changes | {"systems.dense.encoder": "be/lce.bm25.none/seed2"}, "controls.seeds: 5 is the experiment's own")
