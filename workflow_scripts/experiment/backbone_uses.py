"""What an experiment asks of its backbones: how long a sequence they read, and what they do without being trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.backbone_source import local_folder
from workflow_scripts.models.model_folders import read_config
from workflow_scripts.models.tokenizer import TOKENIZER, Layout, read_tokenizer
from workflow_scripts.storage.errors import InputError

COUNT_FROM_PADDING = (
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)
"""Model types whose positions start behind the row of the padding token: 514 rows hold 512 tokens."""


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
    sequences = {  # architecture: what it reads at most, and its tokens
        "cross-encoder": (f"a pair of {query} + {document}", query + document),
        "bi-encoder": (f"a text of {max(query, document)}", max(query, document)),
    }
    for name, architecture in uses(config):
        (what, tokens), backbone = sequences[architecture], config["backbones"][name]
        try:
            room = _room(backbone)
        except InputError as error:
            yield f"backbones.{name}.source: {error}"
            continue
        special = 2 + (architecture == "cross-encoder")
        if special == 3 and room == tokens + 3:  # elsewhere a second separator decides nothing
            special = 2 + _separators(backbone)
        if room and tokens + special > room:
            fix = f"raise them to {tokens + special}" if backbone["source"] == "scratch" else "lower the lengths"
            yield (f"lengths: {what} + {special} special tokens exceeds the {room} positions of backbone {name}; {fix}")


def _room(backbone: Mapping) -> int | None:
    """Positions of a backbone; None where they are not known yet."""
    if backbone["source"] == "scratch":
        return backbone["architecture"]["positions"]
    folder = local_folder(backbone["source"])
    config = read_config(folder) if folder else {}
    rows, padding = config.get("max_position_embeddings"), config.get("pad_token_id", 1)
    if not isinstance(rows, int) or rows <= 0:
        return None
    if config["model_type"] in COUNT_FROM_PADDING and isinstance(padding, int) and 0 <= padding < rows - 1:
        return rows - padding - 1
    return rows


def _separators(backbone: Mapping) -> int:
    """Separators between the two texts of a pair; 1, the least, where they are not known yet."""
    folder = local_folder(backbone["source"])
    if folder is None or not (folder / TOKENIZER).is_file():
        return 1
    try:
        return Layout.of(read_tokenizer(folder), folder).separators
    except InputError:  # it is fetched with the tokenizer that the library makes of its files
        return 1


def head_problems(config: Mapping) -> Iterator[str]:
    """Teachers used as they are, whose backbone is made here or whose folder's configuration names another head."""
    for name, teacher in config["teachers"].items():
        source = config["backbones"][teacher["backbone"]]["source"]
        if source == "scratch" and not teacher["trained"]:
            yield f"teachers.{name}.trained: {teacher['backbone']} is made here and has no head; leave trained out"
        try:
            folder = None if teacher["trained"] else local_folder(source)
            described = read_config(folder) if folder else {}
        except InputError:
            continue  # position_problems says it
        saved = str((described.get("architectures") or ["ForSequenceClassification"])[0])
        labels = len(described.get("id2label") or [""])
        if not saved.endswith("ForSequenceClassification") or labels != 1:
            kind = saved + (f" of {labels} labels" if labels != 1 else "")
            yield (
                f"teachers.{name}.trained: {source} was saved as {kind}, not as a cross-encoder with one label; leave "
                "trained out, or choose another backbone"
            )
