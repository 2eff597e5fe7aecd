"""An experiment: its configuration, checked and completed, and the rankers and cells it consists of."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import yaml

from workflow_scripts.planning.code import ROOT
from workflow_scripts.storage.artifacts import InputError

SCHEMA = ROOT / "config" / "schema.yaml"


@dataclass(frozen=True)
class Ranker:
    """One trained student: a point of the grid."""

    student: str
    loss: str
    sampler: str
    teacher: str
    seed: int

    @property
    def path(self) -> str:
        """Its folder below ``students/``, ``runs/`` and ``metrics/``."""
        return f"{self.student}/{self.loss}.{self.sampler}.{self.teacher}/seed{self.seed}"

    @property
    def cell(self) -> str:
        """Its name in ``cells/``, before the domain."""
        return f"{self.student}.{self.loss}.{self.sampler}.{self.teacher}.seed{self.seed}"


class Experiment:
    """A validated experiment; ``config`` holds every default filled in.

    Raises :class:`InputError`, one line that names the key, for whatever the schema or a cross-reference refuses.
    """

    def __init__(self, config: Mapping) -> None:
        self.config = copy.deepcopy(dict(config))
        schema = yaml.safe_load(SCHEMA.read_text())
        check_schema(self.config, schema)
        _fill_defaults(self.config, schema, schema)
        for problem in _problems(self.config):
            raise InputError(f"config: {problem}")
        axes = [self.config[axis] for axis in ("students", "losses", "samplers", "teachers", "seeds")]
        self.rankers = {ranker.path: ranker for ranker in itertools.starmap(Ranker, itertools.product(*axes))}
        self.cells = {ranker.cell: ranker for ranker in self.rankers.values()}

    @property
    def name(self) -> str:
        """The slug that names ``results/{experiment}``."""
        return self.config["experiment"]

    @property
    def evaluated(self) -> list[str]:
        """Test collections of all domains, each once, in the order of the config."""
        return list(dict.fromkeys(itertools.chain(*map(_collections, self.config["domains"].values()))))

    def entry(self, axis: str, name: str) -> dict:
        """The entry ``name`` of an axis such as ``samplers``; :class:`InputError` naming the valid ones."""
        if name not in self.config[axis]:
            raise InputError(f"no {name!r} among the {axis} of {self.name}: it has {', '.join(self.config[axis])}")
        return self.config[axis][name]

    def ranker(self, name: str) -> Ranker:
        """A ranker by its path or its cell; :class:`InputError` naming the values of every axis."""
        try:
            return self.rankers.get(name) or self.cells[name]
        except KeyError:
            axes = {axis: self.config[axis] for axis in ("students", "losses", "samplers", "teachers", "seeds")}
            valid = "; ".join(f"{axis} {', '.join(map(str, values))}" for axis, values in axes.items())
            raise InputError(f"no cell {name!r} in {self.name}: it has {valid}") from None

    def label(self, sampler: str, teacher: str) -> str:
        """Folder of a sampler's groups: the teacher is part of it only where the sampler reads its scores."""
        return f"{sampler}.{teacher}" if self.entry("samplers", sampler)["reads_teacher"] else sampler

    def vocabulary_backbone(self, vocabulary: str) -> str:
        """The first backbone of a vocabulary: its tokenizer makes the token stores that all of them share."""
        return next(name for name, backbone in self.config["backbones"].items() if backbone["vocabulary"] == vocabulary)


def check_schema(config: Mapping, schema: Mapping) -> None:
    """Raise :class:`InputError` for the deepest violation of the schema, naming the key and what it allows."""
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(config), key=lambda error: len(error.absolute_path))
    if error is None:
        return
    where = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known))
        raise InputError(f"config: {where}: unknown key {', '.join(map(repr, unknown))}; known are {', '.join(known)}")
    raise InputError(f"config: {where}: {error.message}")


def _fill_defaults(value: dict, schema: Mapping, root: Mapping) -> None:
    """Fill ``default`` of the schema into ``value``, at every level, in place."""
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rsplit("/", 1)[1]], **schema}
    for key, part in schema.get("properties", {}).items():
        if key not in value and "default" in part:
            value[key] = copy.deepcopy(part["default"])
        if isinstance(value.get(key), dict):
            _fill_defaults(value[key], part, root)
    if isinstance(schema.get("additionalProperties"), dict):
        for item in value.values():
            if isinstance(item, dict):
                _fill_defaults(item, schema["additionalProperties"], root)


def _collections(members: list) -> list[str]:
    """Collections of a domain, those of its sets among them."""
    nested = [member["collections"] if isinstance(member, dict) else [member] for member in members]
    return list(itertools.chain(*nested))


def _problems(config: Mapping) -> Iterator[str]:
    """Cross-references that a schema cannot check, each as one line."""
    yield from _dangling(config)
    yield from _missing_files(config)
    train, training = config["collections"].get(config["training"]["collection"]), config["training"]
    if train and train["role"] != "train":
        yield f"training.collection: {training['collection']} has role {train['role']}; it needs role train"
    for domain, members in config["domains"].items():
        for name in _collections(members):
            if name in config["collections"] and config["collections"][name]["role"] != "test":
                yield f"domains.{domain}: {name} is a training collection; a domain has test collections"
    first_stage, systems = config["first_stage"], config["systems"]
    if first_stage["system"] in systems and first_stage["depth"] > systems[first_stage["system"]]["depth"]:
        yield f"first_stage.depth: {first_stage['depth']} exceeds the depth of system {first_stage['system']}"
    yield from _pool_problems(config)
    step = training["batch_groups"] * (1 + training["negatives"]) * training["gradient_accumulation"]
    budgets = {"training": training["documents"]}
    budgets |= {f"teachers.{name}": teacher.get("documents", step) for name, teacher in config["teachers"].items()}
    for where, documents in budgets.items():
        if documents % step:
            nearest = max(documents // step, 1) * step
            yield f"{where}.documents: {documents} is no multiple of a step's {step} documents; {nearest} is"


def _pool_problems(config: Mapping) -> Iterator[str]:
    systems = config["systems"]
    for name, pool in config["pools"].items():
        for system in pool["systems"]:
            if system in systems and systems[system]["depth"] < pool["depth"]:
                yield f"pools.{name}.depth: {pool['depth']} exceeds the depth {systems[system]['depth']} of {system}"
    for kind in ("samplers", "losses"):
        folder = ROOT / "workflow_scripts" / "ranking" / kind
        known = sorted(path.stem for path in folder.glob("[!_]*.py"))
        for name, entry in config[kind].items():
            if entry["function"] not in known:
                yield f"{kind}.{name}.function: no {entry['function']!r}; there are {', '.join(known)}"
    for name, teacher in config["teachers"].items():
        if teacher["trained"] and teacher["sampler"] in config["samplers"]:
            if config["samplers"][teacher["sampler"]]["reads_teacher"]:
                yield f"teachers.{name}.sampler: {teacher['sampler']} itself reads a teacher; choose one that does not"
            if teacher["loss"] in config["losses"] and config["losses"][teacher["loss"]]["reads_teacher"]:
                yield f"teachers.{name}.loss: {teacher['loss']} itself reads a teacher; choose one that does not"


def _references(config: Mapping) -> Iterator[tuple[str, str, list[str]]]:
    """(where, axis, ids) of every reference from one part of the config to another."""
    yield "training.collection", "collections", [config["training"]["collection"]]
    yield "first_stage.system", "systems", [config["first_stage"]["system"]]
    yield "first_stage.check", "systems", config["first_stage"]["check"]
    yield "evaluation.more_measures", "collections", list(config["evaluation"]["more_measures"])
    for domain, members in config["domains"].items():
        yield f"domains.{domain}", "collections", _collections(members)
    for name, entry in config["collections"].items():
        yield f"collections.{name}.corpus", "corpora", [entry["corpus"]]
    for name, entry in config["backbones"].items():
        yield f"backbones.{name}.corpora", "corpora", entry.get("corpora", [])
    for name, entry in config["students"].items():
        yield f"students.{name}.backbone", "backbones", [entry["backbone"]]
    for name, entry in config["teachers"].items():
        yield f"teachers.{name}.backbone", "backbones", [entry["backbone"]]
        if entry["trained"]:
            yield f"teachers.{name}.sampler", "samplers", [entry["sampler"]]
            yield f"teachers.{name}.loss", "losses", [entry["loss"]]
    for name, entry in config["pools"].items():
        yield f"pools.{name}.systems", "systems", entry["systems"]
        yield f"pools.{name}.known", "pools", entry["known"]
    for name, entry in config["samplers"].items():
        yield f"samplers.{name}.systems", "systems", entry["systems"]
        yield f"samplers.{name}.pools", "pools", entry["pools"]


def _dangling(config: Mapping) -> Iterator[str]:
    for where, axis, names in _references(config):
        for name in names:
            if name not in config[axis]:
                yield f"{where}: no {name!r} among the {axis}: there are {', '.join(config[axis])}"


def _missing_files(config: Mapping) -> Iterator[str]:
    named = [(f"corpora.{name}.documents", entry.get("documents")) for name, entry in config["corpora"].items()]
    for name, entry in config["collections"].items():
        named += [(f"collections.{name}.{key}", entry.get(key)) for key in ("queries", "qrels")]
    for where, path in named:
        if isinstance(path, str) and not Path(path).is_file():
            yield f"{where}: no file {path}; give its path from the project's root or an absolute one"
    for name, backbone in config["backbones"].items():
        source = backbone["source"]
        if source.startswith((".", "/")) and not Path(source).is_dir():
            yield f"backbones.{name}.source: no folder {source}; give a local model folder, a hub id or scratch"
