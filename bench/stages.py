"""The pipeline's stages as commands for one scratch folder: what ``make bench-memory`` runs, in order."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.storage.code import script_of
from workflow_scripts.storage.errors import InputError

ROOT = Path(__file__).parents[1]
WORLD = {"source": "generated", "world": "in-domain", "seed": 7}
BM25 = {"system": "bm25", "model": "bm25", "k1": 0.9, "b": 0.4, "depth": 100}
BACKBONE = {
    "tokenizer": {"kind": "words", "size": 4000},
    "architecture": {"layers": 2, "hidden": 64, "heads": 2, "feed_forward": 128, "positions": 48},
    "pretraining": {"steps": 5, "batch": 64, "learning_rate": 0.003, "mlm_weight": 0.3},
    "seed": 0,
}
TRAINING = {
    "documents": 256,
    "batch_groups": 4,
    "group_size": 8,
    "learning_rate": 0.001,
    "dropout": 0.0,
    "seeds": {"initialisation": 0, "order": 0},
}
COLLECTION = "test"
THREADS = ("--threads", "1", "--memory-mb", "1536")


@dataclass(frozen=True)
class Stage:
    """A script's run: what the table calls it, the module, its options, the manifest it writes."""

    name: str
    script: str
    options: tuple[str, ...]
    output: Path

    def command(self, python: str) -> list[str]:
        """The command line."""
        return [python, "-m", script_of(self.script), *self.options, "--output", str(self.output)]


def run_stage(command: list[str], **environment: str) -> str:
    """What ``python -m module ...`` prints; raises :class:`InputError` with the end of its output where it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment, check=False)
    if done.returncode:
        tail = " / ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise InputError(f"{command[2]} ended with {done.returncode}: {tail}")
    return done.stdout


def list_stages(folder: Path, documents: int, queries: int) -> Iterator[Stage]:
    """Every stage of a study over the files that ``bench.documents`` wrote into ``folder / "files"``.

    A small model trained for a few steps stands for every model: what is asked is how memory grows with the corpus.
    """

    def at(name: str) -> Path:
        return folder / name / "manifest.json"

    def stage(name: str, script: str, spec: dict, output: str, *options: object) -> Stage:
        return Stage(name, script, ("--spec", json.dumps(spec), *map(str, options)), at(output))

    corpus, index = ("--corpus", at("corpus")), ("--index", at("index"))
    yield stage("prepare_corpus, generated", "prepare_corpus", {**WORLD, "documents": documents}, "world")
    for role in ("train", "test"):
        spec = {"source": "generated", "role": role, "queries": min(queries, documents // 16)}
        name = f"prepare_collection, generated, {role}"
        yield stage(name, "prepare_collection", spec, f"world-{role}", "--corpus", at("world"))
    files = folder / "files"
    yield stage(
        "prepare_corpus", "prepare_corpus", {"source": "files"}, "corpus", "--documents", files / "documents.jsonl"
    )
    for role in ("train", "test"):
        given = ("--queries", files / f"{role}.queries.jsonl", "--qrels", files / f"{role}.qrels")
        spec = {"source": "files", "role": role}
        yield stage(f"prepare_collection, {role}", "prepare_collection", spec, role, *corpus, *given)
    yield stage("build_index", "build_index", {"docvectors": False}, "index", *corpus, *THREADS)
    for role in ("train", "test"):
        given = (*index, "--collection", at(role), *THREADS)
        yield stage(f"search_index, {role}", "search_index", BM25, f"ranking-{role}", *given)
    yield stage("pretrain_backbone", "pretrain_backbone", BACKBONE, "backbone", *corpus)
    yield from _model_stages(stage, at)


def _model_stages(stage, at) -> Iterator[Stage]:
    """Token stores, mining, the teacher, a student of each kind, re-ranking."""
    corpus, backbone = ("--corpus", at("corpus")), ("--backbone", at("backbone"))
    documents = ("--documents", at("documents"))
    queries, rankings = ("--queries", at("train-queries")), ("--rankings", at("ranking-train"))
    spec = {"view": "full", "max_tokens": 36}
    yield stage("tokenise_corpus", "tokenise_corpus", spec, "documents", *backbone, *corpus)
    for role in ("train", "test"):
        given = (*backbone, "--collection", at(role))
        yield stage(f"tokenise_queries, {role}", "tokenise_queries", {"max_tokens": 8}, f"{role}-queries", *given)
    for sampler, options, given in (("random", {}, ()), ("bm25", {"depth": 100, "pool": 50}, rankings)):
        spec = {"sampler": sampler, "options": options, "negatives": 7, "seed": 0}
        inputs = (*corpus, "--collection", at("train"), *given)
        yield stage(f"mine_negatives, {sampler}", "mine_negatives", spec, f"groups-{sampler}", *inputs)
    training = (*backbone, "--groups", at("groups-bm25"), *queries, *documents)
    cross = TRAINING | {"architecture": "cross-encoder"}
    spec = cross | {"name": "teacher", "loss": {"function": "lce"}}
    yield stage("train_teacher", "train_ranker", spec, "teacher", *training)
    scoring = ("--model", at("teacher"), *queries, *documents)
    yield stage("score_pool", "score_pool", {"depth": 20, "precision": "auto"}, "pool", *scoring, *rankings)
    yield stage(
        "label_groups",
        "label_groups",
        {"precision": "auto"},
        "labels",
        *scoring,
        "--groups",
        at("groups-bm25"),
        "--known",
        at("pool"),
    )
    collection = ("--collections", COLLECTION, "--tests", at("test"))
    spec, first = {"depth": 100, "tag": "bm25"}, ("--rankings", at("ranking-test"))
    yield stage("gather_evaluation", "gather_evaluation", spec, "evaluation", *collection, *first)
    evaluation = ("--evaluation", at("evaluation"))
    spec = {"query_tokens": 8, "document_tokens": 36}
    given = (*backbone, *evaluation, *collection, "--corpora", at("corpus"))
    yield stage("tokenise_evaluation", "tokenise_evaluation", spec, "evaluation-tokens", *given)
    for kind in ("cross-encoder", "bi-encoder"):
        spec = TRAINING | {"architecture": kind, "name": kind, "loss": {"function": "kl"}}
        yield stage(f"train_student, {kind}", "train_ranker", spec, kind, *training, "--labels", at("labels"))
        tested = ("--collections", COLLECTION, *evaluation, "--tokens", at("evaluation-tokens"))
        spec = {"architecture": kind, "tag": kind, "precision": "auto"}
        name = f"rerank_candidates, {kind}"
        yield stage(name, "rerank_candidates", spec, f"run-{kind}", "--model", at(kind), *tested)
    spec = {"queries": None, "seed": 0, "precision": "auto", "max_tokens": None}
    groups = ("--groups", at("groups-random"), at("groups-bm25"), "--model", at("bi-encoder"))
    yield stage("embed_groups", "embed_groups", spec, "embeddings", *groups, *documents)
    spec = {"system": "dense", "depth": 100}
    given = ("--model", at("bi-encoder"), "--collection", at("test"), "--queries", at("test-queries"), *documents)
    yield stage("search_dense", "search_dense", spec, "dense", *given)
