"""The bill of an experiment: sums over its jobs, and what is printed of them."""

from __future__ import annotations

import argparse
import copy
import functools
from pathlib import Path

import pandas as pd
import pytest
from factories import shipped

from workflow_scripts.experiment.dry_run import dry_run
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.plan import bill
from workflow_scripts.plan.bill import Bill, _downloads, designs, main, print_bill, reach, repeated
from workflow_scripts.plan.costs import Costs
from workflow_scripts.plan.jobs import Job, read_jobs
from workflow_scripts.plan.throughput import Shape, read_figures, speeds
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

BERT = Shape(12, 768, 3072, 30522, 512)
FIGURES = read_figures()
SPEEDS = speeds(FIGURES)[1]


@functools.cache
def experiment(*names: str) -> Experiment:
    return Experiment(shipped(*names or ["demo"]))


def job(rule: str, **wildcards: str) -> Job:
    return Job(rule, wildcards)


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
    billed = Bill(paper, jobs, SPEEDS, FIGURES)
    gpu = billed.gpu()
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
    assert billed.jobs["hours"].iloc[-1] == pytest.approx(hours + pairs / 1.05e6 / 3600 + 10 / 3600)
    # 40 students and a teacher of 109,483,009 float32 parameters.
    assert billed.disk()["models"] == 41 * 4 * 109_483_009


def test_an_unknown_size_is_asked_for_and_the_rest_billed() -> None:
    figures = copy.deepcopy(FIGURES)
    del figures["corpora"]["dpr-w100"]
    asked = [job("build_index", corpus=corpus) for corpus in ("msmarco", "dpr-w100")]
    billed = Bill(experiment("paper"), asked, SPEEDS, figures)
    assert billed.cpu()["indexing"] == pytest.approx(8_841_823 * 55.98 / 366_000 / 3600)
    assert len(billed.unknown) == 1 and billed.unknown[0].startswith(
        "unknown size of corpora.dpr-w100: give documents and"
    )


def test_an_experiment_that_is_built_costs_nothing() -> None:
    options = argparse.Namespace(cores=16, price=2.0)
    text = "\n".join(print_bill(Bill(experiment(), [], SPEEDS, FIGURES), experiment(), "H200", options))
    assert "0 jobs still to do" in text and "energy: 0.00 kWh" in text and "price: 0.00 at 2" in text
    assert "nan" not in text and "at least" not in text


def test_seeds_have_a_price_before_anything_runs() -> None:
    demo = shipped("demo")
    names, seeds, trainings, (one, controls, three, five) = zip(*designs(demo, SPEEDS, FIGURES), strict=True)
    assert names == ("1 seed", "1 seed, controls", "3 seeds", "5 seeds")
    assert (seeds, trainings) == ((0, 1, 3, 5), (40, 56, 120, 200))
    # A second implementation of three seeds: a grid that has them.
    grid = Experiment({**demo, "seeds": [0, 7, 8], "studies": {}})
    costs = map(Costs(grid, FIGURES).of, repeated(grid))
    assert three == pytest.approx(sum(cost.flops / SPEEDS[cost.kind].flops / 3600 for cost in costs))
    assert five == pytest.approx(5 * one) and one < controls < 1.5 * one
    # The paper retrieves from some of its sets alone.
    assert all(hours for *_, hours in designs(shipped("paper"), SPEEDS, FIGURES))


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
