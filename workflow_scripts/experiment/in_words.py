"""What a reader who does not know an experiment's names needs of its config: kinds, functions and sources in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflow_scripts.experiment.functions import read_function

if TYPE_CHECKING:
    from workflow_scripts.experiment.experiment import Experiment


def kinds(experiment: Experiment) -> dict[str, dict[str, str]]:
    """Of each student of the main grid its architecture, of each loss and sampler its function, by axis and name."""
    keys = {"students": "architecture", "losses": "function", "samplers": "function"}
    return {
        axis: {name: experiment.entry(axis, name)[key] for name in experiment.grid[axis]} for axis, key in keys.items()
    }


def in_words(of: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """:func:`kinds` for a reader: an architecture's name, and of a function the first line of its docstring.

    ``teaching``: the losses that read the teacher. Read where the page is written and not in the plan, so that a
    docstring that changes reruns nothing.
    """
    functions = {
        axis: {name: read_function(axis, function).summary for name, function in of[axis].items()}
        for axis in ("losses", "samplers")
    }
    teaching = [name for name, file in of["losses"].items() if read_function("losses", file).needs["NEEDS_TEACHER"]]
    return {"students": dict(of["students"]), **functions, "teaching": teaching}


def models(experiment: Experiment) -> dict[str, str]:
    """Of each student the encoder that it starts from: its name, or of one that is trained here its size."""
    found = {}
    for name in experiment.grid["students"]:
        backbone = experiment.entry("backbones", experiment.entry("students", name)["backbone"])
        size = backbone.get("architecture")
        found[name] = (
            f"an encoder of {size['layers']} layers of width {size['hidden']} that was pretrained here"
            if backbone["source"] == "scratch" and size
            else backbone["source"]
        )
    return found


def first_stage_in_words(experiment: Experiment) -> str:
    """BM25, or the name of the system whose rankings are re-ranked."""
    system = experiment.config["first_stage"]["system"]
    return "BM25" if experiment.entry("systems", system)["model"] == "bm25" else system


def generated_collections(experiment: Experiment) -> list[str]:
    """The test collections whose documents are of the generated language."""
    corpora = {name: experiment.entry("collections", name)["corpus"] for name in experiment.test_collections}
    return [name for name, corpus in corpora.items() if experiment.entry("corpora", corpus)["source"] == "generated"]
