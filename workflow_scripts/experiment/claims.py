"""Names in an experiment's own claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from workflow_scripts.analysis.cut_names import CUTS
from workflow_scripts.experiment.grid_point import in_grid

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "cells": {
        "losses": ("distilling", "contrastive"),
        "samplers": ("hard",),
        "cuts": CUTS,
        "domains": ("in-domain", "out-of-domain"),
    },
    "groups": {"samplers": ("each-hard",)},
}
"""Names in the claims of a test that stand for others, or for no entry of the config, by axis."""


def claim_problems(config: Mapping) -> Iterator[str]:
    """Names in the experiment's own claims that are of nothing; the shipped ones say so in their row."""
    for name, claim in config["claims"].items():
        for number, part in enumerate(claim.get("parts", [])):
            if "cuts" in part and "samplers" in part:
                yield f"claims.{name}.parts.{number}.samplers: of cuts it is all of the study's together; leave it out"
            for axis, words in WORDS.get(claim["test"], {}).items():
                there = [*words, *_entries(config, claim["test"], part, axis)]
                for entry in part.get(axis, {}):
                    if entry not in there:
                        where = f"claims.{name}.parts.{number}.{axis}"
                        yield f"{where}: no {entry!r} among the {axis} of such claims: there are {', '.join(there)}"


def _entries(config: Mapping, test: str, part: Mapping, axis: str) -> Iterable[str]:
    """Names of an axis that a part may speak of: cells are those of the main grid, or of the study of cuts."""
    if test == "groups" or axis in ("cuts", "domains"):
        return config.get(axis, ())
    study = config["studies"].get("cuts") if "cuts" in part else None
    return study[axis] if study else in_grid(config, axis)
