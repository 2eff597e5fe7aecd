"""Claims of one's own: the form of the shipped ones, and names that must exist."""

from __future__ import annotations

import pytest
from changed_demo import demo, refused
from project import ROOT

from workflow_scripts.experiment.claims_table import claims_table
from workflow_scripts.experiment.config.claims import read_claims
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.storage.errors import InputError

PART = {"samplers": {"dense": 1, "bm25": -1}, "shown": "above 0"}


def own(part: dict) -> dict:
    return {"claims": {"ours": {"sentence": "Dense beats BM25.", "source": "us", "test": "cells", "parts": [part]}}}


def test_own_claims_are_of_the_same_form() -> None:
    claim = Experiment(demo(own(PART))).config["claims"]["ours"]
    assert claim["parts"] == [{**PART, "cheaper": False, "contradicts": True}]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {**PART, "samplers": {"denze": 1}},
            "parts.0.samplers: no 'denze' among the samplers of such claims: there are h",
        ),
        ({**PART, "samplers": {"each-hard": 1, "random": -1}}, "claims.ours.parts.0.samplers: no 'each-hard' among"),
        ({**PART, "samplers": {"near-0": 1, "random": -1}}, "claims.ours.parts.0.samplers: no 'near-0' among"),
        ({**PART, "losses": {"kl-flat": 1}}, "claims.ours.parts.0.losses: no 'kl-flat' among the losses of such"),
        ({**PART, "domains": {"nowhere": 1}}, "claims.ours.parts.0.domains: no 'nowhere' among the domains"),
        ({"cuts": {"middle": 1}, "shown": "above 0"}, "claims.ours.parts.0.cuts: no 'middle' among the cuts"),
        ({**PART, "cuts": {"below-median": 1}}, "claims.ours.parts.0.samplers: of cuts it is all .*; leave it out"),
        ({**PART, "shown": "up"}, "claims.ours.parts.0.shown: must be one of above 0, below 0"),
        ({**PART, "sampler": {}}, "claims.ours.parts.0: unknown key 'sampler'"),
    ],
)
def test_a_name_of_nothing_is_one_line(part: dict, message: str) -> None:
    refused(own(part), message)


def test_a_claim_may_name_what_its_test_has() -> None:
    of_groups = {"quantity": "entropy", "samplers": {"each-hard": 1, "near-0": -1}, "shown": "above 0"}
    ours = own(of_groups)["claims"]["ours"] | {"test": "groups"}
    assert Experiment(demo({"claims": {"ours": ours}})).config["claims"]["ours"]["parts"][0]["samplers"]["near-0"] == -1
    hard = ours | {"parts": [{**of_groups, "samplers": {"hard": 1, "random": -1}}]}
    refused(
        {"claims": {"ours": hard}}, "no 'hard' among the samplers of such claims: there are each-hard, random, bm25"
    )
    # Of cuts, losses and samplers are the study's: the demo's cuts are of marginmse alone.
    cuts = {"cuts": {"middle-quarter": 1, "lower-quartile": -1}, "shown": "above 0"}
    assert Experiment(demo(own({**cuts, "losses": {"marginmse": 1}}))).rankers
    refused(own({**cuts, "losses": {"kl": 1}}), "no 'kl' among the losses of such claims: there are .*, marginmse$")


def test_an_own_claim_replaces_no_shipped_one() -> None:
    shipped = ROOT / "config/claims.yaml"
    ours = own(PART)["claims"]["ours"]
    found = claims_table(Experiment(demo({"claims": {"c9": ours}})), shipped)["claims"]
    assert list(found)[-2:] == ["c8", "c9"] and found["c9"]["source"] == "us"
    with pytest.raises(
        InputError, match=r"^config: claims.c1: this name is taken by a claim of claims.yaml; choose"
    ) as one:
        claims_table(Experiment(demo({"claims": {"c1": ours}})), shipped)
    assert "\n" not in str(one.value)


def test_a_fault_of_the_shipped_file_names_it() -> None:
    with pytest.raises(InputError, match=r"^claims.yaml: claims.x: test is missing"):
        read_claims({"claims": {"x": {"sentence": "a", "source": "b"}}}, "claims.yaml")
