"""Numbers that do not fit together: steps of training, depths of rankings and pools, lengths of texts."""

from __future__ import annotations

import copy

import pytest
from changed_demo import DEV, demo, refused

from workflow_scripts.experiment.experiment import Experiment

FAULTS = [
    ("systems.qld.mu", 1e-46, "systems.qld.mu: must be at least 0.001"),
    # A system that an ensemble would draw from twice, or from none
    *(
        ("samplers.ensemble.options.systems", names, "ensemble.options.systems: must be different systems, at least")
        for names in (["qld", "qld"], [])
    ),
    # Numbers
    (
        "training.documents",
        25650,
        r"training.documents: 25650 must be a multiple of a step's 128 .* \(nearest: 25600\)",
    ),
    ("teachers.base.documents", 5, r"teachers.base.documents: 5 must be a multiple .* \(nearest: 128\)"),
    ("pools.bm25.depth", 101, "pools.bm25.depth: 101 exceeds the depth 100 of bm25"),
    ("samplers.bm25.options.depth", 101, "samplers.bm25.options.depth: 101 exceeds the depth 100 of bm25"),
    ("pools.bm25.depth", 90, "samplers.crossencoder.pools: score 90 documents of bm25, and options.depth is 100"),
    (
        "samplers.bm25.options.pool",
        6,
        "samplers.bm25.options.pool: leaves 6 documents to draw 7 negatives of a group from",
    ),
    ("samplers.crossencoder.options.pool", 6, "samplers.crossencoder.options.pool: leaves 6 documents"),
    (
        "samplers.dense.options",
        {"depth": 100, "skip": 94, "pool": 6},
        "samplers.dense.options.pool: leaves 6 documents",
    ),
    ("samplers.ensemble.options.per_system", 1, "samplers.ensemble.options.per_system: leaves 4 documents"),
    (
        "samplers.ensemble.options",
        {"depth": 15, "per_system": 3, "margin": 0.5, "systems": ["bm25", "qld"]},
        "samplers.ensemble.options.per_system: leaves 6 documents to draw 7",
    ),
    ("samplers.near-100.options.pool", 6, "samplers.near-100.options.pool: leaves 6 documents"),
    (
        "samplers.even",
        {"function": "stratified", "systems": ["bm25"], "pools": ["positives", "bm25"], "options": {"depth": 6}},
        "samplers.even.options.depth: leaves 6 documents to draw 7",
    ),
    (
        "samplers.nv",
        demo()["samplers"]["crossencoder"]
        | {"function": "positive_aware", "options": {"pool": 6, "depth": 100, "limit": "share", "value": 0.9}},
        "samplers.nv.options.pool: leaves 6 documents",
    ),
    ("training.negatives", 51, "samplers.bm25.options.pool: leaves 50 documents to draw 51 negatives"),
    ("samplers.crossencoder.pools", ["bm25"], "bm25 holds no pairs of positives, which stand before it; name them too"),
    ("samplers.ensemble.systems", ["bm25", "dense"], "samplers.ensemble.pools: score 0 documents of dense, and"),
    ("first_stage.depth", 101, "first_stage.depth: 101 exceeds the depth of system bm25"),
    ("lengths.document", 38, r"a pair of 8 \+ 38 \+ 3 special tokens exceeds the 48 positions of .* mini; .* to 49"),
    ("first_stage.depth", 7, "fit_range: a curve needs four of the first_stage.depth 7 ranks, and 3 lie in it"),
    ("analysis", {"figures": {"fit_range": [0, 0.03]}}, "first_stage.depth 100 ranks, and 3 lie in it; widen it"),
    ("collections.demo-mild.queries", 3, "collections.demo-mild.queries: 3 test queries are too few"),
    (
        "evaluation.retrieval.index",
        "IVF4096,Flat",
        "retrieval.index: IVF4096,Flat needs 4096 documents, more than demo",
    ),
    (
        "systems.dense.index",
        "IVF1,PQ4x14",
        "systems.dense.index: IVF1,PQ4x14 needs 16384 documents, more than demo has",
    ),
]


@pytest.mark.parametrize(("key", "value", "message"), FAULTS)
def test_a_number_that_does_not_fit_is_one_line(key: str, value: object, message: str) -> None:
    refused(DEV | {key: value}, message)


@pytest.mark.parametrize("key", ["systems.dense.encoder", "analysis"])
def test_a_backbone_that_only_embeds_holds_the_texts_too(key: str) -> None:
    small = demo({"backbones.mini.architecture.positions": 37})["backbones"]["mini"]
    value = {"locality": {"embedding": "small"}} if key == "analysis" else "small"
    refused({"backbones.small": small, key: value}, r"a text of 36 \+ 2 .* exceeds the 37 positions of backbone small")


def test_what_is_not_read_is_not_refused() -> None:
    # One set in two domains, and documents that only bi-encoders read.
    config = demo({"domains.more": [{"name": "x", "collections": ["demo"]}]})
    config["domains"]["most"] = [{"name": "x", "collections": ["demo"]}, "demo-mild"]
    config["backbones"]["other"] = config["backbones"]["mini"] | {"source": "google/large", "revision": "0" * 40}
    for entry in (config["students"]["ce"], *config["teachers"].values()):
        entry["backbone"] = "other"
    config["lengths"]["document"] = 46
    # A ranking that a sampler does not read need not be scored.
    config["samplers"]["crossencoder"]["systems"] = ["bm25", "qld"]
    config["samplers"]["crossencoder"]["options"]["system"] = "bm25"
    # A mixture draws as many near negatives as its share is, and random ones beside them.
    config["samplers"]["near-43"] = copy.deepcopy(config["samplers"]["near-0"])
    config["samplers"]["near-43"]["options"] |= {"share": 0.429, "pool": 3}
    assert Experiment(config).rankers
    refused(config | {"lengths.document": 47}, r"a text of 47 \+ 2 special tokens exceeds the 48 positions")
