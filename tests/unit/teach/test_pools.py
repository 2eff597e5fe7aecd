"""Pairs as integers and look-ups in scored pools, against plain sets and dicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import numbered_store

from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.teach import pools
from workflow_scripts.teach.pools import SCORES_FILE, PairCodes, PoolWriter, distinct, look_up


def write_pool(path: Path, codes: PairCodes, scores: dict[int, float]) -> Path:
    with (
        ArtifactWriter(path, kind="teacher scores", spec={}) as writer,
        PoolWriter(writer.path(SCORES_FILE), codes) as pool,
    ):
        ordered = np.array(sorted(scores), np.int64)
        pool.add(ordered, np.array([scores[code] for code in ordered.tolist()], np.float32))
    return path


@pytest.mark.parametrize("rows", [7, 64, 2**20])
def test_looked_up_scores_are_those_of_the_first_pool_that_holds_the_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(pools, "ROW_GROUP", rows)
    draw = np.random.default_rng(rows)
    # The pools are of more queries and documents than the groups' stores.
    wide = PairCodes(numbered_store("q", range(40)), numbered_store("d", range(90)))
    narrow = PairCodes(numbered_store("q", range(3, 30)), numbered_store("d", range(0, 90, 2)))
    held = [{int(code): float(score) for score, code in enumerate(draw.choice(3600, 900))} for _ in range(2)]
    paths = [write_pool(tmp_path / str(n) / "manifest.json", wide, pool) for n, pool in enumerate(held)]
    wanted = distinct(draw.choice(27 * 45, 400))
    by_name = [
        {(wide.queries.ids[code // 90], wide.documents.ids[code % 90]): score for code, score in pool.items()}
        for pool in reversed(held)
    ]
    merged = by_name[0] | by_name[1]
    expected = [
        merged.get((narrow.queries.ids[code // 45], narrow.documents.ids[code % 45]), np.nan)
        for code in wanted.tolist()
    ]
    assert 0 < np.isnan(expected).sum() < len(expected)
    np.testing.assert_array_equal(look_up(wanted, paths, narrow), np.array(expected, np.float32))
    # Where all is found, the next pool is not even opened.
    found = wanted[~np.isnan(expected)]
    assert not np.isnan(look_up(found, [*paths, tmp_path / "nowhere"], narrow)).any()
    assert len(look_up(wanted[:0], [tmp_path / "nowhere"], narrow)) == 0


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_distinct_codes_are_a_sorted_set(size: int) -> None:
    codes = np.random.default_rng(size).integers(-50, 200, size)
    assert distinct(codes).tolist() == sorted(set(codes.tolist()))
