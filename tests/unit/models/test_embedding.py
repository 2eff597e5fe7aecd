"""Embedding texts: a vector each, in the order of the rows, whatever is embedded beside it."""

from __future__ import annotations

import numpy as np
import pytest


def test_a_text_embeds_alike_alone_and_beside_others_however_much_is_fetched_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    from workflow_scripts.models import scoring
    from workflow_scripts.models.embedding import embed_texts
    from workflow_scripts.models.rankers import new_ranker

    torch.set_num_threads(1)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = {"model_type": "bert", "vocab_size": 50, "max_position_embeddings": 20, "initializer_range": 0.3, **shape}
    model = new_ranker(config, "bi-encoder", initialise_seed=1)
    store = FakeStore([[7, 8, 9], [10], [11, 12, 13, 14, 15], [16, 17]])
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
        embed_texts(model, FakeStore([[11]]), np.array([0]))[0], abs=1e-5
    )


class FakeStore:
    """A token store in memory."""

    cls, sep, cut_at = 1, 2, 8

    def __init__(self, texts: list[list[int]]) -> None:
        self.texts = texts
        self.lengths = np.array([len(text) for text in texts])

    def gather(self, rows: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
        parts = [self.texts[row][:limit] for row in rows]
        return np.concatenate([np.array(part, np.int32) for part in parts]), np.array([len(part) for part in parts])
