"""Overlap of queries against all pairs compared, and where a training pair came from."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import write_collection
from project import ROOT
from rendered import render

from workflow_scripts.report.make_contamination_table import make_contamination_table
from workflow_scripts.report.overlap import closest, normalise
from workflow_scripts.storage.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  What's  a\tLOBSTER-roll? ", "what s a lobster roll"),
        ("Straße № \uff15", "strasse no 5"),
        ("?!", ""),
        ("naïve", "naïve"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_against_all_pairs_compared(threshold: float) -> None:
    rng = np.random.default_rng(5)
    words = np.array([f"w{number}" for number in range(12)])
    texts = [" ".join(rng.choice(words, rng.integers(1, 7))) for _ in range(160)]
    test = {f"t{number:03d}": text for number, text in enumerate(texts[:60])}
    train = {f"d{number:03d}": text for number, text in enumerate(texts[60:])}
    expected = {}
    for name, text in test.items():
        own = set(text.split())
        similar = [
            (-Fraction(len(own & set(other.split())), len(own | set(other.split()))), other != text, key)
            for key, other in train.items()
        ]
        best = min(similar)
        if -best[0] >= Fraction(str(threshold)):
            expected[name] = (best[2], float(-best[0]), not best[1])
    found = {match.test: (match.train, match.jaccard, match.exact) for match in closest(test, train, threshold)}
    assert found == expected and len(found) > 5


def test_four_words_of_five_are_near_at_the_threshold() -> None:
    matches = closest({"t": "a b c d"}, {"d": "a b c d e"}, 0.8)
    assert [(match.jaccard, match.exact) for match in matches] == [(0.8, False)]
    assert closest({"t": ""}, {"d": "", "e": "a"}, 0.8) == []
    with pytest.raises(InputError, match="threshold"):
        closest({}, {}, 0)


def collection(folder: Path, texts: list[str]) -> Path:
    return write_collection(folder, {f"{folder.name}{number}": text for number, text in enumerate(texts)})


@pytest.fixture
def given(tmp_path: Path) -> dict:
    """One training collection, two test collections."""
    tests = {"one": ["What is a B, C?", "c b a is what", "beta", "gamma"], "two": ["delta"]}
    return {
        "spec": {"threshold": 0.8},
        "training": [collection(tmp_path / "train", ["what is a b c", "alpha beta"])],
        "training_names": ["train"],
        "collections": list(tests),
        "tests": [collection(tmp_path / name, texts) for name, texts in tests.items()],
        "output": tmp_path / "contamination.parquet",
        "pairs": tmp_path / "contamination_pairs.parquet",
    }


def made(given: dict) -> tuple[pd.DataFrame, str, pd.DataFrame, str]:
    make_contamination_table(**given)
    return *render("contamination", given["output"]), *render("contamination_pairs", given["pairs"])


def test_table(given: dict) -> None:
    table, text, pairs, texts = made(given)
    assert table.to_numpy().tolist() == [["train", "one", 4, 1, 1, 0.25, 0.25], ["train", "two", 1, 0, 0, 0.0, 0.0]]
    assert text.startswith("Test queries that are among the training queries (2 of train)")
    assert "| collection" in text and "| training" not in text
    assert pairs[["training", "query_id", "train_query_id", "exact"]].to_numpy().tolist() == [
        ["train", "one0", "train0", True],
        ["train", "one1", "train0", False],
    ]
    assert "| train      | one    | c b a is what   | what is a b c    |      1.00 |" in texts
    # Nothing in common: tables without a row.
    given["training"] = [collection(given["output"].parent / "else", ["unlike any"])]
    _, text, pairs, texts = made(given)
    assert "0.0%" in text and pairs.empty and "| training   |" in texts


def test_each_training_collection_has_rows_of_its_own(given: dict, tmp_path: Path) -> None:
    given["training"].append(collection(tmp_path / "more", ["Gamma!", "delta", "beta"]))
    given["training_names"].append("more")
    table, text, pairs, _ = made(given)
    assert table[["training", "collection", "n_queries", "exact", "near"]].to_numpy().tolist() == [
        ["train", "one", 4, 1, 1],
        ["train", "two", 1, 0, 0],
        ["more", "one", 4, 2, 0],
        ["more", "two", 1, 1, 0],
    ]
    found = pairs.groupby("training", sort=False)["train_query_id"].agg(list)
    assert found.to_dict() == {"train": ["train0", "train0"], "more": ["more2", "more0", "more1"]}
    assert "(2 of train, 3 of more)" in text and "| more       | two " in text


def test_provenance_of_a_query_s_pairs_is_one_line(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"query_id": ["q1", "q1", "q2"], "doc_id": ["d1", "d2", "d3"], "source": ["positive", "qld", "x"]}
    )
    frame.to_parquet(tmp_path / "groups.parquet")
    (line,) = re.findall(r"^    (python -c .*GROUPS.*)$", (ROOT / "docs/tables.md").read_text(), re.MULTILINE)
    line = line.replace("GROUPS", str(tmp_path / "groups.parquet")).replace("QUERY", "q1")
    done = subprocess.run(line.replace("python", sys.executable, 1), shell=True, capture_output=True, text=True)
    assert "qld" in done.stdout and "d3" not in done.stdout, done.stderr
