"""Embedding texts: a vector each, in the order of the rows, whatever is embedded beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories import MadeStore
from scored_world import CONFIG

from workflow_scripts.models import scoring
from workflow_scripts.models.embedding import embed_texts
from workflow_scripts.models.rankers import new_ranker


def test_a_text_embeds_alike_alone_and_beside_others_however_much_is_fetched_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.set_num_threads(1)
    model = new_ranker(CONFIG | {"vocab_size": 50}, "bi-encoder", initialise_seed=1)
    store = MadeStore({"a": [7, 8, 9], "b": [10], "c": [11, 12, 13, 14, 15], "d": [16, 17]})
    rows = np.array([2, 0, 3, 1])
    monkeypatch.setattr(scoring, "token_budget", lambda model: 9)
    vectors = embed_texts(model, store, rows)
    fetch, fetched = scoring._fetch, []
    monkeypatch.setattr(scoring, "_fetch", lambda waiting, into: fetched.append(len(waiting)) or fetch(waiting, into))
    # Batches of two texts and of one, 64 bytes a vector.
    for least, parts in ((0, [1, 1, 1, 0]), (129, [2, 1]), (2**28, [3])):
        fetched.clear()
        monkeypatch.setitem(scoring.FETCHED_BYTES, "cpu", least)
        assert np.array_equal(embed_texts(model, store, rows), vectors)
        assert fetched == parts
    for vector, row in zip(vectors, rows, strict=True):
        alone = embed_texts(model, store, np.array([row]))
        assert vector == pytest.approx(alone[0], abs=1e-5)
    assert embed_texts(model, store, rows, max_tokens=1)[0] == pytest.approx(
        embed_texts(model, MadeStore({"a": [11]}), np.array([0]))[0], abs=1e-5
    )
