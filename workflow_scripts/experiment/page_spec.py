"""What the page is told of an experiment, for readers who do not know its names.

Apart from :mod:`workflow_scripts.experiment.in_words`, which the page's job imports: a check of the settings that
changes makes no page again.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.studies import budget


def page_spec(experiment: Experiment, configfiles: Sequence[str]) -> dict[str, Any]:
    """Of the page's spec what follows from the experiment and the files that it was read from.

    ``first_stage``: BM25, or the name of the system whose rankings are re-ranked; ``kinds``: of each student of the
    main grid its architecture, of each loss and sampler its function; ``models``: of each student the encoder that it
    starts from; ``documents``: of each student its budget; ``generated``: the test collections whose documents are of
    the generated language; ``make``: what ``make`` is told of the experiment.
    """
    entry, grid = experiment.entry, experiment.grid
    system = experiment.config["first_stage"]["system"]
    keys = {"students": "architecture", "losses": "function", "samplers": "function"}
    backbones = {name: entry("backbones", entry("students", name)["backbone"]) for name in grid["students"]}
    corpora = {name: entry("collections", name)["corpus"] for name in experiment.test_collections}
    return {
        "experiment": experiment.name,
        "first_stage": "BM25" if entry("systems", system)["model"] == "bm25" else system,
        "kinds": {axis: {name: entry(axis, name)[key] for name in grid[axis]} for axis, key in keys.items()},
        "models": {name: _model(backbone) for name, backbone in backbones.items()},
        "documents": {name: budget(experiment.config, name) for name in grid["students"]},
        "generated": [name for name, corpus in corpora.items() if entry("corpora", corpus)["source"] == "generated"],
        "make": make_options(experiment.name, configfiles),
    }


def make_options(experiment: str, configfiles: Sequence[str]) -> str:
    """What ``make`` is told of an experiment: its name, and its files where these are not its name's alone."""
    files = "" if list(configfiles) == [f"config/{experiment}.yaml"] else " ".join(configfiles)
    return f"EXPERIMENT={experiment}" + (f" CONFIGS={shlex.quote(files)}" if files else "")


def _model(backbone: Mapping) -> str:
    """A backbone's name, or of one that is trained here its size."""
    size = backbone.get("architecture")
    if backbone["source"] != "scratch" or not size:
        return backbone["source"]
    return f"an encoder of {size['layers']} layers of width {size['hidden']} that was pretrained here"
