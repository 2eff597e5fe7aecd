"""Two cells and two experiments compared: the equivalence table's numbers, scipy's t test, the queries by hand."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact, write_collection
from scipy.stats import ttest_rel

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.equivalence import Rule, compare_samplers
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.daily import compare
from workflow_scripts.daily.compare import Measured, compare_cells, compare_experiments
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

TINY = Path(__file__).parents[2] / "config" / "tiny.yaml"
QUERIES = {"demo": 20, "demo-hard": 15}
A, B = "be.marginmse.bm25.base", "be.marginmse.crossencoder.base"


def experiment(folder: Path, name: str, better: float = 0.0, judgements: str = "judgements") -> str:
    """The tiny experiment under another name with three seeds, and metrics of all its rankers; its config file."""
    judged = {f"{collection}.qrels.parquet": judgements for collection in QUERIES}
    evaluation = artifact(folder / name / "manifest.json", judged)
    for file in judged:
        Artifact(evaluation).file(file)
    config = folder / f"{name}.yaml"
    seeds = "seeds: [0, {seed: 1, order: 2}, 2]"  # 1 alone is the teacher's
    text = TINY.read_text().replace("experiment: tiny", f"experiment: {name}").replace("seeds: [0]", seeds)
    config.write_text(text)
    measured, generator = Measured([str(config)]), np.random.default_rng(7)
    for ranker in ["bm25", *measured.experiment.rankers]:
        keys = compare.Rankers(measured.experiment).keys(ranker)
        gain = {"": 0.0, "bm25": 0.3, "crossencoder": 0.35}[keys["sampler"]] + better * bool(keys["sampler"])
        frame = pd.concat(
            pd.DataFrame(
                {
                    **{key: "" if value is None and key != "seed" else value for key, value in keys.items()},
                    "collection": name,
                    "query_id": [f"q{number}" for number in range(count)],
                    "measure": "nDCG@10",
                    "value": gain + generator.uniform(0, 0.1, count),
                }
            )
            for name, count in QUERIES.items()
        )
        (manifest,) = measured.places.by_set("metrics", [ranker])
        artifact(manifest, {"metrics.parquet": frame}, inputs={"evaluation": evaluation})
    for collection, count in QUERIES.items():
        texts = {f"q{number}": f"text of\n{number}" for number in range(count)}
        write_collection(Path(measured.places.manifest("collections", collection)).parent, texts)
    return str(config)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return experiment(tmp_path, "one")


def test_two_cells_are_judged_as_in_the_equivalence_table(config: str, tmp_path: Path) -> None:
    measured = Measured([config])
    rows = list(compare_cells(measured, (A, B), None).rows())
    cells = [*measured.experiment.rankers.values()]
    measured.frame(cells).to_parquet(tmp_path / "all.parquet")
    values = QueryValues(tmp_path / "all.parquet")
    rule = Rule(**measured.config["analysis"]["equivalence"], confidence=0.95)
    domains = parse_domains(measured.config["domains"])
    table = compare_samplers(values, Grid(**measured.experiment.grid), domains, ["nDCG@10"], rule)
    table = table[(table["student"] == "be") & (table["loss"] == "marginmse")].to_dict("records")
    for row, expected in zip(rows, table, strict=True):
        assert (row["domain"], row["outcome"]) == (expected["domain"], expected["outcome"])
        found = [row[name] for name in ("difference", "ci_low", "ci_high")]
        assert found == pytest.approx([expected[name] for name in ("mean_difference", "ci_low", "ci_high")])
    a, b = (
        values.of(("be", "marginmse", name, "base"), [0, 1, 2], "demo", "nDCG@10") for name in ("bm25", "crossencoder")
    )
    assert rows[0]["p_queries"] == pytest.approx(ttest_rel(a, b).pvalue)
    assert rows[0]["means"] == pytest.approx([a.mean(), b.mean()])


def test_the_queries_that_differ_most_stand_with_their_text(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", f"{A}.seed1", f"{B}.seed1", "--configfile", config])
    compare.main()
    said = capsys.readouterr().out
    # One seed without controls has no verdict.
    assert "trained with seed 1\n" in said and said.count("  one seed  ") == 2
    measured = Measured([config])
    frame = measured.frame([measured.experiment.ranker(f"{name}.seed1") for name in (A, B)])
    frame = frame[(frame["seed"] == 1) & (frame["loss"] == "marginmse") & (frame["student"] == "be")]
    wide = frame.pivot(index=["collection", "query_id"], columns="sampler", values="value")
    difference = (wide["bm25"] - wide["crossencoder"]).abs().sort_values(ascending=False).index[:10]
    expected = [f"{collection} {query}: text of {query[1:]}" for collection, query in difference]
    assert [line.split("  ")[-1] for line in said.splitlines()[-10:]] == expected
    # An archive has left the texts of one collection out.
    Path(measured.places.manifest("collections", "demo")).with_name("queries.parquet").unlink()
    compare.main()
    without = [line.split(": text")[0] if line.startswith("demo ") else line for line in expected]
    assert any(": " not in line for line in without)
    assert [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()[-10:]] == without


def test_two_experiments_are_compared_cell_by_cell(config: str, tmp_path: Path) -> None:
    other = experiment(tmp_path, "two", better=0.2)
    rows = list(compare_experiments((Measured([config], "one: "), Measured([other], "two: ")), None).rows())
    assert len(rows) == 8 * 2 and {row["outcome"] for row in rows} == {"different"}
    assert all(-0.25 < row["difference"] < -0.15 for row in rows)
    assert {tuple(name.partition(": ")[0] for name, *_ in row["pair"]) for row in rows} == {("one", "two")}


def test_experiments_measured_with_different_judgements_are_refused(config: str, tmp_path: Path) -> None:
    other = experiment(tmp_path, "two", judgements="corrected")
    with pytest.raises(InputError, match=r"results/one/metrics/.* and results/two/.* different judgements of demo"):
        compare_experiments((Measured([config], "one: "), Measured([other], "two: ")), None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((A, "be.marginmse.none.base"), "no cell 'be.marginmse.none.base.seed0' in one: it has students be, ce;"),
        (("be.lce.bm25.base", "be.lce.bm25.none.seed2"), "are one cell: name two"),
        ((A, f"{B}.seed5"), "no cell"),
    ],
)
def test_what_cannot_be_compared_is_refused(config: str, names: tuple[str, str], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        compare_cells(Measured([config]), names, None)
