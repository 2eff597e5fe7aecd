"""An experiment: its configuration, checked and completed, and the rankers and cells it consists of."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping

from workflow_scripts.analysis.cut_names import RANDOM
from workflow_scripts.experiment.addresses import file_of
from workflow_scripts.experiment.checks import problems
from workflow_scripts.experiment.config import read_settings
from workflow_scripts.experiment.controls import control_samplers, control_seeds
from workflow_scripts.experiment.cycles import cycle_problems
from workflow_scripts.experiment.depths import score_problems
from workflow_scripts.experiment.filled import fill_in
from workflow_scripts.experiment.grid_point import AXES, GridPoint, in_grid, points, trained_at
from workflow_scripts.experiment.references import collections_of, drawn_for, reference_problems, tested
from workflow_scripts.experiment.seeds import seeding
from workflow_scripts.experiment.studies import budgets_of, cut_samplers
from workflow_scripts.experiment.twins import twin_problems
from workflow_scripts.storage.errors import InputError

Drawn = tuple[str, str, int]
"""Sampler, teacher, sampling seed."""


class Experiment:
    """A validated experiment; ``config`` holds every default filled in.

    Raises :class:`InputError`, one line that names the key, for whatever a setting's description or a check refuses.
    """

    def __init__(self, config: Mapping) -> None:
        self.config = read_settings(config)
        for check in (reference_problems, fill_in, problems):
            _refuse(check(self.config))
        further = control_seeds(self.config)
        self.seeding = dict(map(seeding, [*self.config["seeds"], *further]))
        self.config["seeds"] = [seed for seed in self.seeding if seed not in further]
        add_cuts(self.config)
        add_budgets(self.config)
        self.grid = {axis: in_grid(self.config, axis) for axis in AXES}
        """The main grid: axis to its ids, in the order of the config."""
        self.studies = {name: self._axes_of(study) for name, study in self.config["studies"].items()}
        """Study to its axes, as ``grid``."""
        everywhere = itertools.chain(*map(points, [self.grid, *self.studies.values()]))
        self.points = {point: trained_at(point, self.config) for point in everywhere}
        """Every point of the main grid and the studies to the student that stands there."""
        samplers = control_samplers(self.config) if further else []
        controls = points({**self.grid, "samplers": samplers, "seeds": further})
        self.controls = {point: trained_at(point, self.config) for point in controls}
        """Every point of the main grid that is trained again with a further seed, as ``points``."""
        trained = self.points | self.controls
        self.rankers = {ranker.path: ranker for ranker in trained.values()}
        self.grid_rankers = {ranker.path: ranker for ranker in (self.points[point] for point in points(self.grid))}
        self.cells = {ranker.cell: ranker for ranker in self.rankers.values()}
        self._named = {name: ranker for point, ranker in trained.items() for name in (point.path, point.cell)}
        self._named |= self.rankers | self.cells
        dense = [(system, "encoder") for system in self.config["systems"].values()]
        for entry, key in (*dense, (self.config["analysis"]["locality"], "embedding")):
            if entry.get(key) in self._named:
                entry[key] = self._named[entry[key]].path
        _refuse(cycle_problems(self.config, self.rankers))
        _refuse(score_problems(self.config))
        _refuse(twin_problems(self.config, self.rankers, self.seeding))
        self.groups_ids = {
            self.groups_id(sampler, teacher): (sampler, teacher if options["reads_teacher"] else None)
            for sampler, options in self.config["samplers"].items()
            if "cut" not in options
            for teacher in self.config["teachers"]
        }
        """Folder of a sampler's groups to the sampler and the teacher, None where it reads no teacher's scores."""

    def _axes_of(self, study: Mapping) -> dict[str, list]:
        axes = {axis: list(study[axis]) for axis in AXES[:-1]}
        if "cuts" in study:
            axes["samplers"] = [name for name, *_ in cut_samplers(self.config)]
        if "multiples" in study:
            axes["students"] = [name for student in axes["students"] for name in budgets_of(self.config, student)]
        return {**axes, "seeds": list(study["seeds"] or self.config["seeds"])}

    @property
    def name(self) -> str:
        """The slug that names ``results/{experiment}``."""
        return self.config["experiment"]

    @property
    def test_collections(self) -> list[str]:
        """Test collections of all domains, each once, in the order of the config."""
        return unique(tested(self.config))

    @functools.cached_property
    def evaluation_sets(self) -> dict[str, list[str]]:
        """Evaluation set to its collections, by name: those that the config names, and of the rest one a domain.

        A set does not depend on the order of the config, nor one that is named on the domains.
        """
        sets = {name: sorted(members) for name, members in self.config["evaluation"]["sets"].items()}
        taken = set(itertools.chain(*sets.values()))
        for domain, members in self.config["domains"].items():
            rest = sorted(set(collections_of(members)) - taken)
            taken.update(rest)
            if rest:
                sets[domain] = rest
        return sets

    def sets_of(self, ranker: str) -> dict[str, list[str]]:
        """:attr:`evaluation_sets` of a ranker: below ``retrieved/`` with the collections that retrieval names alone."""
        retrieval = self.config["evaluation"]["retrieval"] if ranker.startswith("retrieved/") else None
        wanted = (retrieval and retrieval["collections"]) or itertools.chain(*self.evaluation_sets.values())
        kept = set(wanted)
        found = {name: [each for each in members if each in kept] for name, members in self.evaluation_sets.items()}
        return {name: members for name, members in found.items() if members}

    def collections_in(self, ranker: str, name: str) -> list[str]:
        """Collections of a ranker's evaluation set; :class:`InputError` naming its sets."""
        sets = self.sets_of(ranker)
        if name not in sets:
            raise InputError(f"no evaluation set {name!r} in {self.name}: it has {', '.join(sets)}")
        return sets[name]

    def domains_within(self, name: str) -> list[str]:
        """Domains all of whose collections are in an evaluation set."""
        own = self.evaluation_sets[name]
        return [domain for domain, members in self.config["domains"].items() if {*collections_of(members)} <= {*own}]

    def sets_behind(self, domain: str) -> list[str]:
        """Evaluation sets that hold some collection of a domain."""
        self.entry("domains", domain)
        wanted = set(collections_of(self.config["domains"][domain]))
        return [name for name, members in self.evaluation_sets.items() if wanted.intersection(members)]

    def entry(self, axis: str, name: str) -> dict:
        """The entry ``name`` of an axis such as ``samplers``; :class:`InputError` naming the valid ones."""
        if name not in self.config[axis]:
            raise InputError(f"no {name!r} among the {axis} of {self.name}: it has {', '.join(self.config[axis])}")
        return self.config[axis][name]

    def ranker(self, name: str) -> GridPoint:
        """A student by its own path or cell, or those of any point where it stands.

        Raises :class:`InputError` naming the values of every axis.
        """
        try:
            return self._named[name]
        except KeyError:
            valid = "; ".join(f"{axis} {', '.join(map(str, values))}" for axis, values in self.grid.items())
            studies = f", and those of the studies {', '.join(self.studies)}" if self.studies else ""
            raise InputError(f"no cell {name!r} in {self.name}: it has {valid}{studies}") from None

    def groups_id(self, sampler: str, teacher: str) -> str:
        """Folder of a sampler's groups: the teacher is part of it only where the sampler reads its scores.

        A cut has no groups of its own: its students are trained on some of those that it is of.
        """
        sampler = self.entry("samplers", sampler).get("cut", {}).get("of", sampler)
        return f"{sampler}.{teacher}" if self.entry("samplers", sampler)["reads_teacher"] else sampler

    def training_collection_of(self, sampler: str) -> str:
        """The training collection that a sampler draws for."""
        return drawn_for(self.config, self.entry("samplers", sampler))

    def sampler_of(self, groups_id: str) -> tuple[str, str | None]:
        """Sampler and teacher of groups by their id; :class:`InputError` naming the ids there are."""
        if groups_id not in self.groups_ids:
            raise InputError(f"no sampler {groups_id!r} in {self.name}: it has {', '.join(self.groups_ids)}")
        return self.groups_ids[groups_id]

    def pool_collection(self, pool: str) -> str:
        """The training collection whose candidates a pool holds."""
        return drawn_for(self.config, self.entry("pools", pool))

    @property
    def training_collections(self) -> list[str]:
        """What some student or teacher is trained on."""
        samplers = [ranker.sampler for ranker in self.rankers.values()]
        samplers += [each["sampler"] for each in self.config["teachers"].values() if each["trained"]]
        return unique(map(self.training_collection_of, samplers))

    def view(self, collection: str) -> str:
        """What a document is read as: queries made of titles must not find them in it."""
        return self.config["training"]["view"] if self.entry("collections", collection)["role"] == "train" else "full"

    def own_files(self, axis: str, name: str, *keys: str) -> list[str]:
        """The user's files that an entry names under ``keys``, at most one each: some keys may be a number."""
        entry = self.entry(axis, name)
        if "url" in keys:
            entry = entry | {"url": file_of(entry["url"])}
        named = [entry.get(key) for key in keys]
        return [path for path in named if isinstance(path, str)]

    def without_files(self, axis: str, name: str, *others: str) -> dict:
        """An entry without the user's files and without the keys ``others``."""
        files = [key for key in ("documents", "queries", "qrels") if self.own_files(axis, name, key)]
        return {key: value for key, value in self.entry(axis, name).items() if key not in (*files, *others)}

    def sharing_corpus(self, training: str) -> list[str]:
        """Test collections over the corpus of a training collection."""
        corpus = self.entry("collections", training)["corpus"]
        return [name for name in self.test_collections if self.entry("collections", name)["corpus"] == corpus]

    def groups_behind(self, axes: Mapping[str, list]) -> list[Drawn]:
        """What each of samplers x teachers x seeds is trained on, in that order: twice where two seeds share it."""
        drawn = itertools.product(axes["samplers"], axes["teachers"], axes["seeds"])
        return [(sampler, teacher, self.seeding[seed]["sampling"]) for sampler, teacher, seed in drawn]

    @property
    def uncut_groups(self) -> list[Drawn]:
        """Sampler, teacher and sampling seed behind each point of the main training collection, each once.

        Of whole sets of groups: cuts are parts.
        """
        collection, samplers = self.config["training"]["collection"], self.config["samplers"]
        whole = (each for each in self.points if "cut" not in samplers[each.sampler])
        return unique(
            (each.sampler, each.teacher, self.seeding[each.seed]["sampling"])
            for each in whole
            if self.training_collection_of(each.sampler) == collection
        )

    @property
    def control_cells(self) -> list[dict]:
        """Cells that are trained again: their student, loss, sampler and teacher, and all seeds, the grid's first."""
        names = ("student", "loss", "sampler", "teacher")
        cells = unique(tuple(getattr(each, name) for name in names) for each in self.controls.values())
        seeds = [*self.grid["seeds"], *unique(each.seed for each in self.controls)]
        return [{**dict(zip(names, cell, strict=True)), "seeds": seeds} for cell in cells]

    @property
    def embedding(self) -> str:
        """Whose vectors locality is measured by.

        Where the config names none: the main grid's first bi-encoder, a trained space, since a backbone's own vectors
        were never made to be compared; else the first student's backbone.
        """
        students, grid = self.config["students"], self.grid_rankers.items()
        trained = (path for path, each in grid if students[each.student]["architecture"] == "bi-encoder")
        chosen = self.config["analysis"]["locality"]["embedding"]
        return chosen or next(trained, next(iter(students.values()))["backbone"])

    @property
    def retrievers(self) -> list[str]:
        """Paths of the rankers that retrieve from whole collections: bi-encoders of the main grid and its controls."""
        return self._evaluated("bi-encoder") if self.config["evaluation"]["retrieval"] else []

    @property
    def dense_rerankers(self) -> list[str]:
        """Paths of the rankers that re-rank a dense system's documents too: cross-encoders of those cells, or none."""
        retrieval = self.config["evaluation"]["retrieval"]
        return self._evaluated("cross-encoder") if retrieval and retrieval["candidates"] else []

    def _evaluated(self, architecture: str) -> list[str]:
        """Paths of the students of the main grid and its controls that have an architecture."""
        students, rankers = self.config["students"], [*self.grid_rankers.values(), *self.controls.values()]
        return unique(each.path for each in rankers if students[each.student]["architecture"] == architecture)

    @property
    def has_truth(self) -> bool:
        """Is every relevant pair of some domain known? Of generated collections it is."""
        sources = {name: entry["source"] for name, entry in self.config["collections"].items()}
        domains = map(collections_of, self.config["domains"].values())
        return any(all(sources[name] == "generated" for name in members) for members in domains)

    def vocabulary_backbone(self, vocabulary: str) -> str:
        """The first backbone of a vocabulary: its tokenizer makes the token stores that all of them share."""
        return next(name for name, backbone in self.config["backbones"].items() if backbone["vocabulary"] == vocabulary)


def unique(values: Iterable) -> list:
    """Each value once, in the order of their first."""
    return list(dict.fromkeys(values))


def add_cuts(config: dict) -> None:
    """Enter the samplers that a study of cuts stands for: an entropy cut's groups follow from a teacher's labels."""
    for name, sampler, cut in cut_samplers(config):
        entry = {**config["samplers"][sampler], "in_grid": False, "cut": {"of": sampler, "cut": cut}}
        entry["reads_teacher"] = entry["reads_teacher"] or cut not in RANDOM
        config["samplers"][name] = entry


def add_budgets(config: dict) -> None:
    """Enter the students that a study of budgets stands for."""
    study = config["studies"].get("budgets")
    for student in study["students"] if study else ():
        for name, documents in budgets_of(config, student).items():
            config["students"].setdefault(
                name, {**config["students"][student], "in_grid": False, "documents": documents}
            )


def _refuse(found: Iterable[str]) -> None:
    """Raise :class:`InputError` for the first problem, if there is any: later checks assume those before them."""
    for problem in found:
        raise InputError(f"config: {problem}")
