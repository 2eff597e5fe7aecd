"""What is exported of an experiment: which ranker a name stands for, and what its card says it is made from."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.errors import InputError

TRAINING_FORMATS = ("datasets", "sentence-transformers", "tevatron")
"""What export_training writes."""
Source = tuple[str, str, dict]
"""What a thing is, such as ``corpus``, its id, and its entry in the config."""


class Exports:
    """Look-ups by the name that is exported: a student's cell, ``teacher.{teacher}`` or ``bm25``.

    Of runs also ``retrieved.`` and the cell of a student that is evaluated on other candidates than BM25's.

    ``command``: what makes the experiment, for the card, less cores and targets. Raises :class:`InputError` naming the
    valid names.
    """

    def __init__(self, rankers: Rankers, command: str) -> None:
        self.rankers, self.experiment, self.entry = rankers, rankers.experiment, rankers.entry
        self.config, self.command = rankers.config, command

    def ranker(self, name: str) -> str:
        """Path of the ranker."""
        kind, _, rest = name.partition(".")
        if name == "bm25":
            return name
        if kind == "teacher" and "." not in rest:
            self.entry("teachers", rest)
            return f"teacher/{rest}"
        path = self.experiment.ranker(rest if kind == "retrieved" else name).path
        if kind != "retrieved":
            return path
        if path not in (*self.experiment.retrievers, *self.experiment.dense_rerankers):
            raise InputError(f"{rest} is evaluated on BM25's candidates alone: see evaluation.retrieval in the config")
        return f"retrieved/{path}"

    def model(self, name: str) -> str:
        """Folder of its model; what was not trained here is its makers' to give away."""
        ranker = self.ranker(name)
        teacher = ranker.removeprefix("teacher/")
        if ranker == "bm25" or (teacher != ranker and not self.entry("teachers", teacher)["trained"]):
            raise InputError(f"{name} was not trained here: there is no model to export")
        return self.rankers.model(ranker)

    def systems(self, name: str) -> dict[str, str]:
        """Rankers on a model's card, name to path: its own, BM25, and the teacher in whose block it stands."""
        ranker = self.ranker(name)
        teacher = None if ranker.startswith("teacher/") else self.experiment.ranker(ranker).teacher
        beside = {f"teacher {teacher}": f"teacher/{teacher}"} if teacher in self.config["teachers"] else {}
        return {"this model": ranker, "BM25": "bm25", **beside}

    def training_spec(self, cell: str, data_format: str) -> dict:
        """Spec of the export of a student's training data."""
        if data_format not in TRAINING_FORMATS:
            raise InputError(f"no format {data_format!r}: choose {', '.join(TRAINING_FORMATS)}, trec, model or onnx")
        student, trained = self.experiment.ranker(cell), self.rankers.student_spec(cell)
        card = self._card(student.cell, data_format, student.teacher, self._groups(cell))
        return {
            "format": data_format,
            "view": self.config["training"]["view"],
            "group_size": trained["group_size"],
            "cut": trained.get("cut"),
            "reads_teacher": self.entry("losses", student.loss)["reads_teacher"],
            "card": card | {"sampler": student.sampler},
        }

    def model_spec(self, name: str, data_format: str = "model") -> dict:
        """Spec of a model's export, also as ``onnx``, without its domains."""
        ranker = self.ranker(name)
        student = None if ranker.startswith("teacher/") else self.experiment.ranker(ranker)
        read = student is not None and self.entry("losses", student.loss)["reads_teacher"]
        card = self._card(name, data_format, student.teacher if student and read else None, self._made_from(ranker))
        return {
            "systems": list(self.systems(name)),
            "bootstrap": self.config["evaluation"]["bootstrap"],
            "card": card | {"depth": self.config["first_stage"]["depth"], "backbone": self.rankers.backbone(ranker)},
        }

    def _card(self, name: str, data_format: str, teacher: str | None, sources: Iterable[Source]) -> dict:
        """Facts of a card that the experiment knows; each source once."""
        path = f"results/{self.experiment.name}/exports/{name}/{data_format}/manifest.json"
        return {
            "name": name,
            "experiment": self.experiment.name,
            "teacher": teacher if teacher in self.config["teachers"] else None,
            "made_from": [list(each) for each in {each[:2]: each for each in sources}.values()],
            "rebuild": f"{self.command} --cores 2 -- \\\n    {path}",
        }

    def _made_from(self, ranker: str) -> Iterator[Source]:
        """What a ranker is made from, and measured on."""
        if ranker.startswith("teacher/"):
            yield from self._teacher(ranker.removeprefix("teacher/"))
        else:
            yield from self._student(ranker)
        yield from itertools.chain(*map(self._collection, self.experiment.test_collections))

    def _student(self, cell: str) -> Iterator[Source]:
        """What a student is trained from."""
        student = self.experiment.ranker(cell)
        yield from self._groups(cell)
        yield "loss", student.loss, self.entry("losses", student.loss)
        yield from self._backbone(self.rankers.backbone(cell))
        yield "student", student.student, self.entry("students", student.student)

    def _groups(self, cell: str) -> Iterator[Source]:
        """What a student's groups and their scores are made from."""
        student = self.experiment.ranker(cell)
        yield from self._sampler(student.sampler)
        if student.teacher in self.config["teachers"]:
            yield from self._teacher(student.teacher)

    def _teacher(self, name: str) -> Iterator[Source]:
        teacher = self.entry("teachers", name)
        if teacher["trained"]:
            yield from self._sampler(teacher["sampler"])
        if teacher["calibrate"]:
            yield from self._collection(self.experiment.pool_collection(teacher["calibrate"]))
        yield from self._backbone(teacher["backbone"])
        yield "teacher", name, teacher

    def _sampler(self, name: str) -> Iterator[Source]:
        sampler = self.entry("samplers", name)
        yield from self._collection(self.experiment.training_collection_of(name))
        for system in sampler["systems"]:
            entry = self.entry("systems", system)
            # The encoder of a dense system: it needs none of its own rankings, which the experiment's checks hold.
            if encoder := entry.get("encoder"):
                yield from (self._backbone if encoder in self.config["backbones"] else self._student)(encoder)
            yield "system", system, entry
        yield "sampler", name, sampler

    def _backbone(self, name: str) -> Iterator[Source]:
        backbone = self.entry("backbones", name)
        for corpus in backbone.get("corpora") or []:
            yield "corpus", corpus, self.entry("corpora", corpus)
        yield "backbone", name, backbone

    def _collection(self, name: str) -> Iterator[Source]:
        collection = self.entry("collections", name)
        yield "corpus", collection["corpus"], self.entry("corpora", collection["corpus"])
        yield "collection", name, collection
