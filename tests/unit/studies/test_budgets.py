"""Learning curves over the budget show the main table's numbers."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rendered import keep_figures

from workflow_scripts.storage.tables import write_numbers
from workflow_scripts.studies import draw_budgets

BUDGETS = [["be-128", 128], ["be", 256], ["be-1024", 1024]]
SPEC = {
    "budgets": [["be", BUDGETS]],
    "losses": ["kl", "lce"],
    "samplers": ["random", "bm25"],
    "teachers": ["base"],
    "domains": ["near", "far"],
    "measure": "AP",
}


def test_a_line_is_a_sampler_s_means_in_the_order_of_the_budgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    students = list(product(["near", "far"], dict(BUDGETS), SPEC["losses"], SPEC["samplers"], ["base"]))
    references = [
        (domain, *key) for domain in SPEC["domains"] for key in (("bm25", "", "", ""), ("teacher", "", "", "base"))
    ]
    frame = pd.DataFrame([*references, *students], columns=["domain", "student", "loss", "sampler", "teacher"])
    frame = frame.assign(collection="all", measure="AP", mean=np.arange(len(frame)) / 100, std_seed=0.01)
    main = tmp_path / "main.parquet"
    # Rows in any order, and others beside them.
    more = pd.concat([frame.assign(measure="RR", mean=9.0), frame.assign(collection="x", mean=9.0), frame])
    write_numbers(main, more.sample(frac=1, random_state=0), {})
    drawn = keep_figures(monkeypatch, draw_budgets)
    draw_budgets.draw_budgets(spec=SPEC, main=main, png=tmp_path / "f.png", pdf=tmp_path / "f.pdf")
    assert (tmp_path / "f.pdf").read_bytes()[:4] == b"%PDF"
    means = frame.set_index(["domain", "student", "loss", "sampler", "teacher"])["mean"]
    for panel, (loss, domain) in zip(drawn[0].axes, product(SPEC["losses"], SPEC["domains"]), strict=True):
        curves = dict(zip(SPEC["samplers"], panel.containers, strict=True))
        for sampler, container in curves.items():
            line, _, (bars,) = container
            expected = [means[domain, name, loss, sampler, "base"] for name, _ in BUDGETS]
            assert line.get_xdata().tolist() == [128, 256, 1024] and line.get_ydata().tolist() == expected
            assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [
                pytest.approx([mean - 0.01, mean + 0.01]) for mean in expected
            ]
        levels = {line.get_ydata()[0] for line in panel.lines if len(line.get_xdata()) == 2}
        assert levels == {means[domain, "bm25", "", "", ""], means[domain, "teacher", "", "", "base"]}
