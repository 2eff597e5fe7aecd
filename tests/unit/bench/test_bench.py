"""The benchmarks' own arithmetic and inputs; the peers and a GPU are not needed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench import compare, dag, gpu, memory, report, search
from bench.inputs import SHAPES, make_inputs, read_texts
from bench.ours import Ours
from bench.products import computed_flops, forward_flops
from bench.stages import list_stages
from bench.workers import Worker
from workflow_scripts.storage.code import script_of

TINY = replace(SHAPES["2x32"], pairs=640)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    make_inputs(folder, TINY)
    return folder


@pytest.mark.slow
def test_texts_have_the_lengths_of_ms_marco_and_nothing_is_read_twice(inputs: Path) -> None:
    texts, ours = read_texts(inputs), Ours(inputs, "fp32")
    answer = ours.score()
    assert ours.lengths.mean() == pytest.approx(82, abs=3)
    assert np.percentile(ours.lengths, 95) == pytest.approx(143, abs=9)
    assert sorted(document for _, document in texts["pairs"]) == list(range(TINY.pairs))
    assert answer["pad_share"] == 0 and answer["tokens"] == ours.lengths.sum()
    assert 0 < answer["tokenising_seconds"] < answer["seconds"]


def test_arithmetic_of_a_forward_pass() -> None:
    # 12 layers of 2 * 90 * (4 * 768^2 + 2 * 768 * 3072) + 4 * 768 * 90^2.
    assert forward_flops(gpu.BERT, np.array([90])) == pytest.approx(15.6e9, rel=0.01)
    one = replace(TINY, layers=1, hidden=2, feed_forward=3)
    # Keys and values of 5 tokens; queries, projections (4 each) and feed-forwards (12) of 2; one query attends to each.
    assert computed_flops(one, np.array([2, 3])) == 2 * (5 * 2 * 4 + 2 * (2 * 4 + 12)) + 4 * 2 * 5


def test_table_compares_medians_and_names_unequal_rows() -> None:
    ours = {"tokens": 80, "pad_share": 0.0, "tokenising_seconds": 0.1, "flops": 1e9}
    ratios = [row for row in compare.ROWS if "fp32" in row.precisions]
    rows = [
        {"side": side, "method": method, "model": row.model or "", "items": 12, "seconds": seconds} | answer
        for row in ratios
        for side, method, answer, times in (
            ("ours", row.ours, ours, (1, 2, 9)),
            (row.side, row.peer, {"positions": 200}, (6, 4, 3)),
        )
        for seconds in times
    ]
    differences = {(row.side, row.peer, row.model): 5e-5 for row in ratios}
    compared = (*ratios, *compare.PADDING)
    groups = compare._groups(compared)
    assert list(groups) == ["score", "train cross", "train bi", "encode"]
    lines = [compare._rows(pd.DataFrame(rows), "tiny", differences, "seconds", part) for part in groups.values()]
    table = compare._in_order([line for part in lines for line in part], compared)
    assert list(table["name"]) == [row.name for row in compared]
    assert list(table["ratio"].dropna()) == [2.0] * len(ratios)  # medians of 6 and 3 items a second
    assert (table["peer_pad_share"] == 0.6).all()
    # 5e-5 is within the gradients' tolerance, not within the scores'.
    assert list(table["equal"]) == [row.model is not None for row in compared]
    names, cells = zip(*report._ratios(table).sections[0], strict=True)
    assert [name for (name,) in names] == [row.name for row in ratios]
    # 12 items in 2 seconds, twice the peer's speed: bold where the aim is below that.
    assert [(cell[0].text, cell[1].bold) for cell in cells] == [("6", row.aim <= 2) for row in ratios]


def test_each_part_is_a_section_more(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    (tmp_path / "bench.md").write_text("# Speed\n\nnumbers\n")
    for commit in ("one", "two"):
        (tmp_path / "versions.json").write_text(f'{{"date": "today", "commit": "{commit}"}}')
        report.append_report(str(tmp_path), document)
    assert document.read_text() == "## today, commit one\n\nnumbers\n\n## today, commit two\n\nnumbers\n"


@pytest.mark.slow
def test_worker_answers_and_says_what_failed(inputs: Path, tmp_path: Path) -> None:
    with Worker(sys.executable, "bench.ours", inputs, "fp32", 1, tmp_path / "log") as worker:
        assert worker.ask("about")["threads"] == 1
        with pytest.raises(RuntimeError, match=r"bench\.ours failed in train: KeyError"):
            worker.ask("train", name="neither")


def test_memory_grows_by_bytes_a_document() -> None:
    first, second = {"peak_rss_mb": 100.0, "documents": 1000}, {"peak_rss_mb": 102.0, "documents": 3000}
    assert memory.growth(first, second) == pytest.approx(1048.576)


def test_every_stage_reads_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    written: set[str] = set()
    for stage in list_stages(tmp_path, 1000, 10):
        read = {option for option in stage.options if option.endswith("manifest.json")}
        assert read <= written, stage.name
        written.add(str(stage.output))
        assert script_of(stage.script)


@pytest.mark.slow
def test_search_is_timed_by_threads(tmp_path: Path) -> None:
    sizes = {"documents": 640, "queries": 40, "depth": 9, "threads": [1, 2], "rounds": 1}
    table = search.measure_search(**sizes, output=tmp_path, say=lambda text: None)
    assert list(table["threads"]) == [1, 2] and table["speedup"][0] == 1
    assert list(table["queries_per_second"]) == pytest.approx(list(table["queries_per_second"][0] * table["speedup"]))
    assert (table["cores_busy"] > 0).all()
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "search.csv"), table, check_dtype=False, rtol=1e-3)


@pytest.mark.slow
def test_dag_is_timed_with_nothing_and_with_everything_made(tmp_path: Path) -> None:
    config = dag.ROOT / "tests/config/tiny.yaml"
    table = dag.measure_dag(config=config, seeds=1, rounds=1, output=tmp_path, say=lambda text: None)
    assert list(table["what"][:2]) == ["dry run, nothing made", "dry run, everything made"]
    assert len(table) == 2 + len(dag.CELL) and (table["seconds"] > 0).all()
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "dag.csv"), table, rtol=1e-3)
