"""What each job of a GPU rule computes: how many texts of which lengths, through which encoder, forward or training."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.experiment.studies import budget
from workflow_scripts.plan.dry_run import Job
from workflow_scripts.plan.sizes import Sizes
from workflow_scripts.plan.throughput import (
    PAIR_SPECIALS,
    TEXT_SPECIALS,
    TRAINING_PASSES,
    Shape,
    backbone_shape,
)

STAGES = {
    "train_teacher": "teacher training",
    "train_student": "student training",
    "score_pool": "scoring pools",
    "label_groups": "labelling",
    "rerank_candidates": "re-ranking",
    "rerank_dense_candidates": "re-ranking",
    "search_dense": "dense retrieval",
    "retrieve_documents": "dense retrieval",
    "embed_groups": "locality embedding",
}
"""GPU rule to the stage that the bill lists it under."""


@dataclass(frozen=True)
class Load:
    """What one job computes: ``texts`` (pairs, documents or queries) of ``flops`` together, ``kind`` of its speed."""

    kind: str
    texts: float
    flops: float

    def __add__(self, other: Load) -> Load:
        return Load(self.kind, self.texts + other.texts, self.flops + other.flops)


class Workload:
    """Loads of an experiment's GPU jobs, counted as the rules' scripts go through their inputs."""

    def __init__(self, experiment: Experiment, sizes: Sizes, figures: Mapping) -> None:
        self.experiment, self.sizes, self.config = experiment, sizes, experiment.config
        self.rankers = Rankers(experiment)
        self._figures = figures
        self._group = 1 + self.config["training"]["negatives"]
        self._of: dict[str, Callable[[Job], Load]] = {
            "train_teacher": self._train_teacher,
            "train_student": self._train_student,
            "score_pool": self._score_pool,
            "label_groups": self._label_groups,
            "rerank_candidates": self._rerank,
            "rerank_dense_candidates": self._rerank,
            "search_dense": self._search_dense,
            "retrieve_documents": self._retrieve,
            "embed_groups": self._embed_groups,
        }

    def load(self, job: Job) -> Load:
        """Load of a job of one of :data:`STAGES`; UnknownSize where a size is neither configured nor known."""
        return self._of[job.rule](job)

    @functools.cache  # noqa: B019 (as long as the bill)
    def shape(self, backbone: str) -> Shape:
        """Shape of a backbone."""
        return backbone_shape(backbone, self.experiment.entry("backbones", backbone), self._figures)

    def trained_shape(self, job: Job) -> Shape:
        """Shape of the model that a training job makes."""
        if job.rule == "train_teacher":
            return self.shape(self.rankers.teacher(job["teacher"])["backbone"])
        return self.shape(self.config["students"][self.experiment.ranker(job["ranker"]).student]["backbone"])

    def in_grid(self, job: Job) -> bool:
        """Whether the main grid needs the job; what only controls and studies need is theirs."""
        grid = self.experiment.grid
        values = dict(job.wildcards)
        if "ranker" in values:
            ranker = values["ranker"].removeprefix("teacher/")
            return ranker in self.experiment.grid_rankers or ranker in grid["teachers"]
        if values.get("teacher", "").partition("/")[0] not in ("", *grid["teachers"]):
            return False
        if "pool" in values:
            return values["pool"] in self._grid_pools
        if "groups_id" in values:
            seeds = {self.experiment.seeding[seed]["sampling"] for seed in grid["seeds"]}
            return values["groups_id"].split(".")[0] in grid["samplers"] and int(values["seed"]) in seeds
        if "system" in values:
            return any(values["system"] in self.config["samplers"][name]["systems"] for name in grid["samplers"])
        return True

    @functools.cached_property
    def _grid_pools(self) -> set[str]:
        found: set[str] = set()
        queue = [pool for name in self.experiment.grid["samplers"] for pool in self.config["samplers"][name]["pools"]]
        while queue:
            if (pool := queue.pop()) not in found:
                found.add(pool)
                queue += self.config["pools"][pool]["known"]
        return found

    def _pairs(self, backbone: str, number: float, collection: str) -> Load:
        """Pairs of a collection through a cross-encoder, forward."""
        tokens = self.sizes.query_tokens(collection) + self.sizes.document_tokens(self.sizes.corpus(collection))
        return Load("scoring", number, number * self.shape(backbone).forward(tokens + PAIR_SPECIALS))

    def _texts(self, backbone: str, number: float, tokens: float) -> Load:
        """Single texts through an encoder, forward."""
        return Load("encoding", number, number * self.shape(backbone).forward(tokens + TEXT_SPECIALS))

    def _train_teacher(self, job: Job) -> Load:
        teacher = self.rankers.teacher(job["teacher"])
        return self._training("cross-encoder", teacher["backbone"], teacher["documents"], teacher["sampler"])

    def _train_student(self, job: Job) -> Load:
        ranker = self.experiment.ranker(job["ranker"])
        student = self.config["students"][ranker.student]
        documents = budget(self.config, ranker.student)
        return self._training(student["architecture"], student["backbone"], documents, ranker.sampler)

    def _training(self, architecture: str, backbone: str, documents: int, sampler: str) -> Load:
        """A budget of documents: pairs of a cross-encoder; of a bi-encoder documents, and a query a group."""
        collection = self.experiment.training_collection_of(sampler)
        if architecture == "cross-encoder":
            kind, load = "CE training", self._pairs(backbone, documents, collection)
        else:
            tokens = self.sizes.document_tokens(self.sizes.corpus(collection))
            queries = self._texts(backbone, documents / self._group, self.sizes.query_tokens(collection))
            kind, load = "BE training", self._texts(backbone, documents, tokens) + queries
        return Load(kind, documents, TRAINING_PASSES * load.flops)

    def _score_pool(self, job: Job) -> Load:
        collection = self.config["pools"][job["pool"]]["collection"] or self.config["training"]["collection"]
        backbone = self.rankers.teacher(job["teacher"])["backbone"]
        return self._pairs(backbone, self.sizes.pool_pairs(job["pool"]), collection)

    def _label_groups(self, job: Job) -> Load:
        sampler = job["groups_id"].split(".")[0]
        collection = self.experiment.training_collection_of(sampler)
        missing = self.config["training"]["negatives"] * self.sizes.unscored_share(sampler)
        pools = self.config["samplers"][sampler]["pools"]
        missing += not any(self.config["pools"][pool]["positives"] for pool in pools)
        backbone = self.rankers.teacher(job["teacher"])["backbone"]
        return self._pairs(backbone, missing * self.sizes.queries(collection), collection)

    def _rerank(self, job: Job) -> Load:
        """The first stage's top documents of every test query of a set; a bi-encoder embeds each text once."""
        name, depth = job["ranker"], self.config["first_stage"]["depth"]
        if name.startswith("teacher/"):
            architecture, backbone = "cross-encoder", self.config["teachers"][name.removeprefix("teacher/")]["backbone"]
        else:
            student = self.config["students"][self.experiment.ranker(name).student]
            architecture, backbone = student["architecture"], student["backbone"]
        load = Load("scoring" if architecture == "cross-encoder" else "encoding", 0, 0)
        candidates = "retrieved/" if job.rule == "rerank_dense_candidates" else name
        for collection in self.experiment.collections_in(candidates, job["set"]):
            corpus, queries = self.sizes.corpus(collection), self.sizes.queries(collection)
            documents = self.sizes.documents(corpus)
            if architecture == "cross-encoder":
                load += self._pairs(backbone, queries * min(depth, documents), collection)
            else:
                load += self._texts(backbone, min(queries * depth, documents), self.sizes.document_tokens(corpus))
                load += self._texts(backbone, queries, self.sizes.query_tokens(collection))
        return load

    def _search_dense(self, job: Job) -> Load:
        return self._retrieval(self.encoder(self.config["systems"][job["system"]]["encoder"]), [job["collection"]])

    def _retrieve(self, job: Job) -> Load:
        return self._retrieval(self.encoder(job["ranker"]), self.experiment.collections_in("retrieved/", job["set"]))

    def _retrieval(self, backbone: str, collections: list[str]) -> Load:
        """Every document of each corpus once, every query, and their inner products: 2 queries documents hidden."""
        load = Load("encoding", 0, 0)
        for corpus in {self.sizes.corpus(collection): None for collection in collections}:
            load += self._texts(backbone, self.sizes.documents(corpus), self.sizes.document_tokens(corpus))
        for collection in collections:
            queries, documents = self.sizes.queries(collection), self.sizes.documents(self.sizes.corpus(collection))
            load += self._texts(backbone, queries, self.sizes.query_tokens(collection))
            load += Load("encoding", 0, 2 * queries * documents * self.shape(backbone).hidden)
        return load

    def encoder(self, name: str) -> str:
        """Backbone of an encoder: itself, or that of a bi-encoder's cell."""
        if name in self.config["backbones"]:
            return name
        return self.config["students"][self.experiment.ranker(name).student]["backbone"]

    def embedded(self) -> float:
        """Documents whose vectors locality is measured by, at most: as if no two groups had one in common."""
        training, wanted = self.config["training"]["collection"], self.config["analysis"]["locality"]["queries"]
        drawn = {
            (self.experiment.groups_id(sampler, teacher), seed)
            for sampler, teacher, seed in self.experiment.uncut_groups
        }
        queries = self.sizes.queries(training)
        return min(
            min(queries, wanted or queries) * self._group * len(drawn),
            self.sizes.documents(self.sizes.corpus(training)),
        )

    def embedding_backbone(self) -> str:
        """Backbone of the vectors that locality is measured by."""
        return self.encoder(self.experiment.embedding)

    def _embed_groups(self, job: Job) -> Load:
        corpus = self.sizes.corpus(self.config["training"]["collection"])
        return self._texts(self.embedding_backbone(), self.embedded(), self.sizes.document_tokens(corpus))
