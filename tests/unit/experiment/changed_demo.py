"""The demo's configuration with some keys changed, and its refusal."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from factories import shipped

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.storage.errors import InputError

DEMO = shipped("demo")
DEV = {"collections.dev": {"corpus": "demo", "source": "generated", "role": "dev", "seed": 7, "queries": 150}}
"""A change that adds development queries."""


def demo(changes: Mapping[str, object] = MappingProxyType({})) -> dict:
    """The demo's configuration with new values of some keys, written as ``training.documents``."""
    config = copy.deepcopy(DEMO)
    for place, new in changes.items():
        part = config
        *parents, last = place.split(".")
        for parent in parents:
            part = part[parent]
        part[last] = new
    return config


def refused(changes: Mapping[str, object], message: str) -> None:
    """The demo so changed is refused with one line, which has the pattern ``message`` after the word "config"."""
    with pytest.raises(InputError, match=f"^config: .*{message}") as raised:
        Experiment(demo(changes))
    assert "\n" not in str(raised.value)
