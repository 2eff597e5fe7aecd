"""References from one part of a configuration to another, and to files: whatever is named must exist."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from workflow_scripts.experiment.addresses import file_of
from workflow_scripts.experiment.backbone_source import local_files, local_folder
from workflow_scripts.experiment.grid_point import AXES
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.results import results_folder


def collections_of(members: list) -> list[str]:
    """Collections of a domain, those of its sets among them."""
    nested = [member["collections"] if isinstance(member, dict) else [member] for member in members]
    return list(itertools.chain(*nested))


def tested(config: Mapping) -> list[str]:
    """Test collections of all domains, each as often as domains have it."""
    return list(itertools.chain(*map(collections_of, config["domains"].values())))


def drawn_for(config: Mapping, entry: Mapping) -> str:
    """The training collection whose queries a sampler draws for, or a pool has candidates of."""
    return entry["collection"] or config["training"]["collection"]


def ranked_by(config: Mapping, *systems: str) -> list[str]:
    """Names of the rankings that systems give: an imported one gives several."""
    return [name for system in systems for name in config["systems"][system].get("systems", [system])]


def reference_problems(config: Mapping) -> Iterator[str]:
    """Names of nothing and paths to nothing, as lines that name the key and the fix."""
    yield from _dangling(config)
    yield from _missing_files(config)
    yield from _reused(config)


def _references(config: Mapping) -> Iterator[tuple[str, str, list[str]]]:
    """(where, axis, ids) of every reference from one part of the config to another."""
    yield "training.collection", "collections", [config["training"]["collection"]]
    yield "first_stage.system", "systems", [config["first_stage"]["system"]]
    yield "first_stage.check", "systems", config["first_stage"]["check"]
    yield "evaluation.more_measures", "collections", list(config["evaluation"]["more_measures"])
    for name, members in config["evaluation"]["sets"].items():
        yield f"evaluation.sets.{name}", "collections", members
    for domain, members in config["domains"].items():
        yield f"domains.{domain}", "collections", collections_of(members)
    for name, entry in config["collections"].items():
        yield f"collections.{name}.corpus", "corpora", [entry["corpus"]]
    for name, entry in config["backbones"].items():
        yield f"backbones.{name}.corpora", "corpora", entry.get("corpora", [])
    for name, entry in config["students"].items():
        yield f"students.{name}.backbone", "backbones", [entry["backbone"]]
    for name, entry in config["teachers"].items():
        yield f"teachers.{name}.backbone", "backbones", [entry["backbone"]]
        yield f"teachers.{name}.calibrate", "pools", [entry["calibrate"]] if entry["calibrate"] else []
        if entry["trained"]:
            yield f"teachers.{name}.sampler", "samplers", [entry["sampler"]]
            yield f"teachers.{name}.loss", "losses", [entry["loss"]]
    for kind in ("pools", "samplers"):
        for name, entry in config[kind].items():
            yield f"{kind}.{name}.systems", "systems", entry["systems"]
            yield f"{kind}.{name}.collection", "collections", [entry["collection"]] if entry["collection"] else []
            key = "known" if kind == "pools" else "pools"
            yield f"{kind}.{name}.{key}", "pools", entry.get(key, [])
    for name, study in config["studies"].items():
        for axis in AXES[:-1]:
            yield f"studies.{name}.{axis}", axis, study[axis]
    yield "controls.samplers", "samplers", (config["controls"] or {}).get("samplers") or []
    retrieval = config["evaluation"]["retrieval"] or {"collections": None, "candidates": None}
    yield "evaluation.retrieval.collections", "collections", retrieval["collections"] or []
    yield "evaluation.retrieval.candidates", "systems", [retrieval["candidates"]] if retrieval["candidates"] else []


def _dangling(config: Mapping) -> Iterator[str]:
    for where, axis, names in _references(config):
        for name in names:
            if name not in config[axis]:
                yield f"{where}: no {name!r} among the {axis}: there are {', '.join(config[axis])}"


def _missing_files(config: Mapping) -> Iterator[str]:
    named = [(f"corpora.{name}.documents", entry.get("documents")) for name, entry in config["corpora"].items()]
    for name, entry in config["collections"].items():
        named += [(f"collections.{name}.{key}", entry.get(key)) for key in ("queries", "qrels")]
    for name, entry in config["systems"].items():
        if entry["model"] == "import":
            named.append((f"systems.{name}.url", file_of(entry["url"])))
    for where, path in named:
        if isinstance(path, str) and not Path(path).is_file():
            yield f"{where}: no file {path}; give its path from the working directory or an absolute one"
    for name, backbone in config["backbones"].items():
        try:
            named += [(f"backbones.{name}.source", path) for path in local_files(backbone["source"])]
            revision, source = backbone.get("revision") or "", backbone["source"]
            if local_folder(source) and revision:
                yield f"backbones.{name}.revision: {source} is a folder; leave the revision out, or null"
            if not local_folder(source) and source != "scratch" and not re.fullmatch("[0-9a-f]{40}", revision):
                yield (
                    f"backbones.{name}.revision: the source {source} is of the model hub; pin the commit that is "
                    "loaded, 40 digits in the history of its files: a branch or tag may move"
                )
        except InputError as error:
            yield f"backbones.{name}.source: {error}"
    for where, path in named:
        if isinstance(path, str) and {"{", "}"} & set(path):
            yield f"{where}: Snakemake would read the braces of {path!r} as a wildcard; rename the file or its folder"


def _reused(config: Mapping) -> Iterator[str]:
    for given in config["reuse"]:
        try:
            if results_folder(given).resolve() == Path("results", config["experiment"]).resolve():
                yield f"reuse: {given} is where this experiment's own results lie; leave it out"
        except InputError as error:
            yield f"reuse: {error}"
