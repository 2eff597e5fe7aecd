"""Samplers on one query of ten documents, against what their definitions give by hand."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal, localcontext

import numpy as np
import pytest

from workflow_scripts.experiment.shares import near_negatives
from workflow_scripts.locality.locality import density_ratios
from workflow_scripts.mine.candidates import Candidates, DocumentIds, Negative
from workflow_scripts.mine.samplers import Sampler, load_sampler
from workflow_scripts.mine.samplers.positive_aware import _limit
from workflow_scripts.storage.errors import InputError


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def candidates(**changes: object) -> Candidates:
    """Ten documents a to j; two systems; a and d are positives."""
    values = {
        "query_id": "q",
        "positives": frozenset("ad"),
        "rankings": {"x": (list("abcdef"), [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]), "y": (list("gdcbhi"), [None] * 6)},
        "teacher": {"a": 5.0, "b": 1.0, "c": 4.0, "d": 3.0, "e": 1.0, "f": 2.0, "g": 2.6, "h": 2.5, "i": -1.0},
        "corpus": DocumentIds(np.array([letter.encode() for letter in "abcdefghij"], "S1")),
    }
    return Candidates(**{**values, **changes})


def drawn(name: str, options: dict, count: int, query: Candidates | None = None, seed: int = 0) -> dict[str, tuple]:
    found = load_sampler(name, options)(query or candidates(), count, generator(seed))
    assert len(found) == count
    return {one.doc_id: (one.source, one.rank, one.score, one.probability) for one in found}


def test_bm25_draws_from_the_top_of_one_ranking():
    found = drawn("bm25", {"system": "x", "depth": 5, "pool": 2}, 2)
    assert found == {"b": ("x", 2, 8.0, 1.0), "c": ("x", 3, 7.0, 1.0)}
    # Depth 4 leaves b and c after the positives: two more come from e, f, g, h, i, j.
    found = drawn("bm25", {"system": "x", "depth": 4, "pool": 4}, 4)
    assert Counter(source for source, *_ in found.values()) == {"x": 2, "fill": 2}
    assert {one[3] for one in found.values() if one[0] == "fill"} == {2 / 6}
    with pytest.raises(InputError, match="no ranking of None: set the option 'system' to one of x, y"):
        drawn("bm25", {"depth": 4, "pool": 4}, 1)


def test_crossencoder_draws_from_the_teachers_order_ties_by_id():
    # The teacher orders a to f: a 5, c 4, d 3, f 2, b 1, e 1.
    found = drawn("crossencoder", {"system": "x", "depth": 6, "pool": 3}, 3)
    source = "crossencoder"
    assert found == {"c": (source, 2, 4.0, 1.0), "f": (source, 4, 2.0, 1.0), "b": (source, 5, 1.0, 1.0)}
    with pytest.raises(InputError, match="no score for query q, document f"):
        drawn(
            "crossencoder", {"system": "x", "depth": 6, "pool": 3}, 1, candidates(teacher=dict.fromkeys("abcde", 0.0))
        )
    with pytest.raises(InputError, match="no score for query q, document a"):
        drawn(
            "crossencoder",
            {"system": "x", "depth": 6, "pool": 3},
            1,
            candidates(teacher=dict.fromkeys("abcdef", np.nan)),
        )


def test_ensemble_unites_systems_and_drops_what_scores_near_a_positive():
    # The lowest positive is d with 3: above 2.5 is too near, so c and g go and h, at 2.5, stays.
    query = candidates()
    found = drawn("ensemble", {"depth": 6, "per_system": 2, "margin": 0.5}, 4, query)
    assert found == {
        "b": ("x", 2, 8.0, 1.0),
        "e": ("x", 5, 5.0, 1.0),
        "h": ("y", 5, None, 1.0),
        "i": ("y", 6, None, 1.0),
    }
    assert query.counts == {"filtered": 2}
    # In the other order y keeps b as its own, and the fill brings back neither positives nor what was dropped.
    found = drawn("ensemble", {"depth": 5, "per_system": 2, "margin": 0.5, "systems": ["y", "x"]}, 5)
    assert found["b"][:2] == ("y", 4) and found["h"][0] == "y" and found["e"][0] == "x"
    assert {doc_id for doc_id, one in found.items() if one[0] == "fill"} < set("fij")
    assert {one[3] for one in found.values() if one[0] == "fill"} == {2 / 3}


def test_stratified_draws_one_negative_of_each_run_of_the_teachers_order():
    # In the teacher's order, less the positives, x lists c 4, f 2, b 1, e 1: two runs, or one of two and two of one.
    samples = [drawn("stratified", {"system": "x", "depth": 6}, 2, seed=seed) for seed in range(2000)]
    counts = Counter(doc_id for sample in samples for doc_id in sample)
    assert all(len(sample.keys() & set("cf")) == len(sample.keys() & set("be")) == 1 for sample in samples)
    assert {one[3] for sample in samples for one in sample.values()} == {0.5}
    assert all(abs(counts[document] - 1000) < 112 for document in "cfbe")  # 5 standard deviations of 22.4
    found = drawn("stratified", {"system": "x", "depth": 6}, 3)
    assert found.keys() > set("be") and found["e"] == ("stratified", 6, 1.0, 1.0) and found["b"][3] == 1.0
    assert found[next(iter(found))][3] == 0.5
    # A pool of four, all of it, and one of g, h, i, j.
    found = drawn("stratified", {"system": "x", "depth": 6}, 5)
    assert found.keys() > set("cfbe") and [one[3] for one in found.values() if one[0] == "fill"] == [1 / 4]


def kept_by(limit: str, value: float, teacher: dict[str, float]) -> set[str]:
    """Negatives of x, by the definitions of NV-Retriever with sigma as the similarity."""
    sigma = {document: 1 / (1 + math.exp(-score)) for document, score in teacher.items()}
    lowest = min("ad", key=teacher.__getitem__)
    if limit == "share":
        return {document for document in "bcef" if sigma[document] <= value * sigma[lowest]}
    return {document for document in "bcef" if teacher[document] <= teacher[lowest] - value}


@pytest.mark.parametrize(
    ("limit", "value"),
    [("share", 0.95), ("share", 0.8), ("share", 1.0), ("share", 1.5), ("margin", 0.5), ("margin", 2)],
)
@pytest.mark.parametrize("shift", [0.0, -6.0, -60.0])
def test_positive_aware_drops_what_scores_near_the_lowest_positive(limit, value, shift):
    query = candidates()
    query = candidates(teacher={document: score + shift for document, score in query.teacher.items()})
    options = {"system": "x", "depth": 6, "pool": 6, "limit": limit, "value": value}
    found, kept = drawn("positive_aware", options, 4, query), kept_by(limit, value, query.teacher)
    assert {document for document, one in found.items() if one[0] == "x"} == kept
    assert query.counts["filtered"] == 4 - len(kept)
    # The fill brings back neither what was dropped nor a positive.
    assert {document for document, one in found.items() if one[0] == "fill"} <= set("ghij")


@pytest.mark.parametrize("share", [0.3, 0.95, 1 - 1e-9, 1.0, 1 + 1e-9, 1.5])
@pytest.mark.parametrize("positive", [-800.0, -40.0, -2.5, 0.0, 2.5, 30.0, 36.0, 37.0, 40.0, 800.0])
def test_a_share_is_exact_and_finite_where_sigma_rounds_to_0_or_1(share, positive):
    with localcontext(prec=800):
        kept = Decimal(share) / (1 + Decimal(-positive).exp())
        expected = float((kept / (1 - kept)).ln()) if kept < 1 else math.inf
    found = _limit(positive, "share", share)
    assert found == pytest.approx(expected, rel=1e-12) and (share != 1 or found == positive)


def test_positive_aware_draws_from_the_best_that_stay():
    # At most 0.95 of d's 3, in sigma: b, e and f; c at 4 is dropped.
    options = {"system": "x", "depth": 6, "pool": 2, "limit": "share", "value": 0.95}
    assert drawn("positive_aware", options, 2) == {"b": ("x", 2, 8.0, 1.0), "e": ("x", 5, 5.0, 1.0)}


def test_random_covers_the_corpus_evenly():
    counts = Counter(doc_id for seed in range(4000) for doc_id in drawn("random", {}, 4, seed=seed))
    assert set(counts) == set("bcefghij")
    # Each of 8 eligible documents is in half of the samples: 2000 +- 5 standard deviations of 31.6.
    assert all(abs(count - 2000) < 160 for count in counts.values())
    assert drawn("random", {}, 4)[next(iter(drawn("random", {}, 4)))] == ("corpus", None, None, 0.5)
    with pytest.raises(InputError, match="9 random documents wanted, 8 eligible"):
        drawn("random", {}, 9)


def test_probability_is_the_frequency_of_inclusion():
    options = {"system": "x", "depth": 6, "pool": 4}
    samples = [drawn("bm25", options, 3, seed=seed) for seed in range(4000)]
    counts = Counter(doc_id for sample in samples for doc_id in sample)
    assert {one[3] for sample in samples for one in sample.values()} == {0.75}
    assert set(counts) == set("bcef") and all(abs(count - 3000) < 140 for count in counts.values())


def test_dense_leaves_out_the_nearest():
    # Less the positives a and d, system x lists b, c, e, f.
    found = drawn("dense", {"system": "x", "depth": 5, "pool": 2, "skip": 1}, 2)
    assert found == {"c": ("x", 3, 7.0, 1.0), "e": ("x", 5, 5.0, 1.0)}
    # The fill does not bring b back: 5 of c, e and the six others of f to j.
    for seed in range(20):
        found = drawn("dense", {"system": "x", "depth": 5, "pool": 3, "skip": 1}, 5, seed=seed)
        assert "b" not in found and {one[3] for one in found.values() if one[0] == "fill"} == {3 / 5}
    plain = {"system": "x", "depth": 6, "pool": 4}
    assert drawn("dense", plain, 3, seed=5) == drawn("bm25", plain, 3, seed=5)


def test_mixed_holds_its_share_with_true_probabilities():
    # Pool b, c, e of 8 eligible: 2 of 3 near, 2 of the other 5.
    options = {"system": "x", "depth": 5, "pool": 3, "share": 0.5}
    samples = [drawn("mixed", options, 4, seed=seed) for seed in range(4000)]
    assert all(sorted(one[0] for one in sample.values()) == ["corpus", "corpus", "x", "x"] for sample in samples)
    counts = Counter(doc_id for sample in samples for doc_id in sample)
    stated = {doc_id: one[3] for sample in samples for doc_id, one in sample.items()}
    assert stated == pytest.approx(dict.fromkeys("bce", 2 / 3) | dict.fromkeys("fghij", 2 / 5))
    assert all(abs(counts[doc_id] - 4000 * chance) < 160 for doc_id, chance in stated.items())
    # So the locality table is exact for a mixture: nu is 1/6 on the pool and 1/10 outside it, mu 1/8.
    probabilities = np.array([[one[3] for one in sample.values()] for sample in samples[:50]])
    ratios = density_ratios(probabilities, np.full(50, 2), 10)
    assert ratios.bounded.all()
    assert ratios.kappa == pytest.approx([5 / 4] * 50) and ratios.concentration == pytest.approx([4 / 3] * 50)


def test_mixed_ends_at_random_and_at_the_pool():
    options = {"system": "x", "depth": 6, "pool": 3}
    for seed in range(20):
        assert drawn("mixed", {**options, "share": 0}, 4, seed=seed) == drawn("random", {}, 4, seed=seed)
        assert drawn("mixed", {**options, "share": 1}, 2, seed=seed) == drawn("bm25", options, 2, seed=seed)
    # A pool of b alone lacks two of three near ones: 3 of the 7 others are drawn, two of them as fill.
    found = drawn("mixed", {"system": "x", "depth": 2, "pool": 2, "share": 0.75}, 4)
    assert Counter((one[0], one[3]) for one in found.values()) == {
        ("x", 1.0): 1,
        ("fill", 3 / 7): 2,
        ("corpus", 3 / 7): 1,
    }


def test_a_share_is_a_whole_number_of_negatives():
    assert [near_negatives(share, 7) for share in (0, 0.143, 0.2857, 1.0)] == [0, 1, 2, 7]
    message = r"share of 0.25 must be a whole number of 7 negatives; set it to 0.143 \(1 of 7\) or 0.286 \(2 of 7\)"
    with pytest.raises(InputError, match=message):
        near_negatives(0.25, 7)


def test_a_sampler_is_found_by_its_name():
    for name in ("bm26", "../bm25"):
        with pytest.raises(InputError, match=f"no {name!r} among the samplers: there are bm25, crossencoder"):
            load_sampler(name, {})


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda query: ["b", "c"], r"returned \['b', 'c'\] .*it must return a list of Negatives"),
        (lambda query: None, "returned None .*it must return a list of Negatives"),
        (lambda query: iter(()), "returned <tuple_iterator .*it must return a list of Negatives"),
        (lambda query: [Negative("b", "x")], "returned 1 negatives .*it must return 2"),
        (lambda query: [Negative(doc, "x") for doc in "bce"], "returned 3 negatives .*it must return 2"),
        (lambda query: [Negative("b", "x")] * 2, "returned document b twice .*it must draw without replacement"),
        (lambda query: [Negative("b", "x"), Negative("d", "x")], "returned the positive d .*leave positives out"),
        (lambda query: [Negative("b", "x"), Negative("j", "x")], "returned the spared document j .*leave spared doc"),
        (lambda query: [Negative(1, "x"), Negative("b", "x")], r"returned Negative\(doc_id=1, .*give an id"),
        (
            lambda query: [Negative("b", "x", 1, 1.0, 0.0), Negative("c", "x")],
            "returned Negative.*a probability above 0",
        ),
        (
            lambda query: query.nothing,
            "raised AttributeError in test_samplers.py, line [0-9]+ .*it must return negatives",
        ),
        (lambda query: query.rankings["z"], r"raised KeyError in .* \('z'\) for query q; it must return negatives"),
    ],
)
def test_a_sampler_that_breaks_its_contract_is_named(returned, message):
    sampler = Sampler("mine", {}, True, False, lambda query, count, rng: returned(query))
    with pytest.raises(
        InputError, match=rf"^sampler mine \(mine/samplers/mine.py, function sample\) {message}"
    ) as raised:
        sampler(candidates(spared=frozenset("j")), 2, generator())
    assert "\n" not in str(raised.value)
