"""The claims that an experiment is judged by, and what it has for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.experiment.config.claims import read_claims
from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.grid_point import AXES, GridPoint, points
from workflow_scripts.experiment.references import collections_of
from workflow_scripts.experiment.studies import dial
from workflow_scripts.experiment.study_tables import cuts_table
from workflow_scripts.storage.errors import InputError


def claims_table(experiment: Experiment, shipped: Path) -> dict[str, Any]:
    """What the claims table is made by: claims, the shipped file's first, and the experiment's cells and studies.

    Raises :class:`InputError` where one of the experiment's own claims has a shipped one's id.
    """
    config, grid = experiment.config, experiment.grid
    claims = read_claims(yaml.safe_load(shipped.read_text(encoding="utf-8")), str(shipped))
    for name in config["claims"]:
        if name in claims:
            raise InputError(f"config: claims.{name}: this name is taken by a claim of {shipped.name}; choose another")
    corpus = set(experiment.sharing_corpus(config["training"]["collection"]))
    reads = {name: config["losses"][name]["reads_teacher"] for name in grid["losses"]}
    return {
        **{axis: grid[axis] for axis in AXES},
        "claims": claims | config["claims"],
        "distilling": [name for name, teacher in reads.items() if teacher],
        "contrastive": [name for name, teacher in reads.items() if not teacher],
        "hard": [name for name in grid["samplers"] if config["samplers"][name]["function"] != "random"],
        "in_domain": [
            name for name, members in config["domains"].items() if corpus.issuperset(collections_of(members))
        ],
        "controls": experiment.control_cells,
        "warmup": config["training"]["warmup"],
        "cuts": cuts_table(experiment) if "cuts" in config["studies"] else None,
        "factorial": _factorial(experiment) if "factorial" in config["studies"] else None,
    }


def _factorial(experiment: Experiment) -> dict[str, Any]:
    margin = experiment.config["studies"]["factorial"]["interaction_margin"]
    levels = dial(experiment.config, "samplers")
    return {**experiment.studies["factorial"], "interaction_margin": margin, "locality": levels}


def judged_trainings(experiment: Experiment) -> list[GridPoint]:
    """Places of the main grid and the factorial, whose trainings' gradients and losses claims speak of."""
    axes = [grid for name, grid in {"": experiment.grid, **experiment.studies}.items() if name in ("", "factorial")]
    return unique(point for each in axes for point in points(each))
