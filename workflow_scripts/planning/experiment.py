"""An experiment: its configuration, checked and completed, and the rankers and cells it consists of."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import jsonschema
import yaml

from workflow_scripts.planning.checks import collections_of, problems
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
        for problem in problems(self.config):
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
        return list(dict.fromkeys(itertools.chain(*map(collections_of, self.config["domains"].values()))))

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
