"""Labels out of sample: a query is scored by the one teacher that its fold was kept from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from workflow_scripts.models import scoring
from workflow_scripts.storage.seeds import fold_of
from workflow_scripts.teach import fold_teachers


def test_each_query_is_scored_by_the_teacher_of_its_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"q{row}" for row in range(20)]
    documents = 5
    codes = SimpleNamespace(
        queries=SimpleNamespace(names=lambda rows: pa.array([names[row] for row in rows])),
        documents=None,
        rows=lambda pairs: np.divmod(pairs, documents),
    )
    monkeypatch.setattr(fold_teachers, "Artifact", lambda model: SimpleNamespace(folder=model))
    monkeypatch.setattr(scoring, "scoring_ranker", lambda folder, *rest, precision: float(folder))

    def score(ranker: float, _q: object, _d: object, queries: np.ndarray, docs: np.ndarray, progress: object):
        return (100 * ranker + documents * queries + docs).astype(np.float32)

    monkeypatch.setattr(scoring, "score_pairs", score)
    pairs = np.random.default_rng(0).permutation(len(names) * documents)[:60]
    found = fold_teachers.FoldTeachers(["0", "1", "2"], codes, "auto").score(pairs, None)
    folds = [fold_of(names[pair // documents], 3) for pair in pairs]
    assert set(folds) == {0, 1, 2} and found.tolist() == [100 * f + p for f, p in zip(folds, pairs, strict=True)]


def test_folds_are_even_and_a_query_keeps_its_own() -> None:
    folds = [fold_of(f"query {number}", 4) for number in range(4000)]
    assert np.bincount(folds).min() > 900 and folds[:10] == [fold_of(f"query {number}", 4) for number in range(10)]
