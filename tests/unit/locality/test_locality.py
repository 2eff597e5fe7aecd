"""Locality's estimators against hand-computed values, scipy, the enumeration of all draws, and a generated truth."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from factories import write_collection, write_corpus, write_embeddings, write_groups, write_labels, write_ranking
from rendered import render
from scipy.spatial.distance import pdist

from workflow_scripts.analysis.entropy import pairwise_entropy, positive_entropy
from workflow_scripts.locality import embed_groups
from workflow_scripts.locality.bound import misordering_range
from workflow_scripts.locality.locality import coverage, density_ratios, diameters, misordered, outscoring_negatives
from workflow_scripts.locality.make_locality_table import make_locality_table
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers

QUERIES = ["q1", "q2"]
DOCUMENTS = [f"d{number}" for number in range(10)]


def test_diameter_against_scipy_and_by_hand() -> None:
    vectors = np.random.default_rng(1).normal(size=(4, 7, 5))
    unit = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    assert diameters(vectors, 0.99) == pytest.approx([np.quantile(pdist(group), 0.99) for group in unit])
    # Lengths do not count, directions do: same, orthogonal, opposite.
    for second, distance in (([7.0, 0], 0), ([0, 0.1], 2**0.5), ([-3.0, 0], 2)):
        assert diameters(np.array([[[1.0, 0], second]]), 1.0) == pytest.approx(distance, abs=1e-7)
    with pytest.raises(InputError, match="zero or not finite"):
        diameters(np.zeros((1, 2, 3)), 0.99)


def test_density_ratios_of_samplers_whose_distribution_is_known() -> None:
    # 12 documents, 2 of them positive: mu is 1/10 each. Random: nu = mu. A pool of 4: nu 1/4 on 4 documents.
    # A pool of 1 filled with 2 of the 7 others, 2 excluded: nu = 1/3 on it, 2/7 / 3 on each of the seven.
    probabilities = np.array([[0.3, 0.3, 0.3], [0.75, 0.75, 0.75], [1.0, 2 / 7, 2 / 7]])
    ratios = density_ratios(probabilities, np.array([2, 2, 2]), 12)
    assert ratios.kappa == pytest.approx([1, 0.4, 0.1 / (2 / 21)])
    assert ratios.outside == pytest.approx([0, 0.6, 0.2])
    assert ratios.concentration == pytest.approx([1, 2.5, (1 / 3) / 0.1])
    assert ratios.bounded.tolist() == [True, False, False]
    with pytest.raises(InputError, match="probability"):
        density_ratios(np.array([[0.0]]), np.array([1]), 5)
    with pytest.raises(InputError, match="exceeds the corpus"):
        density_ratios(np.array([[0.1, 0.1]]), np.array([1]), 15)


def test_support_is_right_on_average_for_unequal_drawing() -> None:
    # One of 3 documents by 1/2, 1/3, 1/6: over all draws the estimate of the support's size means 3.
    nu = np.array([1 / 2, 1 / 3, 1 / 6])
    estimates = 1 - density_ratios(nu[:, None], np.zeros(3, int), 100).outside
    assert np.sum(nu * estimates * 100) == pytest.approx(3)


def test_a_coin_between_two_irrelevant_documents_is_no_error() -> None:
    # Sure of the positive, tossing coins among the rest: H over all pairs is 2/3 and more, and nothing is misordered.
    sure = np.array([[20.0, 0.0, 0.01, 0.0], [20.0, 0.0, 0.0, -0.01]])
    grades = np.array([[3, 0, 0, 0], [3, 1, 0, 0]])
    assert pairwise_entropy(sure).mean() > 0.49 and misordered(sure, grades).tolist() == [0, 0]
    assert misordering_range(positive_entropy(sure).mean())[1] < 1e-6
    # Of three negatives one outscores the positive, one ties with it and one is as relevant, which is no pair.
    assert misordered(np.array([[1.0, 2.0, 1.0, 9.0]]), np.array([[2, 0, 1, 2]])).tolist() == [0.75]
    # A group of equally relevant documents has no pair.
    assert misordered(np.array([[1.0, 2.0], [1.0, 0.0]]), np.array([[2, 2], [2, 1]])).tolist() == [0]


def test_coverage_counts_distinct_candidates() -> None:
    assert coverage(np.array(["a", "b", "z"]), np.array(["a", "a", "b", "c", "d"])) == 0.5
    with pytest.raises(InputError, match="no candidates"):
        coverage(np.array(["a"]), np.array([]))


def test_outscoring_negatives_by_the_margin() -> None:
    scores = np.array([[2.0, 1.6, 1.5, 9.0], [0.0, -1.0, -0.5, -0.4]])
    assert outscoring_negatives(scores, 0.5).tolist() == [2, 1]  # the threshold itself is no false negative


@pytest.fixture
def experiment(tmp_path: Path) -> dict:
    """Two queries over ten documents; a random sampler, and one that draws from the pools {d1, d2, d3}, {d6, d7}."""
    truth = [("q1", "d0", 3), ("q1", "d2", 1), ("q2", "d5", 3)]
    positives = zip(QUERIES, ("d0", "d5"), strict=True)
    drawn = {
        "random": ({"q1": ["d0", "d1", "d9"], "q2": ["d5", "d0", "d1"]}, [2 / 9, 2 / 9]),
        "pool": ({"q1": ["d0", "d1", "d2"], "q2": ["d5", "d6", "d7"]}, [2 / 3, 1.0]),
    }
    groups, labels = [], []
    for name, (documents, chances) in drawn.items():
        groups.append(write_groups(tmp_path / f"groups-{name}", documents, chances))
        labels.append(write_labels(tmp_path / f"labels-{name}", documents, [2.0, 1.8, 0, 1, 0, 0]))
    angles = np.arange(10) * np.pi / 10
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    listed = {"t1": ["d1", "d2", "d8"], "t2": ["d6", "d8", "d9"]}
    spec = {
        "rows": [["random", "base", 0], ["pool", "base", 0]],
        "quantile": 1.0,
        "embedding": "mini",
        "margin": 0.5,
        "random": "random",
        "depth": 2,
    }
    return {
        **{"spec": spec, "groups": groups, "labels": labels},
        "corpus": write_corpus(tmp_path / "corpus", dict.fromkeys(DOCUMENTS, "")),
        "collection": write_collection(tmp_path / "collection", QUERIES, positives=positives, truth=truth),
        "embeddings": write_embeddings(tmp_path / "embeddings", DOCUMENTS, vectors, QUERIES),
        "rankings": [write_ranking(tmp_path / "ranking", {"bm25": listed})],
        **{"output": tmp_path / "locality.parquet", "queries": tmp_path / "queries.parquet"},
    }


def chord(steps: int) -> float:
    """Distance of two of the fixture's documents that many places apart."""
    return 2 * np.sin(steps * np.pi / 20)


def test_table_by_hand(experiment: dict) -> None:
    make_locality_table(**experiment)
    table, text = render("locality", experiment["output"])
    found = table.set_index(["sampler", "quantity"])["value"].unstack("sampler")
    expected = {
        "diameter": ((chord(9) + chord(5)) / 2, chord(2)),
        "kappa": (1, (1 / 3 + 2 / 9) / 2 * 1.0),
        "outside": (0, (6 / 9 + 7 / 9) / 2),
        "bounded": (1, 0),
        "concentration": (1, (3 + 4.5) / 2),
        # d1, d2, d6, d8 are the candidates at depth 2: of them random shows d1, the pool d1, d2, d6.
        "coverage": (0.25, 0.75),
        "coverage_relative": (1, 3),
        "false_truth": (0, 0.5),
        "share_truth": (0, 0.25),
        "false_teacher": (0.5, 0.5),
        "share_teacher": (0.25, 0.25),
    }
    for quantity, values in expected.items():
        assert found.loc[quantity, ["random", "pool"]].tolist() == pytest.approx(values, abs=1e-6), quantity
    entropy = pairwise_entropy(np.array([[2, np.float32(1.8), 0], [1, 0, 0]])).mean()
    assert found.loc["entropy"].tolist() == pytest.approx([entropy] * 2, abs=1e-6)
    assert "| pool" in text and "75.0%" in text and "means over 2 training queries (2 for the diameter)" in text
    spec = experiment["spec"] | {"rows": [["random", "base", 0], ["random", "base", 1]]}
    make_locality_table(**{**experiment, "spec": spec})
    numbers, _ = read_numbers(experiment["output"])
    assert (numbers["n_seeds"] == 2).all() and numbers["std_seed"].notna().any()


def test_a_sampler_that_leaves_out_what_is_spared_misses_nothing(experiment: dict, tmp_path: Path) -> None:
    judged = {"positives": [("q1", "d0"), ("q2", "d5")], "spared": [("q1", "d3"), ("q1", "d4"), ("q2", "d3")]}
    drawn = {"q1": ["d0", "d1", "d9"], "q2": ["d5", "d0", "d1"]}
    experiment["groups"][0] = write_groups(tmp_path / "groups-random", drawn, [2 / 7, 2 / 8])
    make_locality_table(**experiment | {"collection": write_collection(tmp_path / "judged", QUERIES, **judged)})
    table = read_numbers(experiment["output"])[0].set_index(["sampler", "quantity"])["value"]
    assert table["random"][["kappa", "outside", "bounded", "concentration"]].tolist() == pytest.approx([1, 0, 1, 1])


def test_a_calibrated_teacher_s_margin_is_one_of_its_scores_before_their_temperature(experiment: dict) -> None:
    # Labels 2, 1.8, 0 and 1, 0, 0: at a temperature of 5 the scores were 10, 9, 0 and 5, 0, 0.
    for temperature, found in ((1.0, 0.5), (2.0, 0.5), (5.0, 0.0)):
        for path in experiment["labels"]:
            manifest = json.loads(path.read_text())
            path.write_text(json.dumps(manifest | {"counts": {"temperature": temperature}}))
        make_locality_table(**experiment)
        numbers, _ = read_numbers(experiment["output"])
        assert (numbers.loc[numbers["quantity"] == "false_teacher", "value"] == found).all(), temperature


def test_labels_of_other_groups_and_a_document_without_a_vector_are_refused(experiment: dict) -> None:
    with pytest.raises(InputError, match="labels other groups"):
        make_locality_table(**{**experiment, "labels": experiment["labels"][::-1]})
    write_embeddings(experiment["embeddings"].parent, DOCUMENTS[1:], np.ones((9, 2)), QUERIES)
    with pytest.raises(InputError, match="document d0 is in a group but has no vector"):
        make_locality_table(**experiment)


def test_the_queries_to_embed_are_found_without_holding_each_against_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(str):
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str.__eq__(self, other)

    ids = np.array([Counted(f"q{number}") for number in range(400)], dtype=object)
    groups = SimpleNamespace(query_ids=ids, doc_ids=np.array([[f"{name}-a", f"{name}-b"] for name in ids], object))
    monkeypatch.setattr(embed_groups, "read_sampled_groups", lambda manifest: groups)
    chosen, documents = embed_groups._choose(["one", "other"], 200, seed=0)
    assert len(chosen) == 200 and documents.tolist() == [f"{name}-{part}" for name in chosen for part in "ab"]
    assert Counted.compared < 10 * len(ids)
