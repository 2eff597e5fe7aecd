"""The published table: verdicts computed by hand, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from factories import shipped
from project import ROOT
from rendered import render

from audit.sources import Sources
from audit.tables import published
from workflow_scripts.effectiveness.make_published_table import make_published_table, read_published
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers

SOURCE = {"where": "a paper", "differs": "k1"}
BM25 = {"source": "a", "student": "bm25", "collection": "dl", "measure": "nDCG@10"}
CE = {**BM25, "student": "ce", "loss": "lce", "sampler": "bm25"}
# student, loss, sampler, teacher, collection, measure, mean
MEANS = [
    ("bm25", "", "", "", "dl", "nDCG@10", 0.50),
    ("bm25", "", "", "", "dl", "AP", 0.30),
    ("ce", "lce", "bm25", "none", "dl", "nDCG@10", 0.70),
    ("ce", "kl", "bm25", "weak", "dl", "nDCG@10", 0.60),
    ("ce", "kl", "bm25", "strong", "dl", "nDCG@10", 0.65),
]


def compare(folder: Path, *figures: dict, sources: dict | None = None) -> pd.DataFrame:
    """The numbers of the published table over :data:`MEANS`."""
    columns = ["student", "loss", "sampler", "teacher", "collection", "measure", "mean"]
    rows = pd.DataFrame(MEANS, columns=columns)
    # A collection of two domains has a row in each, and each has a mean of its own.
    both = [("bm25", "", "", "", "all", "nDCG@10", mean) for mean in (0.5, 0.4)]
    parts = [rows, rows[:1], *(pd.DataFrame([row], columns=columns) for row in both)]
    domains = ("near", "far", "near", "far")
    means = pd.concat([part.assign(domain=domain) for part, domain in zip(parts, domains, strict=True)])
    means = means.assign(ci_low=means["mean"] - 0.1, ci_high=means["mean"] + 0.1, n_seeds=1, n_queries=43)
    write_numbers(folder / "main.parquet", means, {})
    (folder / "expected.yaml").write_text(
        yaml.safe_dump({"sources": sources or {"a": SOURCE}, "figures": list(figures)})
    )
    paths = {name: folder / f"{name}.parquet" for name in ("main", "published")}
    make_published_table(spec={}, main=paths["main"], expected=folder / "expected.yaml", output=paths["published"])
    return read_numbers(paths["published"])[0]


def test_verdicts(tmp_path: Path) -> None:
    table = compare(
        tmp_path,
        {**BM25, "value": 0.53, "tolerance": 0.03},  # exactly the tolerance
        {**BM25, "value": 0.54, "tolerance": 0.03},
        {**CE, "value": 0.69, "tolerance": 0.005},
        {**CE, "loss": "kl", "teacher": "strong", "value": 0.65, "tolerance": 0.01},
        {**CE, "sampler": "dense", "value": 0.65, "tolerance": 0.01},
        {**BM25, "collection": "gone", "value": 0.5, "tolerance": 0.01},
        {**BM25, "domain": "far", "collection": "all", "value": 0.41, "tolerance": 0.02},
        {**CE, "domain": "far", "value": 0.7, "tolerance": 0.01},
    )
    verdicts = ["within", "below", "above", "within", "not measured", "not measured", "within", "not measured"]
    assert list(table["verdict"]) == verdicts and list(table["domain"]) == [""] * 6 + ["far"] * 2
    np.testing.assert_allclose(table["difference"], [-0.03, -0.04, 0.01, 0, *[np.nan] * 2, -0.01, np.nan], atol=1e-12)
    assert list(table["teacher"]) == ["", "", "", "strong", *[""] * 4] and set(table["where"]) == {"a paper"}
    sources = Sources(tmp_path)
    sources.numbers = lambda name: read_numbers(tmp_path / f"{name}.parquet")
    audited = [columns for _, columns in published(table, {}, sources)]
    assert [columns["verdict"] for columns in audited] == list(table["verdict"])
    assert [columns.get("difference", np.nan) for columns in audited] == pytest.approx(table["difference"], nan_ok=True)
    csv, markdown = render("published", tmp_path / "published.parquet")
    markdown = " ".join(markdown.split())
    assert len(csv) == 8 and "of 8 figures 3 are within their tolerance and 3 are not measured." in markdown
    assert "| bm25 | all of far | nDCG@10 | 0.4100 ± 0.02 | 0.400 |" in markdown
    assert "| bm25 | dl | nDCG@10 | 0.5300 ± 0.03 | 0.500 | 0.400 to 0.600 | -0.030 | within | k1 |" in markdown
    assert "| ce lce dense | dl | nDCG@10 | 0.6500 ± 0.01 | | | | not measured | k1 |" in markdown


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({**CE, "loss": "kl", "value": 0.6, "tolerance": 0.1}, r"ce\.kl\.bm25 is 2 rankers: say which teacher"),
        ({**BM25, "source": "b", "value": 0.6, "tolerance": 0.1}, r"no source 'b'; there are a"),
        ({**BM25, "value": 53.0, "tolerance": 0.1}, r"figures\.0\.value: Input should be less than or equal to 1"),
        (
            {**BM25, "collection": "all", "value": 0.5, "tolerance": 0.1},
            "bm25's 0.5 is of collection all, a domain's mean; add the domain, one of near, far$",
        ),
        ({**BM25, "value": 0.5}, r"figures\.0\.tolerance: Field required"),
    ],
)
def test_a_figure_that_is_wrong_is_named(tmp_path: Path, figure: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(tmp_path, figure)


def test_the_papers_figures_are_of_rankers_that_its_experiment_has() -> None:
    experiment = Experiment(shipped("paper"))
    path = ROOT / f"config/expected/{experiment.config['evaluation']['published']}.yaml"
    for figure in read_published(path, experiment.config["domains"]).figures:
        assert figure.collection in experiment.test_collections and figure.domain is None
        assert figure.measure in experiment.config["evaluation"]["measures"]
        assert figure.student in ("bm25", "teacher") or figure.student in experiment.grid["students"]
        for axis in ("loss", "sampler", "teacher"):
            value = getattr(figure, axis)
            assert value is None or value in experiment.grid[f"{axis}s" if axis != "loss" else "losses"]
