"""What the studies' tables compare: specs that follow from the experiment."""

from __future__ import annotations

from typing import Any

from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.studies import cut_sampler


def cuts_table(experiment: Experiment) -> dict[str, Any]:
    """Each cut's sampler of each sampler that is cut, what decides the cuts, and the axes of the uncut students."""
    study = experiment.config["studies"]["cuts"]
    return {
        "cuts": {cut: {name: cut_sampler(name, cut) for name in study["samplers"]} for cut in study["cuts"]},
        **{key: study[key] for key in ("fence", "at_least")},
        "sampling": [experiment.seeding[seed]["sampling"] for seed in experiment.studies["cuts"]["seeds"]],
        **experiment.studies["cuts"],
        "samplers": study["samplers"],
    }


def training_collections(experiment: Experiment) -> list[str]:
    """Training collections that the study of them compares."""
    return unique(map(experiment.training_collection_of, experiment.studies["collections"]["samplers"]))


def training_collections_table(experiment: Experiment) -> dict[str, Any]:
    """What each sampler and each trained teacher is trained on, and which test collections share a corpus with it."""
    study, entry = experiment.studies["collections"], experiment.entry
    drawn = {name: experiment.training_collection_of(name) for name in study["samplers"]}
    trained = [name for name in study["teachers"] if entry("teachers", name)["trained"]]
    return {
        "trained_on": {
            name: {"collection": collection, "function": entry("samplers", name)["function"]}
            for name, collection in drawn.items()
        },
        "training_collections": training_collections(experiment),
        "shared": {name: experiment.sharing_corpus(name) for name in training_collections(experiment)},
        "teacher_collections": {
            name: experiment.training_collection_of(entry("teachers", name)["sampler"]) for name in trained
        },
        **study,
    }
