"""Measures by hand, alone and together, under any ids and hash seed; names that are refused."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from itertools import combinations

import ir_measures
import numpy as np
import pandas as pd
import pytest

from workflow_scripts.analysis.measure_names import orders_candidates, parse_measure
from workflow_scripts.analysis.measures import evaluate
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

QRELS = pd.DataFrame(
    [("q1", "a", 0), ("q1", "b", 2), ("q1", "c", 1), ("q1", "d", 1), ("q2", "a", 1), ("q3", "a", 0), ("q3", "b", -1)],
    columns=["query_id", "doc_id", "relevance"],
)
RUN = pd.DataFrame(
    [("q1", "a", 1), ("q1", "b", 2), ("q1", "x", 3), ("q1", "c", 4), ("q3", "a", 1), ("q4", "a", 1)],
    columns=["query_id", "doc_id", "rank"],
)
NAMES = """nDCG@10 nDCG@5 nDCG nDCG(gains={2:3,3:7})@10 nDCG(gains={2:5})@10 nDCG(judged_only=True)@10
nDCG(dcg='exp-log2')@10 ERR@10 AP AP(rel=2) AP(judged_only=True) RR RR(rel=2) RR@10 RR(judged_only=True)
P@1000000 P@10 P(judged_only=True)@10 P(rel=2)@5 R@5 Success@1 SetF SetF(beta=2.0) SetF(beta=1e-300)
SetF(beta=1e+300) NumRet NumRet(rel=1) NumQ NumRel Bpref infAP Rprec IPrec@0.1 Judged@10 Compat"""
ALL = NAMES.split()
MEASURES = {name: parse_measure(name) for name in ALL}


def values(names: list[str], qrels: pd.DataFrame = QRELS, ranking: pd.DataFrame = RUN) -> dict[tuple[str, str], float]:
    frame = evaluate([MEASURES.get(name) or parse_measure(name) for name in names], qrels, ranking)
    return frame.set_index(["query_id", "measure"])["value"].to_dict()


def graded(words: str = "{}") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements of grades 0 to 3 and a ranking of judged and other documents, ids as ``words`` makes them."""
    generator = np.random.default_rng(0)
    judged, ranked = [], []
    for query in range(6):
        documents = generator.permutation(40)
        judged += [(query, document, generator.integers(0, 4)) for document in documents[:20]]
        ranked += [(query, document, rank) for rank, document in enumerate(generator.permutation(documents[8:30]), 1)]
    names = [str, lambda number: words.format(number), lambda number: words.format(f"d{number}")]
    frames = []
    for rows, last in ((judged, "relevance"), (ranked, "rank")):
        frame = pd.DataFrame(rows, columns=["query_id", "doc_id", last])
        frames.append(frame.assign(query_id=frame["query_id"].map(names[1]), doc_id=frame["doc_id"].map(names[2])))
    return frames[0], frames[1]


def test_measures_by_hand_follow_the_order_of_the_run() -> None:
    """q1 ranks a (0), b (2), x (unjudged) and c (1); d (1) is not retrieved."""
    found = values(["nDCG@10", "AP", "RR@10", "P@10", "R@100", "AP(rel=2)", "Compat(normalize=False)", "ERR@10"])
    dcg = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    # The ideal order is b, then c, which is retrieved, then d.
    overlaps, weights = [0, 1 / 2, 1 / 3, 2 / 4], [1, 0.95, 0.95**2, 0.95**3]
    expected = {
        "nDCG@10": dcg / ideal,
        "AP": (1 / 2 + 2 / 4) / 3,
        "RR@10": 1 / 2,
        "P@10": 2 / 10,
        "R@100": 2 / 3,
        "AP(rel=2)": 1 / 2,
        "Compat(normalize=False)": np.dot(overlaps, weights) / sum(weights),
        "ERR@10": 3 / 16 / 2 + (1 - 3 / 16) * 1 / 16 / 4,
    }
    for name, value in expected.items():
        assert found["q1", name] == pytest.approx(value, abs=1e-5 if name == "ERR@10" else 1e-9), name
    # q2 is judged and not ranked, q3 has no relevant document: both count as 0. q4 is ranked and not judged: left out.
    assert list(found) == sorted(found) and {query for query, _ in found} == {"q1", "q2", "q3"}
    assert not any(value for (query, _), value in found.items() if query != "q1")


def test_an_unretrieved_document_is_never_before_a_retrieved_one_of_its_grade() -> None:
    qrels = pd.DataFrame([("q", "a", 1), ("q", "b", 1)], columns=["query_id", "doc_id", "relevance"])
    ranking = pd.DataFrame([("q", "b", 1)], columns=["query_id", "doc_id", "rank"])
    assert values(["Compat(p=0.5)"], qrels, ranking)["q", "Compat(p=0.5)"] == pytest.approx((1 + 0.5 / 2) / 1.5)


def differences_together() -> list[str]:
    """Pairs of measures one of which has another value than alone."""
    qrels, ranking = graded()
    judged, scores = {}, {}
    for query, document, grade in qrels.itertuples(index=False):
        judged.setdefault(query, {})[document] = grade
    for query, document, rank in ranking.itertuples(index=False):
        scores.setdefault(query, {})[document] = 99.0 - rank
    alone = {}
    for name in ALL:
        measure = ir_measures.parse_measure(name)
        alone |= {(found.query_id, name): found.value for found in ir_measures.iter_calc([measure], judged, scores)}
    pairs = [list(pair) for pair in combinations(ALL, 2)]
    return [
        " with ".join(pair)
        for pair in pairs
        if values(pair, qrels, ranking) != {key: value for key, value in alone.items() if key[1] in pair}
    ]


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_two_measures_together_give_what_each_gives_alone(seed: str) -> None:
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize("words", ["topic-{}", "q{}", "{}-1", "ö-{}", "2024-{}-a", "{} x"])
def test_ids_are_only_names(words: str) -> None:
    plain, named = values(ALL, *graded()), values(ALL, *graded(words))
    assert named == {(words.format(query), name): value for (query, name), value in plain.items()}
    assert sum(plain[str(query), "ERR@10"] for query in range(6)) > 0


def test_a_grade_that_gdeval_cannot_read_is_refused_and_the_same_gains_written_out_are_the_same() -> None:
    qrels, ranking = graded()
    found = values(["nDCG(dcg='exp-log2')@10", "nDCG(gains={2:3,3:7})@10"], qrels, ranking)
    pairs = [[found[str(query), name] for query in range(6)] for name in dict.fromkeys(name for _, name in found)]
    assert pairs[0] == pytest.approx(pairs[1], abs=1e-5)
    higher = qrels.assign(relevance=qrels["relevance"] + 2)
    for name in ("ERR@10", "nDCG(dcg='exp-log2')@10"):
        with pytest.raises(InputError, match=r"is of grades up to 4 and a judgement has grade 5: .*gains=\{2:3"):
            values([name], higher, ranking)
    assert values(["nDCG(gains={2:3,3:7,4:15,5:31})@10"], higher, ranking)


@pytest.mark.parametrize("document", ["x", "b"])
def test_of_judged_documents_alone_a_ranking_without_one_has_the_value_of_an_empty_ranking(document: str) -> None:
    """x is unjudged, b was pooled and not judged (-1): trec_eval's IPrec divides by their number, 0."""
    ranking = pd.DataFrame([("q3", document, 1), ("q1", "b", 1)], columns=["query_id", "doc_id", "rank"])
    names = [name for name in ALL if "judged_only" in name] + ["IPrec(judged_only=True)@0.0"]
    for alone in (ranking, ranking[:1]):
        found = values(names, QRELS, alone)
        assert [value for (query, _), value in found.items() if query == "q3"] == [0] * len(names)
    assert values(names, QRELS, ranking)["q1", "IPrec(judged_only=True)@0.0"] == 1


def test_a_measure_orders_candidates_where_another_order_changes_it() -> None:
    """Of all measures that are computed here, without a cutoff, with one inside the ranking and one at its end."""
    judged, ranked = graded()
    judged["relevance"] //= 3  # few are relevant
    depth, generator = int(ranked["rank"].max()), np.random.default_rng(1)
    orders = [np.concatenate([generator.permutation(depth) + 1 for _ in range(6)]) for _ in range(4)]
    changed = {}
    for name in (f"{each}{cutoff}" for each in ir_measures.measures.registry for cutoff in ("", "@5", f"@{depth}")):
        try:
            measure = parse_measure(name)
        except InputError:
            continue
        found = [
            evaluate([measure], judged, ranked.assign(rank=order).sort_values(["query_id", "rank"])) for order in orders
        ]
        changed[name] = len({tuple(each["value"]) for each in found}) > 1
    assert len(changed) > 25 and {"NumRet", "NumRel", "NumQ", "SetAP", "Rprec", f"P@{depth}"} <= changed.keys()
    assert {name: orders_candidates(name, depth) for name in changed} == changed


def test_names_are_as_ir_measures_prints_them() -> None:
    assert [str(parse_measure(name)) for name in ("AP(rel=1)", "RR(rel=2)@10")] == ["AP", "RR(rel=2)@10"]
    assert [str(parse_measure(name)) for name in ALL] == ALL


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "ndcg_cut.10 nDGC@10 nDCG@ten nDCG@-1 P AP(depth=3) BPM IPrec@2 nDCG(gains=3)@10 R@1;P@1",
            "must be a measure",
        ),
        (
            "nDCG@0 P@0 R@0 RR@0 AP@0 Success@0 ERR@0 Judged@0 P@1000000000 nDCG(cutoff=True)",
            "cutoff is .* must be a wh",
        ),
        ("P(rel=0)@5 AP(rel=99999999999) RR(rel=True)", "rel is .* must be a whole number"),
        ("IPrec@0.125", "recall is 0.125, of which the evaluator reads two decimals"),
        ("SetF(beta=1e999)", "beta is inf"),
        ("Compat(p=1.5) Compat(p=10.0)", "p is 1.*, and must be at most 1"),
        ("nDCG(gains={2:2.5})@10 nDCG(gains={2:3000000000})@10 nDCG(gains={'a':2})@10", "gains must be whole numbers"),
        (
            "alpha_nDCG@10 RBP RR(judged_only=True)@10 NumRel(rel=2) nDCG(dcg='exp-log2') Accuracy",
            "nothing installed computes",
        ),
    ],
)
def test_what_no_evaluator_computes_is_refused_by_its_name(names: str, message: str) -> None:
    for name in names.split():
        with pytest.raises(InputError, match=message) as raised:
            parse_measure(name)
        assert repr(name) in str(raised.value)


if __name__ == "__main__":
    print(*differences_together(), sep="\n", end="")
