"""What each job computes on a GPU or a CPU, and the bytes that it leaves: counted as the rules' scripts go through."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.experiment.studies import budget
from workflow_scripts.plan.dry_run import Job
from workflow_scripts.plan.sizes import Sizes, UnknownSize
from workflow_scripts.plan.throughput import Shape, backbone_shape

TRAINING_PASSES = 3  # a backward pass is two forward passes
PAIR_SPECIALS, TEXT_SPECIALS = 3, 2  # [CLS] query [SEP] document [SEP]; [CLS] text [SEP]
GPU_STAGES = {
    "train_teacher": "teacher training",
    "train_student": "student training",
    **dict.fromkeys(("score_pool", "score_shard"), "scoring pools"),
    "label_groups": "labelling",
    **dict.fromkeys(("rerank_candidates", "rerank_dense_candidates"), "re-ranking"),
    **dict.fromkeys(("search_dense", "search_shard", "retrieve_documents"), "dense retrieval"),
    "embed_groups": "locality embedding",
}
"""GPU rule to its stage."""
PREPARING = ("prepare_corpus", "build_index")
OTHER_JOBS = "tables and other jobs"


class Load(NamedTuple):
    """What one job computes: ``texts`` (pairs, documents or queries) of ``flops`` together, ``kind`` of its speed."""

    kind: str
    texts: float
    flops: float

    def plus(self, other: Load) -> Load:
        """This and another of its kind."""
        return Load(self.kind, self.texts + other.texts, self.flops + other.flops)


class Work:
    """Loads, core-seconds and bytes of an experiment's jobs, by the rates of ``figures``.

    Upper bounds are taken where a count hangs on the data: pools as if they had no pair in common, rankings as if full.
    Every method raises UnknownSize for what is given neither in the config nor in the figures.
    """

    def __init__(self, experiment: Experiment, figures: Mapping) -> None:
        self.experiment, self.config, self.figures = experiment, experiment.config, figures
        self.sizes, self.rankers = Sizes(experiment, figures), Rankers(experiment)
        self.group, self.training = 1 + self.config["training"]["negatives"], self.config["training"]["collection"]

    @functools.cache  # noqa: B019 (as long as the bill)
    def shape(self, backbone: str) -> Shape:
        """Shape of a backbone."""
        return backbone_shape(backbone, self.experiment.entry("backbones", backbone), self.figures)

    def parameters(self, job: Job) -> int:
        """Weights of the model that a job fetches or trains."""
        backbone = job.wildcards.get("backbone")
        if job.rule == "train_teacher":
            backbone = self.rankers.teacher(job["teacher"])["backbone"]
        return self.shape(backbone or self.rankers.backbone(job["ranker"])).parameters

    # On a GPU

    def load(self, job: Job) -> Load:
        """What a job of one of :data:`GPU_STAGES` computes."""
        match job.rule:
            case "train_teacher":
                about = self.rankers.teacher(job["teacher"])
                return self._training("cross-encoder", about["backbone"], about["documents"], about["sampler"])
            case "train_student":
                ranker = self.experiment.ranker(job["ranker"])
                documents = budget(self.config, ranker.student)
                return self._training(*self.rankers.architecture(ranker.path), documents, ranker.sampler)
            case "score_pool" | "score_shard":
                number = self.sizes.pool_pairs(job["pool"]) / self._shards(job)
                backbone = self.rankers.teacher(job["teacher"])["backbone"]
                return self._pairs(backbone, number, self.experiment.pool_collection(job["pool"]))
            case "label_groups":
                sampler = job["groups_id"].split(".")[0]
                missing = (self.group - 1) * self.sizes.unscored_share(sampler)
                pools = self.config["samplers"][sampler]["pools"]
                missing += not any(self.config["pools"][pool]["positives"] for pool in pools)
                collection = self.experiment.training_collection_of(sampler)
                backbone = self.rankers.teacher(job["teacher"])["backbone"]
                return self._pairs(backbone, missing * self.sizes.queries(collection), collection)
            case "rerank_candidates" | "rerank_dense_candidates":
                return self._reranking(job)
            case "search_dense" | "search_shard":
                backbone = self.rankers.dense_encoder(job["system"])[1]
                return self._retrieval(backbone, [job["collection"]], self._shards(job))
            case "retrieve_documents":
                return self._retrieval(self.rankers.backbone(job["ranker"]), self._tested(job))
        return self._texts(self.embedding_backbone, self.embedded, self._document_tokens(self.training))

    def _shards(self, job: Job) -> int:
        return int(job["shard"].partition("-of-")[2]) if job.rule.endswith("_shard") else 1

    def _document_tokens(self, collection: str) -> float:
        return self.sizes.document_tokens(self.sizes.corpus(collection))

    def _pairs(self, backbone: str, number: float, collection: str) -> Load:
        """Pairs of a collection through a cross-encoder, forward."""
        tokens = self.sizes.query_tokens(collection) + self._document_tokens(collection)
        return Load("scoring", number, number * self.shape(backbone).forward(tokens + PAIR_SPECIALS))

    def _texts(self, backbone: str, number: float, tokens: float) -> Load:
        """Single texts through an encoder, forward."""
        return Load("encoding", number, number * self.shape(backbone).forward(tokens + TEXT_SPECIALS))

    def _training(self, architecture: str, backbone: str, documents: int, sampler: str) -> Load:
        """A budget of documents: pairs of a cross-encoder; of a bi-encoder documents, and a query a group."""
        collection = self.experiment.training_collection_of(sampler)
        if architecture == "cross-encoder":
            return Load("CE training", documents, TRAINING_PASSES * self._pairs(backbone, documents, collection).flops)
        queries = self._texts(backbone, documents / self.group, self.sizes.query_tokens(collection))
        load = self._texts(backbone, documents, self._document_tokens(collection)).plus(queries)
        return Load("BE training", documents, TRAINING_PASSES * load.flops)

    def _reranking(self, job: Job) -> Load:
        """The first stage's top documents of every test query of a set; a bi-encoder embeds each text once."""
        architecture, backbone = self.rankers.architecture(job["ranker"])
        load = Load("scoring" if architecture == "cross-encoder" else "encoding", 0, 0)
        for name in self._tested(job):
            documents, queries = self.sizes.documents(self.sizes.corpus(name)), self.sizes.queries(name)
            depth = self.config["first_stage"]["depth"]
            if architecture == "cross-encoder":
                load = load.plus(self._pairs(backbone, queries * min(depth, documents), name))
            else:
                candidates = self._texts(backbone, self.sizes.candidates(name), self._document_tokens(name))
                load = load.plus(candidates).plus(self._texts(backbone, queries, self.sizes.query_tokens(name)))
        return load

    def _retrieval(self, backbone: str, collections: list[str], shards: int = 1) -> Load:
        """Every document of each corpus once, every query, and their inner products: 2 queries documents hidden."""
        load = Load("encoding", 0, 0)
        for corpus in {self.sizes.corpus(collection): None for collection in collections}:
            number = self.sizes.documents(corpus) / shards
            load = load.plus(self._texts(backbone, number, self.sizes.document_tokens(corpus)))
        for name in collections:
            queries, documents = self.sizes.queries(name), self.sizes.documents(self.sizes.corpus(name)) / shards
            load = load.plus(self._texts(backbone, queries, self.sizes.query_tokens(name)))
            load = load.plus(Load("encoding", 0, 2 * queries * documents * self.shape(backbone).hidden))
        return load

    @functools.cached_property
    def embedded(self) -> float:
        """Documents whose vectors locality is measured by, at most: as if no two groups had one in common."""
        wanted, queries = self.config["analysis"]["locality"]["queries"], self.sizes.queries(self.training)
        drawn = {(self.experiment.groups_id(*each[:2]), each[2]) for each in self.experiment.uncut_groups}
        listed = min(queries, wanted or queries) * self.group * len(drawn)
        return min(listed, self.sizes.documents(self.sizes.corpus(self.training)))

    @property
    def embedding_backbone(self) -> str:
        """Backbone of the vectors that locality is measured by."""
        return self.rankers.encoder(self.experiment.embedding, "analysis.locality.embedding")[1]

    def idle_s(self, job: Job) -> float:
        """Seconds for which a job holds a GPU while one core lists or looks up pairs."""
        if job.rule == "score_pool" or (job.rule == "label_groups" and self.config["device"] == "auto"):
            return self._looking_up(job)
        return 0.0

    def _looking_up(self, job: Job) -> float:
        """A pool is listed from rankings; groups are looked up in what a sampler's pools hold."""
        if "pool" in job.wildcards:
            return self.sizes.pool_pairs(job["pool"]) / self.figures["cpu"]["listed_pairs_s"]
        pools = self.config["samplers"][job["groups_id"].split(".")[0]]["pools"]
        return sum(map(self.sizes.pool_pairs, pools)) / self.figures["cpu"]["pool_pairs_s"]

    # On a CPU

    def core_s(self, job: Job) -> tuple[str, float]:
        """Stage and core-seconds of a job that uses no GPU."""
        sizes, cpu, words = self.sizes, self.figures["cpu"], self.figures["tokens_per_word"]
        preparing = "preparing, tokenising"
        match job.rule:
            case "prepare_corpus":
                return preparing, sizes.documents(job["corpus"]) / cpu["documents_s"]
            case "build_index":
                return "indexing", sizes.documents(job["corpus"]) * sizes.words(job["corpus"]) / cpu["indexed_words_s"]
            case "tokenise_corpus":  # whole texts: what is cut is cut after
                texts = sizes.documents(job["corpus"]) * sizes.words(job["corpus"])
                return preparing, texts * words / cpu["tokens_s"]
            case "tokenise_queries":
                tokens = sizes.queries(job["collection"]) * sizes.query_tokens(job["collection"])
                return preparing, tokens / cpu["tokens_s"]
            case "tokenise_evaluation":  # of the candidates: the queries are next to nothing
                listed = (sizes.candidates(name) * sizes.words(sizes.corpus(name)) for name in self._tested(job))
                return preparing, sum(listed) * words / cpu["tokens_s"]
            case "gather_evaluation" | "gather_dense_candidates" | "tokenise_dense_candidates":
                return preparing, cpu["other_job_s"]
            case "search_index":
                documents = sizes.documents(sizes.corpus(job["collection"]))
                seconds = sizes.queries(job["collection"]) * documents / 1e6 * cpu["query_s_a_million_documents"]
                return "BM25 search", seconds
            case "list_pairs" | "look_up_labels":
                return "looking pairs up", self._looking_up(job)
            case "mine_negatives":
                return "mining", sizes.queries(self._training_collection(job)) / cpu["mined_queries_s"]
            case "measure_runs":
                return "measuring", sum(map(sizes.queries, self._tested(job))) / cpu["measured_queries_s"]
            case "pretrain_backbone":  # in each step a batch of pairs of a few words and a text
                backbone = self.config["backbones"][job["backbone"]]
                tokens = max(map(sizes.document_tokens, backbone["corpora"])) + self.config["lengths"]["query"]
                pairs = backbone["pretraining"]["steps"] * backbone["pretraining"]["batch"]
                flops = TRAINING_PASSES * pairs * self.shape(job["backbone"]).forward(tokens + PAIR_SPECIALS)
                return "pretraining from scratch", flops / (cpu["gflops"] * 1e9)
        return OTHER_JOBS, cpu["other_job_s"]

    def _training_collection(self, job: Job) -> str:
        return self.experiment.training_collection_of(self.experiment.sampler_of(job["groups_id"])[0])

    def _tested(self, job: Job) -> list[str]:
        """Collections of a job's evaluation set: all, or those with other candidates than BM25's."""
        others = job.rule == "retrieve_documents" or job.rule.endswith("_dense_candidates")
        ranker = job.wildcards.get("ranker", "bm25") if job.rule == "measure_runs" else "bm25"
        return self.experiment.collections_in("retrieved/" if others else ranker, job["set"])

    # In memory

    def memory_bytes(self, job: Job) -> float:
        """Memory of a job that grows with a corpus or a pool; 0 for the others."""
        memory, corpora = self.figures["memory"], self._corpora(job)
        if not corpora:
            return 0.0
        each = memory["prepared_document" if job.rule in PREPARING else "document"]
        pairs = self.sizes.pool_pairs(job["pool"]) if job.rule in ("score_pool", "list_pairs") else 0
        return memory["start"] + max(map(self.sizes.documents, corpora)) * each + pairs * memory["listed_pair"]

    def _corpora(self, job: Job) -> list[str]:
        """Corpora of which a job keeps every document's id or place."""
        match job.rule:
            case "prepare_corpus" | "build_index" | "tokenise_corpus":
                return [job["corpus"]]
            case "score_pool" | "score_shard" | "list_pairs" | "merge_pool":
                return [self.sizes.corpus(self.experiment.pool_collection(job["pool"]))]
            case "mine_negatives" | "look_up_labels" | "label_groups":
                return [self.sizes.corpus(self._training_collection(job))]
            case "train_student":
                return [self.sizes.corpus(self.rankers.collection(job["ranker"]))]
            case "train_teacher" | "embed_groups":
                return [self.sizes.corpus(self.training)]
            case "search_dense" | "search_shard" | "merge_search":
                return [self.sizes.corpus(job["collection"])]
            case "retrieve_documents":
                return list(map(self.sizes.corpus, self._tested(job)))
        return []

    # On the disk

    def disk_bytes(self, job: Job) -> tuple[str, float]:
        """Kind and bytes of the files that a job leaves; tables, figures and what is small are left out."""
        sizes, disk = self.sizes, self.figures["disk"]
        match job.rule:
            case "prepare_corpus":
                words = sizes.documents(job["corpus"]) * sizes.words(job["corpus"])
                return "text", words * disk["text_a_word"]
            case "prepare_collection":
                words = sizes.query_tokens(job["collection"]) / self.figures["tokens_per_word"]
                return "text", sizes.queries(job["collection"]) * words * disk["text_a_word"]
            case "build_index":
                words = sizes.documents(job["corpus"]) * sizes.words(job["corpus"])
                twice = 2 if self.config["corpora"][job["corpus"]].get("docvectors") else 1
                return "index", words * twice * disk["index_a_word"]
            case rule if rule.startswith("tokenise"):
                return "token stores", self._token_store(job)
            case "gather_evaluation" | "gather_dense_candidates":
                return "rankings", self._run_rows(job) * disk["ranked"]
            case "search_index" | "search_dense" | "merge_search" | "import_rankings":
                return "rankings", self._ranked(job) * disk["ranked"]
            case "search_shard":  # each finds as many documents as all of them together: a score, a place
                return "shards", self._ranked(job) * 12
            case "download_file":
                url = self.config["systems"][job["system"]]["url"]
                if url not in self.figures["imports"]:
                    raise UnknownSize(f"unknown size of {url}: give its bytes under imports in --figures FILE")
                return "rankings", self.figures["imports"][url]["bytes"]
            case "list_pairs" | "score_shard":  # a code of eight bytes, a score of four
                each = 8 if job.rule == "list_pairs" else 4
                return "shards", sizes.pool_pairs(job["pool"]) / self._shards(job) * each
            case "score_pool" | "merge_pool":
                return "scores", sizes.pool_pairs(job["pool"]) * disk["pair"]
            case "mine_negatives" | "label_groups":
                return "groups, labels", sizes.queries(self._training_collection(job)) * self.group * disk["pair"]
            case "fetch_backbone" | "pretrain_backbone" | "train_teacher" | "train_student":
                return "models", self.parameters(job) * disk["parameter"]
            case "rerank_candidates" | "rerank_dense_candidates" | "retrieve_documents":
                return "runs", self._run_rows(job) * disk["pair"]
            case "measure_runs":  # kept with the ranker and once more with all of them
                measures, more = (self.config["evaluation"][key] for key in ("measures", "more_measures"))
                values = (sizes.queries(name) * len([*measures, *more.get(name, [])]) for name in self._tested(job))
                return "metrics", 2 * sum(values) * disk["value"]
            case "embed_groups":
                return "vectors", self.embedded * self.shape(self.embedding_backbone).hidden * 4
        return "", 0.0

    def _token_store(self, job: Job) -> float:
        disk, sizes = self.figures["disk"], self.sizes
        wide = 2 if self.shape(self.experiment.vocabulary_backbone(job["vocabulary"])).vocabulary >= 2**16 else 1
        if job.rule == "tokenise_corpus":
            texts = [(sizes.documents(job["corpus"]), sizes.document_tokens(job["corpus"]))]
        elif job.rule == "tokenise_queries":
            texts = [(sizes.queries(job["collection"]), sizes.query_tokens(job["collection"]))]
        else:
            tested = self._tested(job)
            texts = [(sizes.candidates(name), self._document_tokens(name)) for name in tested]
            texts += [(sizes.queries(name), sizes.query_tokens(name)) for name in tested]
        return sum(number * (tokens * disk["token"] * wide + disk["stored_text"]) for number, tokens in texts)

    def _ranked(self, job: Job) -> float:
        system = self.config["systems"][job["system"]]
        lists = len(system["systems"]) if system["model"] == "import" else 1
        depth = min(system["depth"], self.sizes.documents(self.sizes.corpus(job["collection"])))
        return self.sizes.queries(job["collection"]) * lists * depth

    def _run_rows(self, job: Job) -> float:
        retrieved = job.rule == "retrieve_documents"
        depth = (self.config["evaluation"]["retrieval"] if retrieved else self.config["first_stage"])["depth"]
        tested = self._tested(job)
        corpora = {name: self.sizes.documents(self.sizes.corpus(name)) for name in tested}
        return sum(self.sizes.queries(name) * min(depth, corpora[name]) for name in tested)
