"""What each job takes of the processor and of the disk."""

from __future__ import annotations

from collections.abc import Mapping

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.plan.dry_run import Job
from workflow_scripts.plan.sizes import Sizes, UnknownSize
from workflow_scripts.plan.throughput import PAIR_SPECIALS, TRAINING_PASSES
from workflow_scripts.plan.workload import Workload

CPU_STAGES = {
    "prepare_corpus": "preparing, tokenising",
    "tokenise_corpus": "preparing, tokenising",
    "tokenise_queries": "preparing, tokenising",
    "gather_evaluation": "preparing, tokenising",
    "tokenise_evaluation": "preparing, tokenising",
    "gather_dense_candidates": "preparing, tokenising",
    "tokenise_dense_candidates": "preparing, tokenising",
    "build_index": "indexing",
    "search_index": "BM25 search",
    "mine_negatives": "mining",
    "measure_runs": "measuring",
    "pretrain_backbone": "pretraining from scratch",
}
OTHER_JOBS = "tables and other jobs"
FILES = {
    "prepare_corpus": "text",
    "prepare_collection": "text",
    "build_index": "index",
    "tokenise_corpus": "token stores",
    "tokenise_queries": "token stores",
    "tokenise_evaluation": "token stores",
    "tokenise_dense_candidates": "token stores",
    "gather_evaluation": "rankings",
    "gather_dense_candidates": "rankings",
    "search_index": "rankings",
    "search_dense": "rankings",
    "import_rankings": "rankings",
    "download_file": "rankings",
    "score_pool": "scores",
    "mine_negatives": "groups, labels",
    "label_groups": "groups, labels",
    "fetch_backbone": "models",
    "pretrain_backbone": "models",
    "train_teacher": "models",
    "train_student": "models",
    "rerank_candidates": "runs",
    "rerank_dense_candidates": "runs",
    "retrieve_documents": "runs",
    "measure_runs": "metrics",
    "embed_groups": "vectors",
}
"""Rule to the kind of file that it leaves; tables and figures are left out."""


class Footprint:
    """Core-seconds and bytes of an experiment's jobs, by the rates of ``figures``."""

    def __init__(self, experiment: Experiment, sizes: Sizes, workload: Workload, figures: Mapping) -> None:
        self.experiment, self.sizes, self.workload = experiment, sizes, workload
        self.config, self._cpu, self._disk, self._imports = (
            experiment.config,
            figures["cpu"],
            figures["disk"],
            figures["imports"],
        )
        self._word = figures["tokens_per_word"]

    def core_s(self, job: Job) -> float:
        """Core-seconds of a job that uses no GPU; UnknownSize where a size is not known."""
        sizes, cpu = self.sizes, self._cpu
        match job.rule:
            case "prepare_corpus":
                return sizes.documents(job["corpus"]) / cpu["documents_s"]
            case "build_index":
                return sizes.documents(job["corpus"]) * sizes.words(job["corpus"]) / cpu["indexed_words_s"]
            case "tokenise_corpus":  # whole texts: what is cut is cut after
                words = sizes.documents(job["corpus"]) * sizes.words(job["corpus"])
                return words * self._word / cpu["tokens_s"]
            case "tokenise_queries":
                return sizes.queries(job["collection"]) * sizes.query_tokens(job["collection"]) / cpu["tokens_s"]
            case "tokenise_evaluation":
                evaluated = self._evaluated(job)
                return sum(map(self._evaluated_words, evaluated)) * self._word / cpu["tokens_s"]
            case "search_index":
                documents = sizes.documents(sizes.corpus(job["collection"]))
                return sizes.queries(job["collection"]) * documents / 1e6 * cpu["query_s_a_million_documents"]
            case "mine_negatives":
                return self._training_queries(job["groups_id"]) / cpu["mined_queries_s"]
            case "measure_runs":
                return sum(map(sizes.queries, self._measured(job))) / cpu["measured_queries_s"]
            case "pretrain_backbone":
                return self._pretraining(job["backbone"]) / (cpu["gflops"] * 1e9)
            case _:
                return cpu["other_job_s"]

    def disk_bytes(self, job: Job) -> float:
        """Bytes of the files that a job of one of :data:`FILES` leaves; UnknownSize where a size is not known."""
        disk, kind = self._disk, FILES[job.rule]
        if kind == "text":
            return self._text(job)
        if kind == "index":
            twice = 2 if self.config["corpora"][job["corpus"]].get("docvectors") else 1
            return self.sizes.documents(job["corpus"]) * self.sizes.words(job["corpus"]) * twice * disk["index_a_word"]
        if kind == "token stores":
            return self._token_store(job)
        if kind == "rankings":
            return self._ranking(job)
        if kind == "scores":
            return self.sizes.pool_pairs(job["pool"]) * disk["pair"]
        if kind == "groups, labels":
            group = 1 + self.config["training"]["negatives"]
            return self._training_queries(job["groups_id"]) * group * disk["pair"]
        if kind == "models":
            return self._parameters(job) * disk["parameter"]
        if kind == "runs":
            return self._run_rows(job) * disk["pair"]
        if kind == "metrics":
            return self._values(job) * disk["value"]
        hidden = self.workload.shape(self.workload.embedding_backbone()).hidden
        return self.workload.embedded() * hidden * 4

    def _training_queries(self, groups_id: str) -> int:
        return self.sizes.queries(self.experiment.training_collection_of(self.experiment.sampler_of(groups_id)[0]))

    def _pretraining(self, name: str) -> float:
        """Arithmetic of a backbone's pretraining: in each step a batch of pairs of a few words and a text."""
        backbone = self.config["backbones"][name]
        tokens = max(map(self.sizes.document_tokens, backbone["corpora"])) + self.config["lengths"]["query"]
        pairs = backbone["pretraining"]["steps"] * backbone["pretraining"]["batch"]
        return TRAINING_PASSES * pairs * self.workload.shape(name).forward(tokens + PAIR_SPECIALS)

    def _text(self, job: Job) -> float:
        if job.rule == "prepare_corpus":
            number, words = self.sizes.documents(job["corpus"]), self.sizes.words(job["corpus"])
        else:
            collection = job["collection"]
            number, words = self.sizes.queries(collection), self.sizes.query_tokens(collection) / self._word
        return number * words * self._disk["text_a_word"]

    def _evaluated_words(self, collection: str) -> float:
        """Words of the documents that are re-ranked for a collection; its queries are next to nothing."""
        return self.sizes.candidates(collection) * self.sizes.words(self.sizes.corpus(collection))

    def _token_store(self, job: Job) -> float:
        disk, sizes = self._disk, self.sizes
        backbone = self.experiment.vocabulary_backbone(job["vocabulary"])
        wide = 2 if self.workload.shape(backbone).vocabulary >= 2**16 else 1
        if job.rule == "tokenise_corpus":
            texts = [(sizes.documents(job["corpus"]), sizes.document_tokens(job["corpus"]))]
        elif job.rule == "tokenise_queries":
            texts = [(sizes.queries(job["collection"]), sizes.query_tokens(job["collection"]))]
        else:
            evaluated = self.experiment.collections_in("bm25", job["set"])
            texts = [(sizes.candidates(name), sizes.document_tokens(sizes.corpus(name))) for name in evaluated]
            texts += [(sizes.queries(name), sizes.query_tokens(name)) for name in evaluated]
        return sum(number * (tokens * disk["token"] * wide + disk["stored_text"]) for number, tokens in texts)

    def _ranking(self, job: Job) -> float:
        if job.rule in ("gather_evaluation", "gather_dense_candidates"):
            return self._run_rows(job) * self._disk["ranked"]
        system = self.config["systems"][job["system"]]
        if job.rule == "download_file":
            if system["url"] not in self._imports:
                raise UnknownSize(f"unknown size of {system['url']}: give its bytes under imports in --figures FILE")
            return self._imports[system["url"]]["bytes"]
        lists = len(system["systems"]) if system["model"] == "import" else 1
        depth = min(system["depth"], self.sizes.documents(self.sizes.corpus(job["collection"])))
        return self.sizes.queries(job["collection"]) * lists * depth * self._disk["ranked"]

    def _parameters(self, job: Job) -> int:
        backbone = dict(job.wildcards).get("backbone")
        return (self.workload.shape(backbone) if backbone else self.workload.trained_shape(job)).parameters

    def _evaluated(self, job: Job) -> list[str]:
        """Collections of a job's evaluation set: all, or those with other candidates than BM25's."""
        others = job.rule == "retrieve_documents" or job.rule.endswith("_dense_candidates")
        return self.experiment.collections_in("retrieved/" if others else "bm25", job["set"])

    def _run_rows(self, job: Job) -> float:
        retrieved = job.rule == "retrieve_documents"
        depth = (self.config["evaluation"]["retrieval"] if retrieved else self.config["first_stage"])["depth"]
        tested = self._evaluated(job)
        corpora = {name: self.sizes.documents(self.sizes.corpus(name)) for name in tested}
        return sum(self.sizes.queries(name) * min(depth, corpora[name]) for name in tested)

    def _measured(self, job: Job) -> list[str]:
        """Collections that a job measures a ranker on."""
        return self.experiment.collections_in(job["ranker"], job["set"])

    def _values(self, job: Job) -> float:
        """Measured values, kept with the ranker and once more with all of them."""
        evaluation, total = self.config["evaluation"], 0
        for name in self._measured(job):
            measures = len(evaluation["measures"]) + len(evaluation["more_measures"].get(name, []))
            total += self.sizes.queries(name) * measures
        return 2 * total
