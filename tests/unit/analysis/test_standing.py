"""A student that reads no teacher is measured once and found at every teacher's place."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from factories import write_metrics

from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import values_at
from workflow_scripts.storage.errors import InputError

MEASURED = {
    ("ce", "lce", "bm25", "none"): [0.2, 0.4],
    ("ce", "kl", "bm25", "weak"): [0.3, 0.5],
    ("ce", "kl", "bm25", "base"): [0.6, 0.8],
}


def test_it_stands_at_every_teachers_place_and_nothing_else_does(tmp_path: Path) -> None:
    own = {(*key, 0, "a"): two for key, two in MEASURED.items()}
    values = QueryValues(write_metrics(tmp_path / "metrics.parquet", own, ["AP"]))
    for (student, loss, sampler, teacher), expected in MEASURED.items():
        for place in ("weak", "base") if teacher == "none" else (teacher,):
            key = (student, loss, sampler, place)
            assert values.seeds(key) == [0] and values.of(key, [0], "a", "AP").tolist() == expected
            assert values.mean(key, 0, "a", "AP") == pytest.approx(sum(expected) / 2)
    for read in (lambda key: values.of(key, [0], "a", "AP"), lambda key: values.mean(key, 0, "a", "AP")):
        with pytest.raises(InputError, match=r"lack AP of .*loss=kl sampler=bm25 teacher=other seed=0 on a"):
            read(("ce", "kl", "bm25", "other"))
    places = pd.DataFrame([(*key[:3], "weak") for key in MEASURED], columns=["student", "loss", "sampler", "teacher"])
    assert values_at(places, {key: two[0] for key, two in MEASURED.items()})[:2] == [0.2, 0.3]
