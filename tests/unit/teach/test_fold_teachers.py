"""Labels out of sample: a query is scored by the one teacher that its fold was kept from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from factories import MadeStore

from workflow_scripts.models import scoring
from workflow_scripts.models.folds import folds_of
from workflow_scripts.teach import fold_teachers


def pairwise_equal(texts: int) -> MadeStore:
    """Texts of two tokens, those of rows 2n and 2n + 1 the same."""
    return MadeStore({f"q{row:04}": [row // 2, 7] for row in range(texts)})


def test_each_query_is_scored_by_the_teacher_of_its_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, documents = pairwise_equal(20), 5
    codes = SimpleNamespace(queries=queries, documents=None, rows=lambda pairs: np.divmod(pairs, documents))
    monkeypatch.setattr(fold_teachers, "Artifact", lambda model: SimpleNamespace(folder=model))
    monkeypatch.setattr(scoring, "scoring_ranker", lambda folder, *rest, precision: float(folder))

    def score(ranker: float, _q: object, _d: object, queries: np.ndarray, docs: np.ndarray, progress: object):
        return (100 * ranker + documents * queries + docs).astype(np.float32)

    monkeypatch.setattr(scoring, "score_pairs", score)
    pairs = np.random.default_rng(0).permutation(20 * documents)[:60]
    found = fold_teachers.FoldTeachers(["0", "1", "2"], codes, "auto").score(pairs, None)
    folds = folds_of(queries, pairs // documents, 3).tolist()
    assert set(folds) == {0, 1, 2} and found.tolist() == [100 * f + p for f, p in zip(folds, pairs, strict=True)]


def test_folds_are_even_and_a_text_keeps_its_own() -> None:
    queries, rows = pairwise_equal(8000), np.arange(8000)
    folds = folds_of(queries, rows, 4)
    assert np.bincount(folds).min() > 1800
    assert (folds[::2] == folds[1::2]).all()  # equal texts under two ids
    assert folds_of(queries, rows[9::-1], 4).tolist() == folds[9::-1].tolist()
