"""Settings of the grid: backbones, training, teachers, pools, samplers, losses, students, and the studies beside it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Tag, model_validator

from workflow_scripts.analysis.cut_names import CUTS
from workflow_scripts.experiment.config.settings import (
    VALUE_OR_PART,
    Count,
    Distinct,
    Flag,
    Function,
    Maybe,
    Name,
    Natural,
    Number,
    Part,
    Pooling,
    Positive,
    Share,
    Similarity,
    Slug,
    Some,
    Text,
    left_out,
    setting,
)

LearningRate = Annotated[Positive, Field(le=1)]
AS_FOLDER = "left out, as the backbone's sentence-transformers files say"
IN_GRID = "false: only in the studies that name it"


class SeedParts(Part):
    """A seed whose parts have numbers of their own; a part left out has the seed's."""

    seed: Natural = setting("names the cell")
    sampling: Natural = setting("which negatives are drawn", left_out)
    order: Natural = setting("order of the data, and dropout", left_out)
    initialisation: Natural = setting("a model's new weights", left_out)


Seed = Annotated[Annotated[Natural, Tag("value")] | Annotated[SeedParts, Tag("part")], VALUE_OR_PART]


class Tokenizer(Part):
    """A vocabulary made here."""

    kind: Literal["words", "wordpiece"] = setting("whole words, or WordPiece")
    size: Annotated[Count, Field(ge=10, le=10**7)] = setting("size of the vocabulary", unit="entries")


class Architecture(Part):
    """Shape of a BERT that is made here."""

    layers: Count = setting("transformer layers", le=1000)
    hidden: Count = setting("width of a layer", le=10**5)
    heads: Count = setting("attention heads; they divide the width")
    feed_forward: Count = setting("width between the two feed-forward layers", le=10**6)
    positions: Count = setting("longest sequence", unit="tokens", le=10**6)

    @model_validator(mode="after")
    def _divide(self) -> Architecture:
        if self.hidden % self.heads:
            raise ValueError(f"heads {self.heads} do not divide hidden {self.hidden}; choose heads that do")
        return self


class Pretraining(Part):
    """How a backbone made here learns from its corpora's text."""

    steps: Natural = setting("optimiser steps", unit="steps")
    batch: Count = setting("in a step", unit="text pairs")
    learning_rate: LearningRate = setting("highest learning rate")
    mlm_weight: Share = setting("weight of masked language modelling beside the matching of words and text")
    removal: Share = setting(
        "chance that a drawn word is taken out of its own text; left out, 0.8",
        left_out,
    )


class Backbone(Part):
    """A pretrained encoder: from the hub, from a local folder or (source scratch) made here."""

    source: Text = setting("a hub id, a local folder (starts with ., / or ~), or scratch")
    revision: Maybe[Name] = setting("hub id: the commit that is loaded, 40 digits; null for a folder", left_out)
    vocabulary: Slug = setting("backbones with one vocabulary share their token stores")
    corpora: Annotated[list[Slug], Field(min_length=1)] = setting("scratch: whose text it learns", left_out)
    tokenizer: Tokenizer = setting("scratch: its vocabulary", left_out)
    architecture: Architecture = setting("scratch: its shape", left_out)
    pretraining: Pretraining = setting("scratch: how it learns", left_out)
    seed: Natural = setting("scratch: of its weights and data", left_out)

    @model_validator(mode="after")
    def _complete(self) -> Backbone:
        if self.source == "scratch":
            self.require("source scratch", "corpora", "tokenizer", "architecture", "pretraining", "seed")
        return self


class Training(Part):
    """What the students share; a step sees batch_groups x gradient_accumulation x (1 + negatives) documents."""

    collection: Slug = setting("the training collection")
    view: Literal["full", "body"] = setting("body hides the title that a pseudo-query was made of", "full")
    # A group's table numbers its documents by int16.
    negatives: Count = setting("beside the one positive of a group", unit="documents", le=2**15 - 1)
    documents: Count = setting("budget of a student, a multiple of a step's documents", unit="documents seen")
    batch_groups: Count = setting("in a step, before accumulation", unit="groups")
    gradient_accumulation: Count = setting("batches in a step", 1)
    warmup: Share = setting("share of the steps in which the learning rate rises", 0.1)
    weight_decay: Number = setting("decoupled weight decay", 0.01, ge=0, le=10)
    dropout: Maybe[Annotated[Number, Field(ge=0, lt=1)]] = setting(
        "null keeps the backbone's; under a number no whole layer drops", None
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "of training and scoring; auto: bf16 on a GPU that has it, fp16 on another; on a CPU bf16 where arithmetic is "
        "fast, it has instructions for it and a layer 1,024 features, else fp32, in which it embeds always",
        "auto",
    )


class Teacher(Part):
    """A cross-encoder trained here or, with trained false, its backbone as it is."""

    backbone: Slug = setting("what it is made of")
    in_grid: Flag = setting(IN_GRID, True)
    trained: Flag = setting("false: the backbone already ranks", True)
    loss: Slug = setting("a loss that reads no teacher", left_out)
    sampler: Slug = setting("a sampler that reads no teacher", left_out)
    documents: Count = setting("budget, a multiple of a step's documents", left_out, unit="documents seen")
    learning_rate: LearningRate = setting("highest learning rate", left_out)
    seed: Natural = setting("of its negatives, order and weights", left_out)
    folds: Maybe[Annotated[Count, Field(ge=2)]] = setting(
        "parts of the training queries, equal texts in one, each scored by a teacher trained on the others; null: one "
        "teacher scores all",
        None,
    )
    calibrate: Maybe[Slug] = setting(
        "a pool of role dev; labels are divided by the temperature that fits its judgements, null for 1",
        None,
    )

    @model_validator(mode="after")
    def _complete(self) -> Teacher:
        if self.trained:
            self.require("a trained teacher", "loss", "sampler", "documents", "learning_rate", "seed")
        elif self.folds:
            raise ValueError("folds of a teacher that is not trained here; leave them out")
        return self


class Pool(Part):
    """Candidates of the training queries that a teacher scores once, before any sampler draws."""

    systems: Distinct[Slug] = setting("whose rankings it is made of")
    depth: Natural = setting("of each system's ranking", unit="documents")
    positives: Flag = setting("the training positives too", False)
    collection: Maybe[Slug] = setting("whose queries; null for training.collection", None)
    known: Distinct[Slug] = setting(
        "pools whose pairs are not scored again; filled in: pools of the collection that stand before it, without "
        "those of a trained encoder",
        left_out,
    )

    @model_validator(mode="after")
    def _filled(self) -> Pool:
        if not self.systems and not self.positives:
            raise ValueError("holds nothing; name systems, or set positives to true")
        if bool(self.systems) != bool(self.depth):
            raise ValueError(f"depth {self.depth} of {len(self.systems)} systems; set both or neither")
        return self


class Sampler(Part):
    """Where a group's negatives come from."""

    in_grid: Flag = setting(IN_GRID, True)
    function: Function = setting("a file of workflow_scripts/mine/samplers")
    collection: Maybe[Slug] = setting("whose queries; null for training.collection", None)
    systems: Distinct[Slug] = setting("rankings that it draws from", [])
    reads_teacher: Flag = setting("filled in: whether the function draws by a teacher's scores of its pools", left_out)
    pools: Distinct[Slug] = setting("pools in which its pairs already have a teacher's score", [])
    options: dict[str, Any] = setting("of the function, see docs/configuration.md", {})


class Loss(Part):
    """What a student learns from a group."""

    in_grid: Flag = setting(IN_GRID, True)
    function: Function = setting("a file of workflow_scripts/train/losses")
    reads_teacher: Flag = setting("filled in: false for a contrastive loss, trained without labels", left_out)
    in_batch_negatives: Flag = setting(
        "bi-encoders: documents of the batch's other groups, but for those judged relevant to the query, are further "
        "negatives; for a contrastive loss; left out, false",
        left_out,
    )
    options: dict[str, Any] = setting("of the function, see docs/configuration.md", {})


class Student(Part):
    """A ranker that is trained in every cell."""

    in_grid: Flag = setting(IN_GRID, True)
    architecture: Literal["bi-encoder", "cross-encoder"] = setting("how it scores a pair")
    backbone: Slug = setting("what it starts from")
    learning_rate: LearningRate = setting("highest learning rate")
    documents: Count = setting(
        "budget, a multiple of a step's documents; left out, training.documents", left_out, unit="documents seen"
    )
    pooling: Pooling = setting(f"bi-encoder: the [CLS] state or the mean of all; {AS_FOLDER}, else cls", left_out)
    similarity: Similarity = setting(
        "bi-encoder: a cosine lies between -1 and 1, which is little for a loss without a temperature; "
        f"{AS_FOLDER}, else dot",
        left_out,
    )

    @model_validator(mode="after")
    def _embeds(self) -> Student:
        for name in {"pooling", "similarity"} & self.model_fields_set if self.architecture == "cross-encoder" else ():
            raise ValueError(f"{name} is of bi-encoders; leave it out of a cross-encoder")
        return self


class Controls(Part):
    """Cells of the main grid that are trained again, in every student x loss and under every teacher of the grid."""

    samplers: Maybe[Some[Slug]] = setting(
        "samplers of these cells; null for the cheapest and the costliest, by the pairs that a teacher scores for them",
        None,
    )
    seeds: Maybe[Some[Natural]] = setting(
        "further seeds; null for the next one, or as many as a student's verdicts need", None
    )


class Study(Part):
    """Cells beside the main grid: the product of these axes, with tables of their own."""

    students: Some[Slug] = setting("ids of students")
    losses: Some[Slug] = setting("ids of losses")
    samplers: Some[Slug] = setting("ids of samplers")
    teachers: Some[Slug] = setting("ids of teachers")
    seeds: Maybe[Some[Natural]] = setting("seeds of the experiment; null for all", None)


class CutsStudy(Study):
    """Training queries filtered by the teacher's entropy, and random parts beside them; each sampler's groups are cut.

    A cut that keeps fewer than ``at_least`` queries is not trained, and its row says so.
    """

    cuts: Some[Literal[CUTS]] = setting("parts of the training queries", list(CUTS))  # type: ignore[valid-type]
    fence: Number = setting(
        "outliers lie further than this outside the quartiles", 1.5, unit="interquartile ranges", ge=0
    )
    at_least: Count = setting("fewest training queries of a cut", 16, unit="queries")


class BudgetsStudy(Study):
    """Students of smaller and larger budgets; a student of another budget has its documents in its name."""

    multiples: Annotated[Some[Positive], Field(min_length=2)] = setting(
        "budgets, in rising order; each a whole number of steps",
        [0.125, 0.25, 0.5, 1, 2, 4],
        unit="times the student's own",
    )


class FactorialStudy(Study):
    """Locality x entropy: whether the two act apart."""

    interaction_margin: Positive = setting("smallest interaction that matters", 2, unit="margins of the equivalence")


class Studies(Part):
    """Studies beside the main grid; entries with in_grid false belong to no other cells."""

    cuts: CutsStudy = setting("training queries filtered by the teacher's entropy", left_out)
    factorial: FactorialStudy = setting(
        "locality x entropy: samplers by the share of near negatives (function mixed), losses by the teacher's "
        "temperature (function kl), each in rising order",
        left_out,
    )
    teachers: Study = setting("the same cells under weaker and stronger teachers", left_out)
    collections: Study = setting("the same cells trained on another collection (samplers with a collection)", left_out)
    losses: Study = setting("more losses than the grid has, compared as the grid's are", left_out)
    budgets: BudgetsStudy = setting("learning curves over the budget", left_out)
