"""What an experiment asks of its backbones: how long a sequence they read, and what they do without being trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.backbone_source import local_folder
from workflow_scripts.models.model_folders import read_config
from workflow_scripts.storage.errors import InputError


def uses(config: Mapping) -> Iterator[tuple[str, str]]:
    """Each backbone with an architecture that it has somewhere, in a student, a teacher, a dense system or locality."""
    yield from ((student["backbone"], student["architecture"]) for student in config["students"].values())
    yield from ((teacher["backbone"], "cross-encoder") for teacher in config["teachers"].values())
    encoders = [system.get("encoder") for system in config["systems"].values()]
    encoders.append(config["analysis"]["locality"]["embedding"])
    yield from ((encoder, "bi-encoder") for encoder in encoders if encoder in config["backbones"])


def asked_of(config: Mapping, backbone: str) -> dict:
    """What a backbone that is fetched must be able to do, as its job's spec says it; each key only where it is asked.

    ``longest``: ``texts`` (2 for a pair) and the ``tokens`` of these at most, without special ones. ``ranks``: true, it
    is a teacher as it is. ``encodes``: ``pooling`` and ``similarity`` of each dense system that it is the encoder of.
    ``still``: true, it is trained without dropout.
    """
    asked: dict = {}
    query, document = config["lengths"]["query"], config["lengths"]["document"]
    architectures = {architecture for name, architecture in uses(config) if name == backbone}
    if "cross-encoder" in architectures:
        asked["longest"] = {"texts": 2, "tokens": query + document}
    elif architectures:
        asked["longest"] = {"texts": 1, "tokens": max(query, document)}
    if any(each["backbone"] == backbone and not each["trained"] for each in config["teachers"].values()):
        asked["ranks"] = True
    trained = {student["backbone"] for student in config["students"].values()}
    trained |= {teacher["backbone"] for teacher in config["teachers"].values() if teacher["trained"]}
    if config["training"]["dropout"] == 0 and backbone in trained:
        asked["still"] = True
    systems = [system for system in config["systems"].values() if system.get("encoder") == backbone]
    if systems:
        asked["encodes"] = [{key: system.get(key) for key in ("pooling", "similarity")} for system in systems]
    return asked


def position_problems(config: Mapping) -> Iterator[str]:
    """Sequences that a backbone made here, or in a local folder, could not hold; of another, fetching it tells."""
    query, document = config["lengths"]["query"], config["lengths"]["document"]
    sequences = {  # architecture: what it reads at most, special tokens included
        "cross-encoder": (f"a pair of {query} + {document} + 3 special tokens", query + document + 3),
        "bi-encoder": (f"a text of {max(query, document)} + 2 special tokens", max(query, document) + 2),
    }
    for name, architecture in uses(config):
        what, longest = sequences[architecture]
        try:
            room = _room(config["backbones"][name])
        except InputError as error:
            yield f"backbones.{name}.source: {error}"
            continue
        if room and longest > room:
            fix = (
                f"raise them to {longest}" if config["backbones"][name]["source"] == "scratch" else "lower the lengths"
            )
            yield f"lengths: {what} exceeds the {room} positions of backbone {name}; {fix}"


def _room(backbone: Mapping) -> int | None:
    """Positions of a backbone; None where they are not known yet."""
    if backbone["source"] == "scratch":
        return backbone["architecture"]["positions"]
    folder = local_folder(backbone["source"])
    positions = read_config(folder).get("max_position_embeddings") if folder else None
    return positions if isinstance(positions, int) and positions > 0 else None
