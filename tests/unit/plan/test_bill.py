"""The bill of an experiment: arithmetic, counts and rates of each rule, speeds, schedules, jobs of a dry run."""

from __future__ import annotations

import copy
import functools
import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.experiment.dry_run import dry_run
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.plan import bill
from workflow_scripts.plan.bill import _downloads, main
from workflow_scripts.plan.costs import Cost, Costs
from workflow_scripts.plan.jobs import Job, read_jobs
from workflow_scripts.plan.schedule import Schedule
from workflow_scripts.plan.sums import Sums, _repeated, designs, reach
from workflow_scripts.plan.throughput import Shape, backbone_shape, read_figures, speeds
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

BERT = Shape(12, 768, 3072, 30522, 512)
FIGURES = read_figures()
SPEEDS = speeds(FIGURES)[1]


@functools.cache
def experiment(*names: str) -> Experiment:
    return Experiment(read_config(*(ROOT / "config" / f"{name}.yaml" for name in names or ["demo"])))


def job(rule: str, **wildcards: str) -> Job:
    return Job(rule, wildcards)


def cost_of(of: Experiment, rule: str, **wildcards: str) -> Cost:
    return Costs(of, FIGURES).of(job(rule, **wildcards))


def test_arithmetic_of_bert_base() -> None:
    pair = BERT.forward(90)
    assert pair == pytest.approx(15.6e9, rel=0.03)
    assert 790e12 / pair == pytest.approx(50_700, rel=0.03)
    assert 32 * 12e6 * 3 * pair / 790e12 / 3600 == pytest.approx(6.3, rel=0.03)
    # transformers' BertForSequenceClassification of one label, counted by its parameters' sizes.
    assert BERT.parameters == 109_483_009


def test_the_known_hub_models_have_their_published_size() -> None:
    for source, millions in (
        ("google-bert/bert-base-uncased", 109.5),
        ("sentence-transformers/all-MiniLM-L6-v2", 22.7),
    ):
        shape = backbone_shape("x", {"source": source}, FIGURES)
        assert shape.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    with pytest.raises(InputError, match=r"backbones.x: unknown size of google/large: give layers, hidden"):
        backbone_shape("x", {"source": "google/large"}, FIGURES)


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


def test_a_local_model_tells_its_own_size(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 32, "vocab_size": 100, '
        '"max_position_embeddings": 64}'
    )
    assert backbone_shape("x", {"source": str(tmp_path)}, FIGURES) == Shape(2, 8, 32, 100, 64)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"backbones.x: .*/none/config.json does not say its sizes"):
        backbone_shape("x", {"source": str(tmp_path / "none")}, FIGURES)


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


def test_downloads_are_billed_with_the_folders_that_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_DATASETS_TMP", "/scratch")
    monkeypatch.setattr(Path, "exists", lambda self: False)
    (line,) = _downloads(experiment("paper"))
    # By ir_datasets' own figures; MS MARCO's small triples, 7.9 GB, are the archive that is copied to be read.
    assert line.startswith("downloads: archives of 26.1 GB, 26.1 of them still to come, below IR_DATASETS_HOME (")
    assert line.endswith("copies of 7.93 GB in IR_DATASETS_TMP (/scratch)")
    assert not list(_downloads(experiment("demo")))


def test_the_papers_hours_are_those_of_a_second_implementation() -> None:
    paper = experiment("paper")
    jobs = [job("train_student", ranker=ranker) for ranker in paper.grid_rankers]
    jobs += [job("train_teacher", teacher="electra"), job("score_pool", teacher="electra", pool="nq-bm25")]
    sums = Sums(paper, jobs, SPEEDS, FIGURES)
    gpu = sums.gpu()
    # Half of the grid's training is pairs of 82.3 tokens, half texts apart, at a quarter of the peak.
    query, document = 5.96 * 1.28, 55.98 * 1.28
    group = 16 * BERT.forward(document + 2) + BERT.forward(query + 2)
    flops = 3 * 20 * (12e6 * BERT.forward(query + document + 3) + 750e3 * group)
    assert gpu.loc["student training", "hours"] == pytest.approx(flops / (790e12 * 0.25) / 3600)
    pairs = 58_880 * 200
    hours = pairs * BERT.forward(9.16 * 1.28 + 128 + 3) / (790e12 * 0.3) / 3600
    assert list(gpu.loc["scoring pools", ["hours", "longest"]]) == pytest.approx([hours, hours])
    # A pool is listed by the GPU's job; a job holds its GPU from its start to its end.
    assert gpu.loc["idle: look-ups on one core", "hours"] == pytest.approx(pairs / 1.05e6 / 3600)
    assert sums.jobs["hours"].iloc[-1] == pytest.approx(hours + pairs / 1.05e6 / 3600 + 10 / 3600)
    # 40 students and a teacher of 109,483,009 float32 parameters.
    assert sums.disk()["models"] == 41 * 4 * 109_483_009


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
    config = read_config(ROOT / "config" / "paper.yaml")
    config["teachers"]["electra"]["sampler"] = "nq-bm25"
    cost = cost_of(Experiment(config), "train_teacher", teacher="electra")
    assert cost.memory == 450e6 + 100 * 21_015_324


def test_texts_are_kept_whole_and_every_measure_of_a_run() -> None:
    # ArguAna's 1406 queries have 193 words each, of which a model reads 32 tokens.
    text = cost_of(experiment("paper"), "prepare_collection", collection="beir-arguana")
    assert text.size == pytest.approx(1406 * 192.98 * 3.4)
    # 550 queries, the demo's five measures and the excess risk of a generated world, with the ranker and with all.
    assert cost_of(experiment(), "measure_runs", ranker="bm25", set="all").size == 550 * 6 * 2 * 12


def test_an_unknown_size_is_asked_for_and_the_rest_billed() -> None:
    figures = copy.deepcopy(FIGURES)
    del figures["corpora"]["dpr-w100"]
    asked = [job("build_index", corpus=corpus) for corpus in ("msmarco", "dpr-w100")]
    sums = Sums(experiment("paper"), asked, SPEEDS, figures)
    assert sums.cpu()["indexing"] == pytest.approx(8_841_823 * 55.98 / 366_000 / 3600)
    assert len(sums.unknown) == 1 and sums.unknown[0].startswith("unknown size of corpora.dpr-w100: give documents and")


def test_every_shipped_experiment_has_known_sizes() -> None:
    for names in (["demo"], ["demo", "study"], ["small"], ["small", "small-scratch"], ["paper", "large"]):
        costs = Costs(experiment(*names), FIGURES)
        assert all(all(costs.texts(axis, name)) for axis in ("corpora", "collections") for name in costs.config[axis])


BENCH = """name,device,shape,items_a_second,tflops
"scoring pairs/s",X1,6 layers/384,90000,400
scoring pairs/s,X1,12 layers/768,20000,300
"scoring pairs/s, transformers padded, tokenised in the loop, batch 64",X1,12 layers/768,9000,140
"CE training groups/s, 4 groups x 16, dropout 0.1",X1,12 layers/768,300,210
"CE training groups/s, 8 groups x 16, dropout 0",X1,12 layers/768,300,260
"CE training groups/s, 8 groups x 16, dropout 0.1",X1,12 layers/768,300,250
"""


def test_speeds_are_measured_where_a_bench_has_them(tmp_path: Path) -> None:
    for name, text in (("gpu.csv", BENCH), ("none.csv", "name,tflops\npadding,1\n")):
        (tmp_path / name).write_text(text)
    device, found = speeds(FIGURES, tmp_path / "gpu.csv", batch_groups=8)
    assert device == "X1" and {kind: each.flops / 1e12 for kind, each in found.items()} == {
        **{"scoring": 300, "encoding": 300, "CE training": 250, "BE training": 250}
    }
    assert found["scoring"].basis == "300 TFLOP/s, measured: scoring pairs/s (12 layers/768, X1), gpu.csv"
    assert "assumed" in SPEEDS["CE training"].basis
    with pytest.raises(InputError, match=r"none.csv has no row of scoring pairs/s"):
        speeds(FIGURES, tmp_path / "none.csv")


def schedule(*jobs: tuple[float, bool, int, list[int]]) -> Schedule:
    return Schedule(pd.DataFrame(jobs, columns=["hours", "on_gpu", "threads", "needs"]))


def test_a_schedule_keeps_to_its_machines_and_its_chain() -> None:
    draw = np.random.default_rng(0)
    jobs = [
        (float(draw.integers(1, 9)), bool(place % 2), int(draw.integers(1, 5)), needs)
        for place in range(60)
        for needs in [sorted({int(one) for one in draw.integers(0, place, 2)} if place else [])]
    ]

    # Second implementation: the longest chain by trying what each job waits for.
    def chain(place: int) -> float:
        return jobs[place][0] + max(map(chain, jobs[place][3]), default=0.0)

    drawn = schedule(*jobs)
    path = drawn.longest_chain()
    longest = sum(jobs[place][0] for place in path)
    assert longest == max(map(chain, range(60)))
    assert all(before in jobs[after][3] for before, after in itertools.pairwise(path))
    assert drawn.makespan(60, 600) == longest
    for gpus, cores in ((1, 4), (2, 4), (1, 8)):
        on_gpu = sum(hours for hours, gpu, _, _ in jobs if gpu) / gpus
        on_cpu = sum(hours * threads for hours, gpu, threads, _ in jobs if not gpu) / cores
        assert max(longest, on_gpu, on_cpu) <= drawn.makespan(gpus, cores) <= longest + on_gpu + 4 * on_cpu
    # By hand: one after the other on one GPU; a job of four cores takes twice as long on two.
    two = schedule((3, True, 1, []), (2, True, 1, []), (1, False, 4, [1]))
    assert [two.makespan(1, 4), two.makespan(2, 4), two.makespan(2, 2)] == [6, 3, 4]
    assert schedule().makespan(1, 1) == 0 and schedule().longest_chain() == []


DRY_RUN = """Building DAG of jobs...
Job stats:
job                     count
--------------------  -------
all                         1
measure_students_a_b        1
train_student               1
total                       3

[Sat Nov 21 01:07:33 2026]
rule train_student:
    input: a, b
    output: c/manifest.json (update)
    wildcards: ranker=ce/kl.bm25.base/seed0
    threads: 4
    resources: tmpdir=/tmp, runtime=60, mem_mb=2000, mem=2 GB
rule measure_students_a_b:
    input: b, c/manifest.json
    output: m, n
    wildcards: student=ce, point=kl.bm25.base, seed=0
localrule all:
    input: n, c/manifest.json
"""


def test_jobs_are_read_from_the_dry_run_and_checked_by_its_table() -> None:
    assert read_jobs(DRY_RUN) == [
        Job("measure_runs", {"ranker": "ce/kl.bm25.base/seed0", "set": "a-b"}, 1, (1,)),
        Job("train_student", {"ranker": "ce/kl.bm25.base/seed0"}, 4, (), 60, 2000),
    ]
    assert read_jobs("Nothing to be done.\n") == []
    with pytest.raises(InputError, match="lists 3 jobs and counts 4"):
        read_jobs(DRY_RUN.replace("train_student               1", "train_student               2"))


def test_seeds_have_a_price_before_anything_runs() -> None:
    demo = read_config(ROOT / "config" / "demo.yaml")
    found = {each.name: each for each in designs(demo, SPEEDS, FIGURES)}
    assert {name: each.trainings for name, each in found.items()} == {
        **{"1 seed": 40, "1 seed, controls": 56, "3 seeds": 120, "5 seeds": 200}
    }
    assert [each.seeds for each in found.values()] == [0, 1, 3, 5]
    one, controls, three, five = (each.hours for each in found.values())
    # A second implementation of three seeds: a grid that has them.
    grid = Experiment({**demo, "seeds": [0, 7, 8], "studies": {}})
    costs = map(Costs(grid, FIGURES).of, _repeated(grid))
    assert three == pytest.approx(sum(cost.flops / SPEEDS[cost.kind].flops / 3600 for cost in costs))
    assert five == pytest.approx(5 * one) and one < controls < 1.5 * one
    # The paper retrieves from some of its sets alone.
    assert all(each.hours for each in designs(read_config(ROOT / "config" / "paper.yaml"), SPEEDS, FIGURES))


def test_what_seeds_decide_is_read_from_a_pilot(tmp_path: Path) -> None:
    rows = [("block", 1, 0.07, 0.06), ("block", 3, 0.04, 0.03), ("block", 3, 0.02, 0.01), ("pair", None, None, None)]
    frame = pd.DataFrame(rows, columns=["scope", "seeds", "difference_family", "margin_family"])
    write_numbers(tmp_path / "power.parquet", frame, {})
    assert reach(tmp_path / "power.parquet") == {1: (0.07, 0.06), 3: (pytest.approx(0.03), pytest.approx(0.02))}
    assert reach(tmp_path / "none.parquet") == {}


@pytest.mark.slow
def test_the_demo_is_billed_before_anything_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["--configfile", str(ROOT / "config" / "demo.yaml"), "--price", "2"])
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert ["student", "training", "71", "1,817,600"] in [line[:4] for line in lines]
    for part in ("assumed until measured", "price:", "GPUs, ", "longest chain", "planned from a pilot's table power"):
        assert part in printed
    assert any(line[1:] == ["train_teacher", "base"] for line in lines)
    assert not (tmp_path / "results").exists()
    with pytest.raises(InputError, match=r"no.yaml cannot be read"):
        main(["--configfile", "no.yaml"])


@pytest.mark.slow
def test_the_large_study_in_the_docs_is_what_the_command_prints(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    files = [str(ROOT / "config" / f"{name}.yaml") for name in ("paper", "large")]
    printed_jobs = dry_run(files)
    monkeypatch.setattr(bill, "dry_run", lambda configs: printed_jobs)
    jobs = read_jobs(printed_jobs)
    main(["--configfile", *files])
    section = (ROOT / "docs" / "cluster.md").read_text().partition("make plan EXPERIMENT=large")[2]
    shown = [line for line in section.split("```")[1].splitlines() if line]
    printed = iter(capsys.readouterr().out.splitlines())
    assert len(shown) > 30 and [line for line in shown if line not in printed] == []

    # No shard waits for the scores of any pool.
    @functools.cache
    def behind(place: int) -> frozenset[str]:
        needs = jobs[place].needs
        return frozenset(jobs[need].rule for need in needs).union(*map(behind, needs))

    shards = [place for place, each in enumerate(jobs) if each.rule == "score_shard"]
    assert len(shards) == 3 * 16 and all("merge_pool" not in behind(place) for place in shards)
