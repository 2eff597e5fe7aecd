"""What jobs cost: counts of each rule by the figures' rates."""

from __future__ import annotations

import copy
import functools
import re

import pytest
from factories import shipped

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.plan.costs import Cost, Costs
from workflow_scripts.plan.jobs import Job
from workflow_scripts.plan.throughput import Shape, read_figures
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

FIGURES = read_figures()


@functools.cache
def experiment(*names: str) -> Experiment:
    return Experiment(shipped(*names or ["demo"]))


def job(rule: str, **wildcards: str) -> Job:
    return Job(rule, wildcards)


def cost_of(of: Experiment, rule: str, **wildcards: str) -> Cost:
    return Costs(of, FIGURES).of(job(rule, **wildcards))


# The demo: 3200 training queries, groups of 8, BM25 to depth 100; 250, 150, 150 test queries on 4000, 1500, 1500
# documents.
COUNTS = [
    (job("train_teacher", teacher="base"), 89_600),
    (job("train_student", ranker="be/kl.bm25.base/seed0"), 25_600),
    (job("score_pool", teacher="base", pool="bm25"), 3200 * 100),
    (job("score_pool", teacher="base", pool="ensemble"), 3200 * 3 * 15),
    (job("label_groups", teacher="base", groups_id="random", seed="0"), 3200 * 7),  # the positive is in a pool
    (job("label_groups", teacher="base", groups_id="near-0", seed="0"), 3200 * 7),
    *(
        (job("label_groups", teacher="base", groups_id=label, seed="0"), 0)
        for label in ("bm25", "near-100", "dense", "ensemble.base")
    ),
    (job("rerank_candidates", ranker="teacher/base", set="all"), 550 * 100),
    (job("rerank_candidates", ranker="be/kl.bm25.base/seed0", set="all"), 550 + 4000 + 1500 + 1500),
    (job("retrieve_documents", ranker="be/kl.bm25.base/seed0", set="all"), 550 + 7000),
    (job("search_dense", system="dense", collection="demo-train"), 3200 + 4000),
    (job("score_shard", teacher="base", pool="bm25", shard="2-of-4"), 3200 * 100 / 4),
    (job("search_shard", system="dense", collection="demo-train", shard="1-of-4"), 3200 + 4000 / 4),
    (job("embed_groups"), 4000),
]


@pytest.mark.parametrize(("asked", "texts"), COUNTS, ids=lambda value: str(value)[:60])
def test_counts_follow_the_rules(asked: Job, texts: int) -> None:
    cost = Costs(experiment(), FIGURES).of(asked)
    assert cost.texts == texts and (cost.flops > 0) == (texts > 0)


def test_a_bi_encoder_reads_each_text_by_itself() -> None:
    demo, mini = experiment(), Shape(2, 64, 128, 4000, 48)
    # Documents of 27 tokens and queries of 2.5, two special ones a text, three a pair; forward and backward.
    cross, single = (cost_of(demo, "train_student", ranker=f"{name}/kl.bm25.base/seed0") for name in ("ce", "be"))
    assert cross.flops == pytest.approx(3 * 25_600 * mini.forward(32.5))
    assert single.flops == pytest.approx(3 * (25_600 * mini.forward(29) + 3200 * mini.forward(4.5)))


def test_every_row_is_a_rule_and_every_rule_that_wants_a_gpu_has_one() -> None:
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = {rule: stage for stage, rule in re.findall(r"use rule (\w+)_job as (\w+) with", text)}
    rows = {rule: row for rule, row in FIGURES["rules"].items() if rule != "other"}
    assert rows.keys() <= rules.keys()
    on_gpu = {rule for rule, stage in rules.items() if stage in ("train", "score", "rerank")}
    assert {rule for rule, row in rows.items() if "gpu" in row} == on_gpu and len(on_gpu) == 11


def test_of_a_test_collection_only_candidates_are_tokenised() -> None:
    paper = experiment("paper")
    costs = [
        cost_of(paper, "tokenise_evaluation", vocabulary="bert-uncased", set=name) for name in paper.evaluation_sets
    ]
    # A query lists 100 passages, or all where there are fewer: NFCorpus' 3633. Each query and document once.
    words = texts = 0
    for name in paper.test_collections:
        entry = paper.entry("collections", name)
        queries = FIGURES["collections"][entry["id"]]
        documents = FIGURES["corpora"][paper.entry("corpora", entry["corpus"])["id"]]
        listed = min(100 * queries["queries"], documents["documents"])
        words += queries["queries"] * queries["words"] + listed * documents["words"]
        texts += queries["queries"] + listed
    assert sum(cost.core_s for cost in costs) == pytest.approx(words / 312_500)
    # At most 32 tokens of a query and 128 of a document, two bytes each, and 20 bytes a text.
    assert 20 * texts < sum(cost.size for cost in costs) < 20 * texts + 2 * 128 * texts


def test_memory_is_of_the_corpus_and_of_the_pairs() -> None:
    paper, passages, start = experiment("paper"), 8_841_823, 450e6
    assert cost_of(paper, "build_index", corpus="msmarco").memory == start + 300 * passages
    assert cost_of(paper, "train_student", ranker="ce/kl.bm25.electra/seed0").memory == start + 100 * passages
    pairs = 400_282 * 200
    pool = cost_of(paper, "score_pool", teacher="electra", pool="bm25")
    assert pool.memory == start + 100 * passages + 30 * pairs
    # One corpus of a set at a time: of the demo's three the largest has 4000 documents.
    retrieval = cost_of(experiment(), "retrieve_documents", ranker="be/kl.bm25.base/seed0", set="all")
    assert retrieval.memory == start + 100 * 4000
    assert cost_of(paper, "make_main_table").memory == 0


def test_a_teacher_is_billed_by_the_collection_that_it_is_trained_on() -> None:
    config = shipped("paper")
    config["teachers"]["electra"]["sampler"] = "nq-bm25"
    cost = cost_of(Experiment(config), "train_teacher", teacher="electra")
    assert cost.memory == 450e6 + 100 * 21_015_324


def test_texts_are_kept_whole_and_every_measure_of_a_run() -> None:
    # ArguAna's 1406 queries have 193 words each, of which a model reads 32 tokens.
    text = cost_of(experiment("paper"), "prepare_collection", collection="beir-arguana")
    assert text.size == pytest.approx(1406 * 192.98 * 3.4)
    # 550 queries, the demo's five measures and the excess risk of a generated world, with the ranker and with all.
    assert cost_of(experiment(), "measure_runs", ranker="bm25", set="all").size == 550 * 6 * 2 * 12


def test_every_shipped_experiment_has_known_sizes() -> None:
    for names in (["demo"], ["demo", "study"], ["small"], ["small", "small-scratch"], ["paper", "large"]):
        costs = Costs(experiment(*names), FIGURES)
        assert all(all(costs.texts(axis, name)) for axis in ("corpora", "collections") for name in costs.config[axis])


def test_a_count_that_there_is_not_is_refused() -> None:
    figures = copy.deepcopy(FIGURES)
    figures["rules"]["build_index"]["core_s"] = {"pages": "1/100"}
    with pytest.raises(InputError, match=r"rules.build_index of the figures: no count pages: there are job, documents"):
        Costs(experiment(), figures).of(Job("build_index", {"corpus": "demo"}))
