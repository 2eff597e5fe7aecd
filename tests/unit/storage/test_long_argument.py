"""A spec that is longer than Linux takes in one argument reaches its job."""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys

import pytest

from workflow_scripts.experiment.rule_parameters import job
from workflow_scripts.storage import command
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.long_argument import MOST, packed, unpacked

PRINT_SPEC = (
    "import sys; from workflow_scripts.storage import command; print(len(command._json_object(sys.argv[1])['rankers']))"
)


def test_a_spec_of_the_risk_table_with_forty_seeds_is_given_whole() -> None:
    axes = (["be", "ce"], ["kl", "lce", "marginmse"], [f"sampler-{n}" for n in range(12)], ["base", "none"], range(40))
    rankers = [list(keys) for keys in itertools.product(*axes)]
    given = job("locality.make_risk_table", rankers=rankers)["spec"](None)
    assert len(json.dumps(rankers, separators=(",", ":"))) > MOST >= len(given)
    assert command._json_object(given) == {"rankers": rankers}
    done = subprocess.run([sys.executable, "-c", PRINT_SPEC, given], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(rankers)
    # What is short stays as it is: nothing is planned again.
    assert job("locality.make_risk_table", rankers=rankers[:9])["spec"](None).startswith('{"rankers":[["be","kl",')


def test_what_cannot_be_packed_is_refused_and_so_is_what_nobody_packed() -> None:
    noise = random.Random(0).randbytes(3 * MOST).hex()
    with pytest.raises(InputError, match="are more than a job can be given: take fewer seeds or cells"):
        packed(noise)
    at_most = "a" * MOST
    assert packed(at_most) == at_most and unpacked(packed(at_most + "a")) == at_most + "a"
    for text in ("zlib:", "zlib:%%", "zlib:AAAA", "{"):
        with pytest.raises(argparse.ArgumentTypeError, match="not JSON"):
            command._json_object(text)
