"""The bill of an experiment: arithmetic, counts of each rule, speeds, Snakemake's dry run."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.plan.bill import FIGURES, _tell_downloads, main
from workflow_scripts.plan.dry_run import Job, read_jobs, refusal
from workflow_scripts.plan.estimate import Bill, make_bill
from workflow_scripts.plan.seeds import designs, reach
from workflow_scripts.plan.sizes import Sizes
from workflow_scripts.plan.throughput import Shape, Throughput, backbone_shape, read_figures
from workflow_scripts.plan.workload import Workload
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

BERT = Shape(12, 768, 3072, 30522, 512)
FIGURES_READ = read_figures(FIGURES)


def experiment(*names: str) -> Experiment:
    return Experiment(read_config(*(ROOT / "config" / f"{name}.yaml" for name in names or ["demo"])))


def job(rule: str, **wildcards: str) -> Job:
    return Job(rule, tuple(wildcards.items()))


def bill_of(of: Experiment, *jobs: Job, figures: dict = FIGURES_READ) -> Bill:
    return make_bill(of, list(jobs), Counter(each.rule for each in jobs), Throughput(figures), figures)


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
        shape = backbone_shape("x", {"source": source}, FIGURES_READ)
        assert shape.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    with pytest.raises(InputError, match=r"backbones.x: unknown size of google/large: give layers, hidden"):
        backbone_shape("x", {"source": "google/large"}, FIGURES_READ)


def test_of_a_test_collection_only_candidates_are_tokenised() -> None:
    paper = experiment("paper")
    sets = (job("tokenise_evaluation", vocabulary="bert-uncased", set=name) for name in paper.evaluation_sets)
    bill = bill_of(paper, *sets)
    # TREC DL's 43 and 54 queries list 100 passages each; NFCorpus has fewer documents than its queries list.
    sizes = Sizes(paper, FIGURES_READ)
    assert (sizes.candidates("trec-dl-2019"), sizes.candidates("beir-nfcorpus")) == (4300, 3633)
    words = sum(sizes.candidates(name) * sizes.words(sizes.corpus(name)) for name in paper.test_collections)
    rate = FIGURES_READ["cpu"]["tokens_s"] / FIGURES_READ["tokens_per_word"]
    assert bill.cpu_hours["preparing, tokenising"] == pytest.approx(words / rate / 3600)


def test_a_local_model_tells_its_own_size(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 32, "vocab_size": 100, '
        '"max_position_embeddings": 64}'
    )
    assert backbone_shape("x", {"source": str(tmp_path)}, FIGURES_READ) == Shape(2, 8, 32, 100, 64)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"backbones.x: .*/none/config.json does not say its sizes"):
        backbone_shape("x", {"source": str(tmp_path / "none")}, FIGURES_READ)


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
        for label in ("bm25", "near-100", "dense", "ensemble.base", "bm25-outliers.base")
    ),
    (job("rerank_candidates", ranker="teacher/base", set="all"), 550 * 100),
    (job("rerank_candidates", ranker="be/kl.bm25.base/seed0", set="all"), 550 + 4000 + 1500 + 1500),
    (job("retrieve_documents", ranker="be/kl.bm25.base/seed0", set="all"), 550 + 7000),
    (job("search_dense", system="dense", collection="demo-train"), 3200 + 4000),
    (job("embed_groups"), 4000),
]


@pytest.mark.parametrize(("asked", "texts"), COUNTS, ids=lambda value: str(value)[:60])
def test_counts_follow_the_rules(asked: Job, texts: int) -> None:
    demo = experiment()
    load = Workload(demo, Sizes(demo, FIGURES_READ), FIGURES_READ).load(asked)
    assert load.texts == texts and (load.flops > 0) == (texts > 0)


def test_a_bi_encoder_reads_each_text_by_itself() -> None:
    demo = experiment()
    workload, mini = Workload(demo, Sizes(demo, FIGURES_READ), FIGURES_READ), Shape(2, 64, 128, 4000, 48)
    # Documents of 27 tokens and queries of 2.5, two special ones a text, three a pair; forward and backward.
    cross, single = (workload.load(job("train_student", ranker=f"{name}/kl.bm25.base/seed0")) for name in ("ce", "be"))
    assert cross.flops == pytest.approx(3 * 25_600 * mini.forward(32.5))
    assert single.flops == pytest.approx(3 * (25_600 * mini.forward(29) + 3200 * mini.forward(4.5)))


def test_downloads_are_billed_with_the_folders_that_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_DATASETS_TMP", "/scratch")
    monkeypatch.setattr(Path, "exists", lambda self: False)
    (line,) = _tell_downloads(experiment("paper"))
    # By ir_datasets' own figures; MS MARCO's small triples, 7.9 GB, are the archive that is copied to be read.
    assert line.startswith("downloads: archives of 26.1 GB, 26.1 of them still to come, below IR_DATASETS_HOME (")
    assert line.endswith("copies of 7.93 GB in IR_DATASETS_TMP (/scratch)")
    assert not list(_tell_downloads(experiment("demo")))


def test_the_main_grid_is_billed_apart_from_studies() -> None:
    paper = experiment("paper")
    jobs = [job("train_student", ranker=ranker) for ranker in paper.rankers]
    jobs += [job("train_teacher", teacher="electra"), job("score_pool", teacher="electra", pool="nq-bm25")]
    bill = bill_of(paper, *jobs)
    assert bill.students == (40, 42) and not bill.unknown
    # A second implementation of the grid's training: half of it pairs of 82.3 tokens, half texts apart, at a quarter.
    query, document = 5.96 * 1.28, 55.98 * 1.28
    group = 16 * BERT.forward(document + 2) + BERT.forward(query + 2)
    flops = 3 * 20 * (12e6 * BERT.forward(query + document + 3) + 750e3 * group)
    assert bill.gpu["student training"].grid_hours == pytest.approx(flops / (790e12 * 0.25) / 3600)
    pairs = 58_880 * 200 / 3600 * BERT.forward(9.16 * 1.28 + 128 + 3) / (790e12 * 0.3)
    assert bill.gpu["scoring pools"].study_hours == pytest.approx(pairs) and not bill.gpu["scoring pools"].grid_hours
    # 82 students (16 controls and 26 of studies) and a teacher of 109,483,009 float32 parameters.
    assert bill.disk["models"] == 83 * 4 * 109_483_009


def test_an_unknown_size_is_asked_for_and_the_rest_billed() -> None:
    figures = copy.deepcopy(FIGURES_READ)
    del figures["corpora"]["dpr-w100"]
    asked = [job("build_index", corpus=corpus) for corpus in ("msmarco", "dpr-w100")]
    bill = bill_of(experiment("paper"), *asked, figures=figures)
    assert bill.cpu_hours["indexing"] == pytest.approx(8_841_823 * 55.98 / 366_000 / 3600)
    assert len(bill.unknown) == 1 and bill.unknown[0].startswith("unknown size of corpora.dpr-w100: give documents and")


def test_every_shipped_experiment_has_known_sizes() -> None:
    for names in (["demo"], ["demo", "study"], ["small"], ["small", "small-scratch"], ["paper"]):
        sizes = Sizes(experiment(*names), FIGURES_READ)
        assert all(sizes.documents(corpus) and sizes.document_tokens(corpus) for corpus in sizes.config["corpora"])
        assert all(sizes.queries(one) and sizes.query_tokens(one) for one in sizes.config["collections"])


GPU_BENCH = """name,device,shape,items_a_second,tflops
scoring pairs/s,X1,12 layers/768,20000,300
"scoring pairs/s, transformers padded, tokenised in the loop, batch 64",X1,12 layers/768,9000,140
"CE training groups/s, 4 groups x 16, dropout 0.1",X1,12 layers/768,300,210
"CE training groups/s, 8 groups x 16, dropout 0",X1,12 layers/768,300,260
"CE training groups/s, 8 groups x 16, dropout 0.1",X1,12 layers/768,300,250
"""
BENCH = """name,shape,ours,peer,ratio
"scoring pairs/s, rankers 0.0.6's loop, batch 64","4 layers/256, bf16",900,300,3
"scoring pairs/s, rankers 0.0.6's loop, batch 64",12x768,100,40,2.5
BE training groups/s,12x768,2,1,2
"""


def test_speeds_are_measured_where_a_bench_has_them(tmp_path: Path) -> None:
    for name, text in (("gpu.csv", GPU_BENCH), ("bench.csv", BENCH), ("none.csv", "name,ours\npadding,1\n")):
        (tmp_path / name).write_text(text)
    measured = Throughput(FIGURES_READ, tmp_path / "gpu.csv", batch_groups=8)
    assert [measured.speed(kind).flops / 1e12 for kind in ("scoring", "encoding", "CE training", "BE training")] == [
        pytest.approx(value) for value in (300, 300, 250, 250)
    ]
    assert measured.device == "X1" and measured.speed("scoring").measured
    assert measured.speed("scoring").basis.endswith("measured: scoring pairs/s (12 layers/768, X1), gpu.csv")
    compared = Throughput(FIGURES_READ, tmp_path / "bench.csv")
    assert compared.speed("scoring").flops == pytest.approx(100 * BERT.forward(82))
    assert compared.speed("BE training").flops == pytest.approx(2 * 3 * (16 * BERT.forward(73) + BERT.forward(10)))
    assert not compared.speed("CE training").measured and "assumed" in compared.speed("CE training").basis
    with pytest.raises(InputError, match=r"none.csv has no row of scoring pairs/s"):
        Throughput(FIGURES_READ, tmp_path / "none.csv")


DRY_RUN = """Building DAG of jobs...
Job stats:
job              count
-------------  -------
all                  1
train_student        1
total                2

[Sat Nov 21 01:07:33 2026]
rule train_student:
    input: a, b
    wildcards: ranker=ce/kl.bm25.base/seed0
localrule all:
    input: a
"""


def test_jobs_are_read_from_the_dry_run_and_checked_by_its_table() -> None:
    assert read_jobs(DRY_RUN) == [job("train_student", ranker="ce/kl.bm25.base/seed0"), job("all")]
    assert read_jobs("Nothing to be done.\n") == []
    with pytest.raises(InputError, match="lists 2 jobs and counts 3"):
        read_jobs(DRY_RUN.replace("train_student        1", "train_student        2"))
    told = ["Building", 'WorkflowError in file "rules/common.smk", line 28:', "config: seeds: no", "  File x"]
    assert refusal(told) == "config: seeds: no"


def test_seeds_have_a_price_before_anything_runs() -> None:
    demo = read_config(ROOT / "config" / "demo.yaml")
    found = {each.name: each for each in designs(demo, Throughput(FIGURES_READ), FIGURES_READ)}
    assert {name: each.trainings for name, each in found.items()} == {
        **{"1 seed": 40, "1 seed, controls": 56, "3 seeds": 120, "5 seeds": 200}
    }
    assert [each.seeds for each in found.values()] == [0, 1, 3, 5]
    one, controls, three, five = (each.hours for each in found.values())
    assert (three, five) == (pytest.approx(3 * one), pytest.approx(5 * one)) and one < controls < 1.5 * one


def test_what_seeds_decide_is_read_from_a_pilot(tmp_path: Path) -> None:
    rows = [("block", 1, 0.07, 0.06), ("block", 3, 0.04, 0.03), ("block", 3, 0.02, 0.01), ("pair", None, None, None)]
    frame = pd.DataFrame(rows, columns=["scope", "seeds", "difference_family", "margin_family"])
    write_numbers(tmp_path / "power.parquet", frame, {})
    assert reach(tmp_path / "power.parquet") == {1: (0.07, 0.06), 3: (pytest.approx(0.03), pytest.approx(0.02))}
    assert reach(tmp_path / "none.parquet") == {}


@pytest.mark.slow
def test_the_demo_is_billed_before_anything_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["--configfile", str(ROOT / "config" / "demo.yaml"), "--csv", "bill.csv", "--price", "2"])
    told = capsys.readouterr().out
    assert "planned from a pilot's table power" in told
    assert ["train_student", "71", "71"] in [line.split() for line in told.splitlines()]
    assert "assumed until measured" in told
    assert "fits one day of one GPU" in told and "price:" in told
    assert "gpu,student training,texts,1817600" in (tmp_path / "bill.csv").read_text()
    assert not (tmp_path / "results").exists()
    with pytest.raises(InputError, match=r"no.yaml cannot be read"):
        main(["--configfile", "no.yaml"])


def test_the_bill_loads_nothing_heavy() -> None:
    probe = (
        "import sys, workflow_scripts.plan.bill\n"
        "assert not {'torch', 'numpy', 'pandas', 'snakemake'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True)
