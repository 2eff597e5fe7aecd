"""Encoders of dense systems: cells that exist, and none that needs its own rankings."""

from __future__ import annotations

import pytest
from changed_demo import demo, refused

from workflow_scripts.experiment.experiment import Experiment

DENSE = {"model": "dense", "encoder": "be/kl.bm25.base/seed0", "depth": 100}
DEEP = {"systems": ["dense"], "depth": 50}
DRAW = {"pool": 50, "depth": 100}
FAULTS = [
    ("systems.dense.encoder", "ce/lce.bm25.none/seed0", "systems.dense.encoder: ce is no bi-encoder"),
    ("systems.dense.encoder", "minilm", "systems.dense.encoder: 'minilm' is no backbone and no cell"),
    ("systems.dense.encoder", "be/lce.bm25.none/seed1", "; the nearest cell of a bi-encoder is be/lce.bm25.none/seed0"),
    ("systems.dense.encoder", "be/kl.bm25.weak/seed0", "'be/kl.bm25.weak/seed0' is no backbone and no cell"),
    ("students.be.architecture", "cross-encoder", "systems.dense.encoder: be is no bi-encoder; name a backbone"),
    ("pools.positives.known", ["positives"], "pools.positives.known: pools.positives needs pools.positives, a depend"),
    ("pools.positives.known", ["dense"], "a dependency cycle; drop one of them"),
]


@pytest.mark.parametrize(("key", "value", "message"), FAULTS)
def test_a_faulty_encoder_or_pool_is_one_line(key: str, value: object, message: str) -> None:
    refused({key: value}, message)


@pytest.mark.parametrize(
    ("encoder", "changes", "cycle"),
    [
        ("be/lce.dense.none/seed0", {}, "samplers.dense"),
        # Labels are looked up in the sampler's pools.
        ("be/kl.bm25.base/seed0", {"samplers.bm25.pools": ["positives", "dense"]}, "pools.dense"),
        ("be/kl.bm25.base/seed0", {"pools.bm25.known": ["deep"], "pools.deep": DEEP}, "pools.bm25 pools.deep"),
        # No label is read, but the sampler draws by a teacher's scores of its pools.
        ("be/lce.ensemble.base/seed0", {"pools.ensemble.systems": ["dense"]}, "samplers.ensemble pools.ensemble"),
        ("be/kl.random.base/seed0", {"teachers.base.sampler": "dense"}, "teachers.base samplers.dense"),
        ("be/lce.crossencoder.base/seed0", {"teachers.base.sampler": "dense"}, "teachers.base samplers.dense"),
        (
            # Groups of a cut depend on labels whatever the loss.
            "be/lce.random-outliers.weak/seed0",
            {
                "studies.cuts": {"students": ["be"], "losses": ["lce"], "samplers": ["random"], "teachers": ["weak"]},
                "teachers.weak.sampler": "dense",
            },
            "teachers.weak samplers.dense",
        ),
        (
            # Two that need each other.
            "be/lce.mutual.none/seed0",
            {
                "systems.other": DENSE | {"encoder": "be/lce.dense.none/seed0"},
                "samplers.mutual": {"function": "dense", "systems": ["other"], "options": DRAW},
            },
            "samplers.mutual systems.other be/lce.dense.none/seed0 samplers.dense",
        ),
    ],
)
def test_an_encoder_that_needs_its_own_rankings_is_one_line(encoder: str, changes: dict, cycle: str) -> None:
    needs = " needs ".join(["systems.dense", encoder, *cycle.split(), "systems.dense"])
    message = f"systems.dense.encoder: {needs}, a dependency cycle; name another cell, or a backbone"
    refused({"systems.dense.encoder": encoder, **changes}, message)


def test_an_encoder_may_have_pools_that_its_training_does_not_read() -> None:
    # Contrastive, and its sampler reads no teacher: the scores of its pools wait for it, not it for them.
    assert Experiment(demo({"samplers.bm25.pools": ["positives", "bm25", "dense"]})).rankers
    # A teacher that is not trained waits for no sampler; a chain of encoders is no cycle.
    chain = DENSE | {"encoder": "be/lce.dense.none/seed0"}
    sampler = {"function": "dense", "systems": ["chain"], "options": DRAW}
    assert Experiment(demo({"systems.chain": chain, "samplers.chain": sampler})).rankers
    ready = {"source": "cross-encoder/ms-marco-MiniLM-L6-v2", "revision": "0" * 40, "vocabulary": "bert"}
    teacher = {"backbone": "ready", "trained": False}
    assert Experiment(demo({"backbones.ready": ready, "teachers.base": teacher})).rankers


def test_what_is_filled_in_closes_no_cycle() -> None:
    # A pool after that of the dense ranking, whose labels the encoder's training reads, does not wait for it.
    first = {"dense": DEEP, **demo()["pools"]}
    assert Experiment(demo({"systems.dense.encoder": "be/kl.bm25.base/seed0", "pools": first})).rankers
