"""Claims of one's own: the form of the shipped ones, and names that must exist."""

from __future__ import annotations

import pytest
from changed_demo import demo, refused

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
        ({**PART, "samplers": {"denze": 1}}, "claims.ours.parts.0.samplers: no 'denze' among the samplers: there are "),
        ({**PART, "domains": {"nowhere": 1}}, "claims.ours.parts.0.domains: no 'nowhere' among the domains"),
        ({**PART, "cuts": {"middle": 1}}, "claims.ours.parts.0.cuts: no 'middle' among the cuts"),
        ({**PART, "shown": "up"}, "claims.ours.parts.0.shown: must be one of above 0, below 0"),
        ({**PART, "sampler": {}}, "claims.ours.parts.0: unknown key 'sampler'"),
    ],
)
def test_a_name_of_nothing_is_one_line(part: dict, message: str) -> None:
    refused(own(part), message)


def test_a_fault_of_the_shipped_file_names_it() -> None:
    with pytest.raises(InputError, match=r"^claims.yaml: claims.x: test is missing"):
        read_claims({"claims": {"x": {"sentence": "a", "source": "b"}}}, "claims.yaml")
