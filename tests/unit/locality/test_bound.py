"""The bound's terms against hand-computed values, naive loops, scipy's solvers; its table on a made-up experiment."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact, run_script, write_embeddings, write_groups, write_labels
from rendered import render
from safetensors.numpy import save
from scipy.optimize import brentq
from scipy.special import lambertw

from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.locality import bound
from workflow_scripts.locality.make_bound_table import make_bound_table
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers


def test_lipschitz_ratios_against_a_loop_over_pairs() -> None:
    generator = np.random.default_rng(3)
    vectors, scores = generator.normal(size=(5, 6, 4)).astype(np.float32), generator.normal(size=(5, 6))
    vectors[0, 1] = 3 * vectors[0, 0]  # same direction, other score: no constant is large enough
    vectors[1, 1], scores[1, 1] = 0.5 * vectors[1, 0], scores[1, 0]  # same direction, same score: says nothing
    expected = []
    for group, values in zip(vectors.astype(float), scores, strict=True):
        for i in range(6):
            for j in range(i + 1, 6):
                cosine = group[i] @ group[j] / math.sqrt((group[i] @ group[i]) * (group[j] @ group[j]))
                distance, difference = math.sqrt(max(2 - 2 * cosine, 0)), abs(values[i] - values[j])
                if distance < 1e-6:
                    expected += [math.inf] if difference else []
                else:
                    expected.append(difference / distance)
    found = bound.lipschitz_ratios(vectors, scores)
    assert len(found) == 5 * 15 - 1 and np.isinf(found).sum() == 1
    assert np.sort(found) == pytest.approx(sorted(expected), rel=1e-5)
    # Orthogonal vectors are sqrt 2 apart whatever their lengths, and rescaled scores rescale the ratios.
    assert bound.lipschitz_ratios(np.array([[[9.0, 0], [0, 0.2]]]), np.array([[5.0, 1.0]])) == pytest.approx(8**0.5)
    assert bound.lipschitz_ratios(vectors, 10 * scores) == pytest.approx(10 * found)
    with pytest.raises(InputError, match="zero or not finite"):
        bound.lipschitz_ratios(np.zeros((1, 2, 3)), np.zeros((1, 2)))


def test_estimation_term_by_hand() -> None:
    # d = 2, n = 4, delta = 2 / e: (2 (ln 4 + 1) + 1 + ln 2) / 4.
    assert bound.estimation_term(2, 4, 2 / math.e) ** 2 == pytest.approx((2 * (math.log(4) + 1) + 1 + math.log(2)) / 4)
    assert bound.estimation_term(10**6, 10**6, 0.05) == pytest.approx(math.sqrt(1 + math.log(2)), abs=1e-5)
    assert bound.estimation_term(10**9, 10**6, 0.05) == bound.estimation_term(10**6, 10**6, 0.05) > 1.3
    for bad in ((0, 5, 0.1), (5, 0, 0.1), (5, 5, 0), (5, 5, 1.0)):
        with pytest.raises(InputError, match="between 0 and 1"):
            bound.estimation_term(*bad)


@pytest.mark.parametrize("delta", [0.5, 0.05, 1e-6])
@pytest.mark.parametrize("limit", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("samples", [3_200, 502_939, 10**9])
def test_largest_capacity_against_lambert_w(samples: int, limit: float, delta: float) -> None:
    # x ln(2e / x) = limit^2 - ln(4 / delta) / n, with x = d / n below 2, is solved by Lambert's lower branch.
    share = limit**2 - math.log(4 / delta) / samples
    root = samples * 2 * math.e * math.exp(lambertw(-share / (2 * math.e), -1).real) if share > 0 else 0
    assert bound.largest_capacity(samples, delta, limit) == pytest.approx(math.floor(root), abs=1, rel=1e-9)


@pytest.mark.parametrize("delta", [0.5, 1e-6])
@pytest.mark.parametrize("limit", [1.0, 0.3])
@pytest.mark.parametrize("capacity", [1, 40, 138_305, 110_000_000])
def test_samples_needed_against_brentq(capacity: int, limit: float, delta: float) -> None:
    def excess(n: float) -> float:
        return capacity * (math.log(2 * n / capacity) + 1) + math.log(4 / delta) - limit**2 * n

    needed = bound.samples_needed(capacity, delta, limit)
    assert needed == pytest.approx(math.ceil(brentq(excess, capacity, 10**4 * capacity, xtol=1e-6)), abs=1, rel=1e-9)
    # The two are each other's inverse: with so many samples this capacity passes, with one less it does not.
    assert bound.largest_capacity(needed, delta, limit) >= capacity > bound.largest_capacity(needed - 1, delta, limit)


def test_no_capacity_passes_with_too_few_samples() -> None:
    assert bound.largest_capacity(3, 0.05) == 0


def test_misordering_range_holds_and_is_reached() -> None:
    assert bound.misordering_range(0) == (0, 0)
    assert bound.misordering_range(1) == (0.5, 0.5)
    generator = np.random.default_rng(5)
    for scale in (0.01, 0.3, 1, 3, 10):
        scores = generator.normal(scale=scale, size=(40, 6))
        first, second = np.triu_indices(6, 1)
        wrong = (1 / (1 + np.exp(np.abs(scores[:, first] - scores[:, second])))).mean()
        least, most = bound.misordering_range(pairwise_entropy(scores).mean())
        assert least <= wrong <= most
    # Half of the pairs certain, half coin tosses: H = 1/2, a quarter of them wrong, the upper end.
    assert bound.misordering_range(0.5)[1] == 0.25
    with pytest.raises(InputError, match="between 0 and 1 bit"):
        bound.misordering_range(1.2)


@pytest.mark.parametrize(
    ("kappa", "known", "conditional", "symbols", "outcome", "because"),
    [
        (math.inf, {"estimation": 0.1}, {}, (), bound.VACUOUS, ("kappa",)),
        (math.inf, {"estimation": 1.3}, {}, ("zeta",), bound.VACUOUS, ("kappa", "estimation")),
        (1, {"estimation": 0.5}, {}, (), bound.VACUOUS, ("estimation",)),
        (1, {"estimation": 0.3, "entropy": 0.2}, {}, (), bound.VACUOUS, ("estimation", "entropy")),
        (5, {"estimation": 0.2}, {}, (), bound.VACUOUS, ("estimation",)),
        (1, {"estimation": 0.2}, {"L Delta": 31.0}, ("zeta",), bound.CANNOT_SAY, ("L Delta",)),
        (1, {"estimation": 0.2}, {"L Delta": 0.1}, ("zeta",), bound.CANNOT_SAY, ("zeta",)),
        (2, {"estimation": 0.2, "entropy": 0.04}, {}, (), bound.NOT_VACUOUS, ("estimation", "entropy")),
    ],
)
def test_verdicts(kappa, known, conditional, symbols, outcome, because) -> None:
    assert bound.judge(kappa, known, conditional, symbols) == bound.Verdict(outcome, because)


def test_verdict_of_impossible_numbers_is_refused() -> None:
    for kappa, term in ((0.5, 0.1), (math.nan, 0.1), (1, -0.1), (1, math.nan)):
        with pytest.raises(InputError, match="kappa"):
            bound.judge(kappa, {"estimation": term}, {}, ())


def write_risks(path: Path, *rows: tuple) -> Path:
    """Numbers of a risk table with teacher base."""
    columns = ["sampler", "student", "loss", "domain", "risk"]
    write_numbers(path, pd.DataFrame(rows, columns=columns).assign(teacher="base"), {})
    return path


def write_locality(path: Path, **others: float) -> Path:
    """Sampler near: a kappa of 2, unless `others` says otherwise; sampler far: an infinite one."""
    near = {"diameter": 0.5, "kappa": 2, "outside": 0, "bounded": 1, "entropy": 0.5, "entropy_positive": 0.2} | others
    far = {"diameter": 1.0, "kappa": 0.1, "outside": 0.2, "bounded": 0.75, "entropy": 0.25, "entropy_positive": 0.02}
    far["misordered"] = near["misordered"] = 0.004
    rows = [(name, "base", *item) for name, values in (("near", near), ("far", far)) for item in values.items()]
    write_numbers(path, pd.DataFrame(rows, columns=["sampler", "teacher", "quantity", "value"]), {})
    return path


@pytest.fixture
def experiment(tmp_path: Path) -> dict:
    """Two samplers' groups over the corners of a square (d4 as d0), of q1 to q3; q1 and q2 are embedded."""
    drawn = {
        "near": ([["d0", "d1", "d2"], ["d1", "d2", "d3"], ["d9"] * 3], [6, 4, 4] * 3),
        "far": ([["d0", "d4", "d2"], ["d1", "d3", "d2"], ["d9"] * 3], [5, 3, 1] + [4, 2, 2] * 2),
    }
    groups, labels = [], []
    for name, (documents, scores) in drawn.items():
        of_queries = dict(zip(("q1", "q2", "q3"), documents, strict=True))
        groups.append(write_groups(tmp_path / "groups" / name, of_queries))
        labels.append(write_labels(tmp_path / "labels" / name, of_queries, scores))
    vectors = [[2, 0], [0, 1], [-1, 0], [0, -3], [1, 0]]
    weights = {"encoder.weight": np.zeros((1, 2), np.float32), "bert.pooler.dense.bias": np.zeros(5, np.float32)}
    models = [
        artifact(
            tmp_path / name / "manifest.json",
            {"model.safetensors": save(weights)},
            spec={"architecture": architecture, "group_size": 3},
            counts={"groups": 9, "documents": seen},
        )
        # be's training ends within its first epoch, after two groups of three documents.
        for name, architecture, seen in (("be", "bi-encoder", 6), ("ce", "cross-encoder", 60))
    ]
    spec = {"rows": [["near", "base", 0], ["far", "base", 0]], "delta": 0.05, "quantile": 0.5, "students": ["be", "ce"]}
    return {
        "spec": spec | {"domain": "in", "losses": ["lce", "kl"]},
        **{"groups": groups, "labels": labels, "models": models},
        "embeddings": write_embeddings(tmp_path / "embeddings", ["d0", "d1", "d2", "d3", "d4"], vectors, ["q1", "q2"]),
        "locality": write_locality(tmp_path / "locality.parquet"),
        "output": tmp_path / "bound.parquet",
    }


def test_table_by_hand(experiment: dict, tmp_path: Path) -> None:
    risks = [("near", "be", "lce", "in", 0.1), ("near", "be", "kl", "in", 0.3), ("near", "be", "kl-flat", "in", 0.4)]
    risks += [("near", "be", "kl", "out", 0.9), ("far", "be", "kl", "in", 0.25), ("far", "be", "kl-flat", "in", 0.25)]
    risk = write_risks(tmp_path / "risk.parquet", *risks, ("near", "ce", "kl-flat", "in", math.nan))
    make_bound_table(**experiment, risk=risk)
    table, _ = read_numbers(experiment["output"])
    found = table[table["student"] == ""].set_index(["sampler", "quantity"])["value"]
    # near, q1: d0 d1 d2 score 6 4 4: 2 / sqrt 2, 2 / 2 and 0; q2 the same. far, q1: d4 is d0 but scores otherwise.
    assert found["near", "lipschitz_max"] == pytest.approx(2**0.5)
    assert found["near", "lipschitz_quantile"] == pytest.approx(1)
    assert found["near", "lipschitz_diameter_max"] == pytest.approx(2**0.5 / 2)
    assert math.isinf(found["far", "lipschitz_max"]) and found["far", "lipschitz_infinite"] == pytest.approx(1 / 6)
    # far: 0, 1, 1, sqrt 2, 2, infinite (q1: 2 / 0, 4 / 2, 2 / 2; q2: 2 / 2, 2 / sqrt 2, 0 / sqrt 2).
    assert found["far", "lipschitz_quantile"] == pytest.approx(1)
    assert found["near", "kappa_factor"] == 2 and math.isinf(found["far", "kappa_factor"])
    assert found["near", "entropy_nats"] == pytest.approx(0.5 * math.log(2))
    # Of the pairs with the positive, which have an order, whatever the entropy of the rest.
    assert (found["far", "misordering_least"], found["far", "misordering_most"]) == (0, 0.01)
    assert found["near", "misordering_most"] == 0.1 and found["far", "misordered"] == 0.004
    students = table.set_index(["sampler", "student", "unit", "quantity"])["value"].sort_index()
    # The pooler of the bi-encoder is idle; be saw two groups, ce all three, of three pairs each.
    for student, parameters, queries in (("be", 2, 2), ("ce", 7, 3)):
        of_student = students["far", student]
        assert of_student["queries", "parameters"] == of_student["pairs", "parameters"] == parameters
        assert (of_student["queries", "n"], of_student["pairs", "n"]) == (queries, 3 * queries)
        for unit, n in (("queries", queries), ("pairs", 3 * queries)):
            capacity = min(parameters, n)
            term = math.sqrt((capacity * (math.log(2 * n / capacity) + 1) + math.log(80)) / n)
            assert of_student[unit, "estimation"] == pytest.approx(term)
    assert students["near", "be", "", "measured_risk"] == pytest.approx(0.2)
    # No cross-encoder was trained, and no bi-encoder with lce on far: another mean would stand beside near's.
    assert (table["quantity"] == "measured_risk").sum() == 1
    verdicts = table[table["quantity"] == "verdict"].set_index("sampler")["note"]
    assert verdicts.to_dict() == {"near": "vacuous: estimation", "far": "vacuous: kappa, estimation"}
    saved, text = render("bound", experiment["output"])
    assert saved["value"].tolist() == pytest.approx(table["value"].tolist(), nan_ok=True)
    assert "2 of 2 rows are vacuous" in text and "Measured excess risk is not what the bound bounds" in text
    assert text.count("| far ") == 1 and text.count("| be ") == 2  # n is the same for both samplers
    assert (tmp_path / "bound.tex").read_text().count(r"\begin{tabular}") == 2


def test_command_line_and_several_seeds(experiment: dict) -> None:
    # One sampler, the two sets of groups as its seeds: the larger maximum, the mean of the quantiles and of the shares.
    spec = {"rows": [["near", "base", 0], ["near", "base", 1]], "delta": 0.05, "quantile": 1.0, "students": ["be"]}
    run_script(make_bound_table, **experiment | {"spec": spec, "models": experiment["models"][:1]})
    saved, text = render("bound", experiment["output"])
    saved = saved.set_index("quantity")["value"]
    assert math.isinf(saved["lipschitz_max"]) and saved["lipschitz_infinite"] == pytest.approx(1 / 12)
    assert "easured excess" not in text


def test_what_is_missing_is_named(experiment: dict, tmp_path: Path) -> None:
    def refused(match: str, **changes: object) -> None:
        with pytest.raises(InputError, match=match):
            make_bound_table(**{**experiment, **changes})
        assert not experiment["output"].exists()

    refused(
        "lacks kappa of sampler near, teacher base", locality=write_locality(tmp_path / "a.parquet", kappa=math.nan)
    )
    refused("labels other groups", labels=experiment["labels"][::-1])
    spec = experiment["spec"] | {"rows": [["near", "base", 0], ["other", "base", 0]]}
    refused("lacks diameter of sampler other, teacher base", spec=spec)
    short = write_embeddings(tmp_path / "short", ["d0", "d1", "d3", "d4"], np.eye(4), ["q1", "q2"])
    refused("document d2 is in a group but has no vector", embeddings=short)
