"""What a reader who does not know an experiment's names needs of its config: kinds, functions and sources in words."""

from __future__ import annotations

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.functions import read_function


def in_words(experiment: Experiment) -> dict[str, dict[str, str]]:
    """Of each student, loss and sampler of the main grid, by axis and name: what it is."""
    entry, grid = experiment.entry, experiment.grid
    functions = {
        axis: {name: read_function(axis, entry(axis, name)["function"]).summary for name in grid[axis]}
        for axis in ("losses", "samplers")
    }
    return {"students": {name: entry("students", name)["architecture"] for name in grid["students"]}, **functions}


def first_stage_in_words(experiment: Experiment) -> str:
    """BM25, or the name of the system whose rankings are re-ranked."""
    system = experiment.config["first_stage"]["system"]
    return "BM25" if experiment.entry("systems", system)["model"] == "bm25" else system


def generated_collections(experiment: Experiment) -> list[str]:
    """The test collections whose documents are of the generated language."""
    corpora = {name: experiment.entry("collections", name)["corpus"] for name in experiment.test_collections}
    return [name for name, corpus in corpora.items() if experiment.entry("corpora", corpus)["source"] == "generated"]
