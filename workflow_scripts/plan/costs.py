"""What a job costs: counts of what it reads, times the rates of its rule's row in config/expected/throughput.yaml.

Counts are known before any text is there: from the config, else from the same file. They are upper bounds where they
hang on the data: pools as if they had no pair in common, rankings as if full.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.experiment.references import ranked_by
from workflow_scripts.experiment.studies import budget
from workflow_scripts.plan.jobs import Job
from workflow_scripts.plan.throughput import Shape, backbone_shape
from workflow_scripts.storage.errors import InputError

PAIR_SPECIALS, TEXT_SPECIALS = 3, 2  # [CLS] query [SEP] document [SEP]; [CLS] text [SEP]
TRAINING_PASSES = 3  # a backward pass is two forward passes
Counts = dict[str, Callable[[], float]]
"""Counts by the names that rows have for them, each found when it is asked for: no job has them all."""


class UnknownSize(InputError):
    """Something whose size neither the config nor the figures give."""


class Texts(NamedTuple):
    """How many texts there are, the mean words of one, and its tokens, cut, in a token store."""

    number: int
    words: float
    tokens: float


class Cost(NamedTuple):
    """What a job takes and leaves, by its rule's row; ``kind``: of its work on a GPU, none on the CPU."""

    stage: str = ""
    kind: str = ""
    texts: float = 0
    flops: float = 0
    core_s: float = 0
    memory: float = 0
    files: str = ""
    size: float = 0
    checkpoint: float = 0


class Costs:
    """Costs of an experiment's jobs. Every method raises :class:`UnknownSize` for what nothing gives the size of."""

    def __init__(self, experiment: Experiment, figures: Mapping) -> None:
        self.experiment, self.config, self.figures = experiment, experiment.config, figures
        self.entry, self.rankers = experiment.entry, Rankers(experiment)
        self.group = 1 + self.config["training"]["negatives"]

    def of(self, job: Job) -> Cost:
        """Cost of a job by its rule's row, or by that of any other rule."""
        rules = self.figures["rules"]
        if job.rule not in rules:
            return Cost(rules["other"]["stage"], core_s=rules["other"]["core_s"]["job"])
        row, read = rules[job.rule], self._read(job)
        counts = [self._counts(job, collection, corpus, read) for collection, corpus in read]

        def total(rates: Mapping) -> float:
            if unknown := rates.keys() - counts[0].keys():
                valid = ", ".join(counts[0])
                raise InputError(f"rules.{job.rule} of the figures: no count {', '.join(unknown)}: there are {valid}")
            # A job is one, and keeps the documents of one corpus at a time in memory.
            each = {name: [one[name]() for one in counts] for name in rates}
            sums = {name: (max if name in ("job", "documents") else sum)(each[name]) for name in rates}
            return sum(sums[name] * float(Fraction(rate)) for name, rate in rates.items())

        core_s, memory, checkpoint = (total(row.get(part, {})) for part in ("core_s", "memory", "checkpoint"))
        ((files, rates),) = row.get("disk", {"": {}}).items()
        load = self._load(job, row["gpu"], counts) if "gpu" in row else ("", 0, 0)
        return Cost(row["stage"], *load, core_s, memory, files, total(rates), checkpoint)

    def _load(self, job: Job, gpu: Mapping[str, str], counts: list[Counts]) -> tuple[str, float, float]:
        """Kind, texts and arithmetic of a job on a GPU: a cross-encoder reads pairs, an encoder each text alone."""
        architecture, shape = self._model(job)
        in_pairs, texts, flops = architecture == "cross-encoder", 0.0, 0.0
        for one in counts:
            numbers = {text: one[name]() for text, name in gpu.items() if (text == "pair") == in_pairs}
            flops += 2 * shape.hidden * numbers.pop("product", 0)  # of two vectors
            flops += sum(number * shape.forward(one[f"{text}_tokens"]()) for text, number in numbers.items())
            texts += sum(numbers.values())
        if gpu.get("pair") == "budget":
            return "CE training" if in_pairs else "BE training", counts[0]["budget"](), TRAINING_PASSES * flops
        return "scoring" if in_pairs else "encoding", texts, flops

    def _counts(self, job: Job, collection: str, corpus: str, read: list[tuple[str, str]]) -> Counts:
        """Counts of a job on one of the collections that it reads."""
        document = self.texts("corpora", corpus)
        query = self.texts("collections", collection) if collection else document._replace(number=0)
        documents, queries, (lists, depth) = document.number, query.number, self._rankings(job)
        candidates = document._replace(number=min(queries * depth, documents))
        # Of what is prepared, indexed or tokenised: its words, uncut, and its tokens, cut.
        made = [query, candidates] if "set" in job.wildcards else [query if collection else document]
        words, tokens = sum(each.number * each.words for each in made), sum(each.number * each.tokens for each in made)
        return {
            "job": lambda: 1,
            "documents": lambda: documents,  # of a corpus
            "queries": lambda: queries,
            "texts": lambda: sum(each.number for each in made),
            "words": lambda: words,
            "indexed_words": lambda: words * (2 if self.entry("corpora", corpus).get("docvectors") else 1),
            "token_bytes": lambda: tokens * (2 if self._model(job)[1].vocabulary < 2**16 else 4),
            "ranked": lambda: lists * queries * min(depth, documents),  # rows of rankings or runs
            "candidates": lambda: candidates.number,  # distinct documents of these rows
            "searched": lambda: documents / job.shards / sum(other == corpus for _, other in read),  # each corpus once
            "matches": lambda: queries * documents / job.shards,  # of a query and a document
            "values": lambda: queries * len(self.rankers.measures(job["ranker"], collection)),
            "pairs": lambda: self.pool_pairs(job["pool"]) / job.shards,
            "grouped": lambda: queries * self.group,  # places in groups
            "looked_up": lambda: self._looked_up(job),
            "unscored": lambda: queries * self._unscored(self.experiment.sampler_of(job["groups_id"])[0]),
            "budget": lambda: self._budget(job),
            "budget_groups": lambda: self._budget(job) / self.group,
            "parameters": lambda: self._model(job)[1].parameters,
            "pretraining_s": lambda: self._pretraining_s(job["backbone"]),
            "embedded": lambda: min(self._embedded(queries), documents),
            "vector_floats": lambda: min(self._embedded(queries), documents) * self._model(job)[1].hidden,
            "published_bytes": lambda: self._published_bytes(job["system"]),
            "query_tokens": lambda: query.tokens + TEXT_SPECIALS,  # of one sequence in a model
            "document_tokens": lambda: document.tokens + TEXT_SPECIALS,
            "pair_tokens": lambda: query.tokens + document.tokens + PAIR_SPECIALS,
        }

    def _read(self, job: Job) -> list[tuple[str, str]]:
        """Collections that a job reads, each with its corpus; a corpus alone with no collection."""
        experiment, training_collection_of = self.experiment, self.experiment.training_collection_of
        names = [self.config["training"]["collection"]]
        match job.wildcards:
            case {"corpus": corpus}:
                return [("", corpus)]
            case {"set": name}:
                dense = job.rule == "retrieve_documents" or job.rule.endswith("_dense_candidates")
                ranker = job["ranker"] if job.rule == "measure_runs" else "retrieved/" if dense else "bm25"
                names = experiment.collections_in(ranker, name)
            case {"collection": name}:
                names = [name]
            case {"pool": name}:
                names = [experiment.pool_collection(name)]
            case {"groups_id": name}:
                names = [training_collection_of(experiment.sampler_of(name)[0])]
            case {"teacher": name}:
                names = [training_collection_of(self.rankers.teacher(name)["sampler"])]
            case {"ranker": name}:
                names = [self.rankers.collection(name)]
        return [(name, self.entry("collections", name)["corpus"]) for name in names]

    def _rankings(self, job: Job) -> tuple[int, int]:
        """Rankings of a query that a job reads or writes, and their depth."""
        if "system" in job.wildcards:
            return len(ranked_by(self.config, job["system"])), self.entry("systems", job["system"])["depth"]
        retrieved = job.rule == "retrieve_documents"
        return 1, (self.config["evaluation"]["retrieval"] if retrieved else self.config["first_stage"])["depth"]

    def _model(self, job: Job) -> tuple[str, Shape]:
        """Architecture and shape of the model that a job makes or reads, or whose vocabulary it writes."""
        rankers, architecture = self.rankers, ""
        match job.wildcards:
            case {"backbone": backbone}:
                pass
            case {"vocabulary": name}:
                backbone = self.experiment.vocabulary_backbone(name)
            case {"teacher": name}:
                architecture, backbone = "cross-encoder", rankers.teacher(name)["backbone"]
            case {"ranker": name}:
                architecture, backbone = rankers.architecture(name)
            case {"system": name}:
                _, backbone = rankers.dense_encoder(name)
            case _:
                _, backbone = rankers.encoder(self.experiment.embedding)
        return architecture, self.shape(backbone)

    @functools.cache  # noqa: B019 (as long as the bill)
    def shape(self, backbone: str) -> Shape:
        """Shape of a backbone."""
        return backbone_shape(backbone, self.entry("backbones", backbone), self.figures)

    def _budget(self, job: Job) -> int:
        """Documents that a job trains on."""
        if job.rule == "train_teacher":
            return self.rankers.teacher(job["teacher"])["documents"]
        return budget(self.config, self.experiment.ranker(job["ranker"]).student)

    def _pretraining_s(self, name: str) -> float:
        """Seconds of a core for a backbone: in each step a batch of pairs of a few words and a text."""
        backbone = self.entry("backbones", name)
        text = max(self.texts("corpora", corpus).tokens for corpus in backbone["corpora"])
        pairs = backbone["pretraining"]["steps"] * backbone["pretraining"]["batch"]
        forward = self.shape(name).forward(self.config["lengths"]["query"] + text + PAIR_SPECIALS)
        return TRAINING_PASSES * pairs * forward / (self.figures["cpu"]["gflops"] * 1e9)

    def _embedded(self, queries: int) -> int:
        """Documents whose vectors locality is measured by, at most: as if no two groups had one in common."""
        wanted, groups_id = self.config["analysis"]["locality"]["queries"], self.experiment.groups_id
        groups = {(groups_id(sampler, teacher), seed) for sampler, teacher, seed in self.experiment.uncut_groups}
        return min(queries, wanted or queries) * self.group * len(groups)

    def _published_bytes(self, system: str) -> int:
        """Bytes of a published file of rankings."""
        url = self.entry("systems", system)["url"]
        if url not in self.figures["imports"]:
            raise UnknownSize(f"unknown size of {url}: give its bytes under imports in --figures FILE")
        return self.figures["imports"][url]["bytes"]

    def _looked_up(self, job: Job) -> float:
        """All pairs of a sampler's pools, read for those of its groups: by the GPU's job where none does it before."""
        here = job.rule == "look_up_labels" or self.config["device"] == "auto"
        sampler, _ = self.experiment.sampler_of(job["groups_id"])
        return here * sum(map(self.pool_pairs, self.entry("samplers", sampler)["pools"]))

    def _unscored(self, sampler: str) -> float:
        """Pairs of a group that none of its sampler's pools holds.

        Negatives of a ranking that some pool holds as deep as they are drawn are known, those of any other are not.
        """
        entry = self.entry("samplers", sampler)
        options, systems = entry["options"], entry["systems"]
        pools = [self.entry("pools", name) for name in entry["pools"]]
        depth = options.get("pool", options.get("depth", 1))
        scored = {name for pool in pools if pool["depth"] >= depth for name in pool["systems"]}
        known = options.get("share", 1.0) * len(scored & {*systems}) / len(systems) if systems else 0.0
        # What is drawn by the scores of pools is in them.
        negatives = 0 if entry["reads_teacher"] else (self.group - 1) * (1 - known)
        return negatives + (not any(pool["positives"] for pool in pools))

    def pool_pairs(self, pool: str) -> float:
        """Pairs of a pool, at most: as if none were in a pool that it knows."""
        entry, listed = self.entry("pools", pool), 0.0
        for name in entry["systems"]:
            system = self.entry("systems", name)
            number = len(ranked_by(self.config, name)) * min(entry["depth"], system["depth"])
            # Imported rankings have documents in common.
            listed += min(number, self.figures["imports"].get(system.get("url"), {}).get("documents", number))
        collection = self.experiment.pool_collection(pool)
        corpus = self.texts("corpora", self.entry("collections", collection)["corpus"])
        positives = self.figures["positives_a_query"] if entry["positives"] else 0
        return self.texts("collections", collection).number * (positives + min(listed, corpus.number))

    @functools.cache  # noqa: B019
    def texts(self, axis: str, name: str) -> Texts:
        """Documents of one of the ``corpora``, or queries of one of the ``collections``, which may be a sample."""
        entry, figures, tokens_a_word = self.entry(axis, name), self.figures, self.figures["tokens_per_word"]
        one, many = ("document", "documents") if axis == "corpora" else ("query", "queries")
        if entry["source"] == "generated":
            number, words, tokens_a_word = entry[many], figures["generated"][f"{one}_tokens"], 1
        elif entry.get("pairs") == "titles":
            number, words = self.texts("corpora", entry["corpus"]).number, figures["titles"]["words"]
        elif known := figures[axis].get(key := entry.get("id") or entry.get(many)):
            number, words = known[many], known["words"]
        else:
            raise UnknownSize(
                f"unknown size of {axis}.{name}: give {many} and words of {key} under {axis} in a copy of "
                "config/expected/throughput.yaml, --figures FILE"
            )
        number = min(number, entry.get("max_queries") or number)
        return Texts(number, words, min(words * tokens_a_word, self.config["lengths"][one]))
