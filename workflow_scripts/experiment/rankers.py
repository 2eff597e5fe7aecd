"""What each ranker of an experiment is: its model, its keys in the tables, the spec that it is trained by.

Rankers are students by their path or cell, ``teacher/{teacher}``, and ``bm25``; ``retrieved/`` before a student stands
for its retrieval from whole collections.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workflow_scripts.analysis.cut_names import RANDOM
from workflow_scripts.analysis.measure_names import EXCESS_RISK
from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.grid_point import GridPoint, points
from workflow_scripts.experiment.studies import budget
from workflow_scripts.storage.errors import InputError

OPTIMISATION = ("batch_groups", "gradient_accumulation", "warmup", "weight_decay", "dropout", "precision")
KEYS = ("student", "loss", "sampler", "teacher", "seed")
Standing = list[tuple[list, str]]
"""Keys as the tables name them, and folder, of each ranker."""


class Rankers:
    """Look-ups by a ranker; :class:`InputError` naming the valid ones for an unknown one."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.config, self.entry = experiment, experiment.config, experiment.entry
        self.references = ["bm25", *(f"teacher/{teacher}" for teacher in self.config["teachers"])]
        """Rankers that are no students."""
        self.all = [*self.references, *experiment.rankers]
        self.standing_references: Standing = [([*self.keys(name).values()], name) for name in self.references]
        self.grid_students = self.standing(points(experiment.grid))
        """Students of the main grid."""

    def model(self, ranker: str) -> str:
        """Folder of its model below the results."""
        if not ranker.startswith("teacher/"):
            return f"students/{self.experiment.ranker(ranker).path}"
        name = ranker.removeprefix("teacher/")
        teacher = self.entry("teachers", name)
        return f"teachers/{name}" if teacher["trained"] else f"backbones/{teacher['backbone']}"

    def teacher(self, name: str) -> dict:
        """Entry of a teacher, or of the one that the name of a fold's begins with: ``base`` of ``base/fold0``."""
        name, _, fold = name.partition("/")
        entry = self.entry("teachers", name)
        folds = [f"fold{number}" for number in range(entry["folds"] or 0)]
        if fold and fold not in folds:
            raise InputError(f"no {fold!r} of teacher {name}: it has {', '.join(folds) or 'no folds'}")
        return entry

    def scorers(self, name: str) -> list[str]:
        """Folders of the models that score training pairs for a teacher: its own, or one for each fold."""
        folds = self.entry("teachers", name)["folds"]
        return [f"teachers/{name}/fold{fold}" for fold in range(folds)] if folds else [self.model(f"teacher/{name}")]

    def calibrations(self, name: str) -> list[str]:
        """Folder of a teacher's temperature; none where it is not calibrated."""
        return [f"calibrations/{name}"] if self.entry("teachers", name)["calibrate"] else []

    def architecture(self, ranker: str) -> tuple[str, str]:
        """Architecture and backbone."""
        if ranker.startswith("teacher/"):
            return "cross-encoder", self.entry("teachers", ranker.removeprefix("teacher/"))["backbone"]
        student = self.entry("students", self.experiment.ranker(ranker).student)
        return student["architecture"], student["backbone"]

    def backbone(self, ranker: str) -> str:
        """Id of its backbone."""
        return self.architecture(ranker)[1]

    def keys(self, ranker: str) -> dict[str, Any]:
        """Columns that name it in the metrics: empty where a reference has no such axis."""
        ranker = ranker.removeprefix("retrieved/")
        if ranker not in self.references:
            return {key: getattr(self.experiment.ranker(ranker), key) for key in KEYS}
        kind, _, name = ranker.partition("/")
        return {"student": kind, "loss": "", "sampler": "", "teacher": name, "seed": None}

    def measures(self, ranker: str, collection: str) -> list[str]:
        """Measures on a collection; excess risk too where every pair is judged, of what re-ranks the same pairs."""
        evaluation = self.config["evaluation"]
        complete = self.entry("collections", collection)["source"] == "generated"
        more = [EXCESS_RISK] * (complete and not ranker.startswith("retrieved/"))
        return evaluation["measures"] + evaluation["more_measures"].get(collection, []) + more

    def measuring_spec(self, ranker: str, evaluation_set: str) -> dict:
        """Spec of a ranker's measuring on an evaluation set."""
        names = self.experiment.collections_in(ranker, evaluation_set)
        return {"measures": {name: self.measures(ranker, name) for name in names}, "keys": self.keys(ranker)}

    def standing(self, at: Iterable[GridPoint]) -> Standing:
        """The students at some points: one may stand at several."""
        return [([*vars(point).values()], self.experiment.points[point].path) for point in at]

    def retriever(self, ranker: str) -> str:
        """:meth:`model` of a student that retrieves; :class:`InputError` for one that does not."""
        if ranker not in self.experiment.retrievers:
            students = unique(self.experiment.rankers[path].student for path in self.experiment.retrievers)
            valid = ", ".join(students) or "none: set evaluation.retrieval"
            raise InputError(
                f"{ranker} does not retrieve from whole collections: bi-encoders of the main grid do ({valid})"
            )
        return self.model(ranker)

    def encoder(self, chosen: str) -> tuple[str, str]:
        """Of a backbone or a bi-encoder's cell that texts are embedded by: its model's folder and its backbone."""
        if chosen in self.config["backbones"]:
            return f"backbones/{chosen}", chosen
        return self.model(chosen), self.backbone(chosen)

    def dense_encoder(self, system: str) -> tuple[str, str]:
        """:meth:`encoder` of a dense system."""
        return self.encoder(self.entry("systems", system)["encoder"])

    def tag(self, ranker: str) -> str:
        """Its name in a run file."""
        return ranker.replace("/", ".")

    def first(self, student: str) -> str:
        """Path of a student's first ranker in the main grid."""
        return next(path for path, each in self.experiment.grid_rankers.items() if each.student == student)

    def collection(self, ranker: str) -> str:
        """The training collection of a student."""
        return self.experiment.training_collection_of(self.experiment.ranker(ranker).sampler)

    def groups(self, ranker: str) -> str:
        """Folder, below the results, of the groups that a student is trained on."""
        student = self.experiment.ranker(ranker)
        groups_id = self.experiment.groups_id(student.sampler, student.teacher)
        return f"groups/{groups_id}/seed{self.experiment.seeding[student.seed]['sampling']}"

    def teacher_groups(self, name: str) -> str:
        """Folder of the groups that a teacher, or one of its folds, is trained on."""
        teacher = self.teacher(name)
        return f"groups/{teacher['sampler']}/seed{teacher['seed']}"

    def labels(self, ranker: str) -> list[str]:
        """Folder of the labels of these groups; none where neither the loss nor an entropy cut reads a teacher."""
        student = self.experiment.ranker(ranker)
        cut = self._cut(student)
        read = self.entry("losses", student.loss)["reads_teacher"] or (cut and cut["cut"] not in RANDOM)
        return [self.groups(ranker).replace("groups", f"labels/{student.teacher}", 1)] if read else []

    def judged(self, ranker: str) -> list[str]:
        """Folder of the collection whose positives are no in-batch negatives; none where the loss has none of these."""
        in_batch = self.entry("losses", self.experiment.ranker(ranker).loss).get("in_batch_negatives")
        return [f"collections/{self.collection(ranker)}"] if in_batch else []

    def _cut(self, student: GridPoint) -> dict | None:
        """The cut whose queries alone a student is trained on, as its spec says it; None for all queries."""
        cut = self.entry("samplers", student.sampler).get("cut", {}).get("cut")
        if not cut:
            return None
        # Another fence is another job of the outliers' students alone.
        keys = ("at_least", "fence") if cut == "outliers" else ("at_least",)
        seed = {"seed": self.experiment.seeding[student.seed]["sampling"]} if cut in RANDOM else {}
        return {"cut": cut, **{key: self.config["studies"]["cuts"][key] for key in keys}, **seed}

    def student_spec(self, ranker: str) -> dict:
        """Spec of a student's training."""
        student = self.experiment.ranker(ranker)
        about, cut = self.entry("students", student.student), self._cut(student)
        seeds = self.experiment.seeding[student.seed]
        documents = budget(self.config, student.student)
        return self._training_spec(student.path, about, documents, student.loss, seeds) | ({"cut": cut} if cut else {})

    def teacher_spec(self, name: str) -> dict:
        """Spec of the training of a teacher, or of one of its folds."""
        teacher = self.teacher(name)
        about = {"architecture": "cross-encoder", "learning_rate": teacher["learning_rate"]}
        seeds = dict.fromkeys(("initialisation", "order"), teacher["seed"])
        spec = self._training_spec(f"teacher/{name}", about, teacher["documents"], teacher["loss"], seeds)
        left_out = name.partition("/fold")[2]
        return spec | ({"fold": {"of": teacher["folds"], "left_out": int(left_out)}} if left_out else {})

    def _training_spec(self, name: str, about: dict, documents: int, loss: str, seeds: dict[str, int]) -> dict:
        training = self.config["training"]
        return {
            **{key: training[key] for key in OPTIMISATION},
            **{key: about[key] for key in ("architecture", "learning_rate")},
            **{key: about[key] for key in ("pooling", "similarity") if key in about},
            "arithmetic": self.config["arithmetic"],
            "name": name,
            "documents": documents,
            "group_size": 1 + training["negatives"],
            "loss": {key: self.entry("losses", loss)[key] for key in ("function", "options")},
            **({"in_batch_negatives": True} if self.entry("losses", loss).get("in_batch_negatives") else {}),
            "seeds": {part: seeds[part] for part in ("initialisation", "order")},
            "max_tokens": self.config["lengths"],
        }
