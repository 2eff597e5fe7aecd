"""The inference against a second implementation, on random designs and in every edge case."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audit.inference import by_members, control_rows, ends, p_values, rows_of, seed_rows
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.inference import Estimates, infer, infer_new_collections, infer_runs, member_means
from workflow_scripts.analysis.training_noise import training_noise
from workflow_scripts.storage.errors import InputError

BLOCKS = [[0, 1, 2, 3], [4, 5], [6, 7, 8], [9]]
"""Blocks of four, two and three cells and of one; the last two cells (references) are in none."""
CELLS = 12
DOMAIN = Domain("d", (("a", ("a",)), ("set", ("b", "c")), ("e", ("e",))))
SPEC = Path(__file__).resolve().parents[4] / "shared/inference/spec.py"


def contrasts() -> np.ndarray:
    """Of pairs, within and between blocks and references, means of several cells, and one cell by itself."""
    found = np.zeros((12, CELLS))
    for row, (one, other) in enumerate([(0, 1), (2, 3), (4, 5), (6, 8), (0, 4), (9, 1), (10, 11), (3, 10)]):
        found[row, one], found[row, other] = 1, -1
    found[8, [0, 1, 4, 5]] = 0.5, 0.5, -0.5, -0.5
    found[9, [0, 1, 6, 7]] = 1, -1, -1, 1
    found[10, [0, 1, 2, 3, 9]] = 0.25, 0.25, 0.25, 0.25, -1
    found[11, 5] = 1
    return found


def values(seeds: int, sizes: dict[str, int], *, random: int, references: bool = True) -> dict[str, np.ndarray]:
    """Cells x seeds x queries with noise of every kind; references repeat one seed's values."""
    generator = np.random.default_rng(random)
    training = generator.normal(0, generator.uniform(0.002, 0.03, (CELLS, 1, 1)), (CELLS, seeds, 1))
    found = {}
    for name, count in sizes.items():
        noise = generator.normal(0, 0.05, (CELLS, seeds, count)) + generator.normal(0, 0.03, (CELLS, 1, count))
        y = 0.4 + training + noise + generator.normal(0, 0.1, (1, 1, count)) + 0.01 * np.arange(CELLS)[:, None, None]
        if references:
            y[10:] = y[10:, :1]
        found[name] = np.round(y, 12)
    return found


def controls(w: dict[str, float], y: dict, *, random: int, further: int = 1) -> list[tuple[list[int], list[dict]]]:
    """Two students: the first four and the next six cells; controls are the main seed's cells and further seeds'."""
    found = []
    again = values(further, {name: array.shape[2] for name, array in y.items()}, random=random)
    for places, controlled in (([0, 1, 2, 3], [0, 3]), ([4, 5, 6, 7, 8, 9], [4, 6, 9])):
        cells = [{name: np.concatenate([y[name][i], again[name][i]]) for name in w} for i in controlled]
        found.append((places, cells))
    return found


def assert_equal(found: Estimates, place: int, estimate: float, rows: list, margin: float = 0.013) -> None:
    """Estimate, rows, p-values and intervals of one contrast."""
    assert found.mean[place] == pytest.approx(estimate, abs=2e-12)
    assert found.variance[:, place] == pytest.approx([v for v, _ in rows], rel=1e-7, abs=1e-22)
    tested = [df for v, df in rows if v > 1e-22]
    assert [df for df, (v, _) in zip(found.degrees[:, place], rows, strict=True) if v > 1e-22] == pytest.approx(tested)
    expected = p_values(float(found.mean[place]), rows, margin)
    made = {
        "difference": found.difference_p(),
        **{name: getattr(found, f"{name}_p")(margin) for name in expected if name != "difference"},
    }
    assert {name: p[place] for name, p in made.items()} == pytest.approx(expected, rel=1e-6, abs=1e-12)
    for confidence in (0.9, 0.95):
        low, high = found.interval(confidence)
        expected_ends = ends(float(found.mean[place]), rows, confidence)
        assert (low[place], high[place]) == pytest.approx(expected_ends, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(("seeds", "sizes"), [(2, {"a": 7}), (3, {"a": 5, "b": 9, "c": 2}), (6, {"a": 11, "b": 4})])
def test_several_seeds_against_the_formulas(seeds: int, sizes: dict[str, int]) -> None:
    y = values(seeds, sizes, random=seeds)
    w = dict(zip(sizes, (0.5, 0.2, 0.3), strict=False))
    for weights in (w, w | {"a": -w["a"]}):  # the second compares domains
        found = infer(y, weights, contrasts(), BLOCKS)
        for place, a in enumerate(contrasts()):
            estimate, *rows = rows_of(y, weights, a, BLOCKS)
            assert_equal(found, place, estimate, rows[:2])


@pytest.mark.parametrize("further", [1, 2])
def test_one_seed_with_controls_against_the_formulas(further: int) -> None:
    y, w = values(1, {"a": 6, "b": 8}, random=9), {"a": 0.7, "b": 0.3}
    students = controls(w, y, random=5, further=further)
    noise = [training_noise(places, cells, w) for places, cells in students]
    assert [each.degrees for each in noise] == [2 * further, 3 * further]
    found = infer(y, w, contrasts(), BLOCKS, noise)
    for place, a in enumerate(contrasts()):
        estimate, *rows = rows_of(y, w, a, BLOCKS, students)
        assert_equal(found, place, estimate, rows[:2])


@pytest.mark.parametrize("seeds", [1, 3])
def test_new_collections_against_the_formulas(seeds: int) -> None:
    y = values(seeds, {"a": 6, "b": 8, "c": 3, "e": 5}, random=2)
    members = [{"a": 1.0}, {"b": 0.5, "c": 0.5}, {"e": 1.0}]
    students = controls(DOMAIN.weights, y, random=5) if seeds == 1 else []
    collapsed = [(places, [{"members": member_means(cell, DOMAIN)} for cell in cells]) for places, cells in students]
    noise = [training_noise(places, cells, {"members": 1.0}) for places, cells in collapsed]
    found = infer_new_collections(y, DOMAIN, contrasts(), BLOCKS, noise)
    assert found is not None
    for place, a in enumerate(contrasts()):
        estimate, *rows = rows_of(by_members(y, members), {"members": 1.0}, a, BLOCKS, collapsed)
        assert_equal(found, place, estimate, rows)
    assert infer_new_collections(y, Domain("two", DOMAIN.members[:2]), contrasts(), BLOCKS) is None


def test_runs_without_queries_are_tested_over_seeds_alone() -> None:
    losses = values(5, {"a": 1}, random=3)["a"][:, :, 0]
    found = infer_runs(losses, contrasts(), BLOCKS)
    for place, a in enumerate(contrasts()):
        row = seed_rows(losses.tolist(), a.tolist(), BLOCKS)
        assert_equal(found, place, float((a @ losses).mean()), [row])


def test_cells_without_controls_have_no_variance() -> None:
    y, w = values(1, {"a": 6}, random=9), {"a": 1.0}
    (places, cells), _ = controls(w, y, random=5)
    found = infer(y, w, contrasts(), BLOCKS, [training_noise(places, cells, w)])
    within = [not a[4:10].any() for a in contrasts()]  # the first student's cells and the references
    assert found.known.tolist() == within
    assert (np.isnan(found.difference_p()) != within).all() and (np.isnan(found.equivalence_p(0.1)) != within).all()
    assert np.isnan(found.interval(0.95)[0]).tolist() == [not each for each in within]
    assert not np.isnan(found.mean).any()


def test_a_collection_of_one_query_is_refused() -> None:
    y = values(2, {"a": 6, "b": 1}, random=9)
    with pytest.raises(InputError, match="b has 1 query"):
        infer(y, {"a": 0.5, "b": 0.5}, contrasts(), BLOCKS)


def edge_cases() -> dict[str, np.ndarray]:
    """Cells that are the same, apart by a constant, by rounding, and by what varies over one axis alone."""
    y = values(3, {"a": 8}, random=1, references=False)["a"]
    y[1] = y[0]
    y[3] = y[2] + 0.013
    y[5] = y[4] + np.linspace(-1e-13, 1e-13, 8)
    y[7] = y[6] + np.array([0.1, 0.2, 0.3])[:, None]
    y[8] = y[6] + np.linspace(0, 0.2, 8)
    return {"a": y}


def test_edge_cases_against_the_formulas() -> None:
    y, w = edge_cases(), {"a": 1.0}
    pairs = [(0, 1), (3, 2), (4, 5), (7, 6), (8, 6)]
    a = np.zeros((len(pairs), CELLS))
    for row, (one, other) in enumerate(pairs):
        a[row, one], a[row, other] = 1, -1
    # Each pair a block of two: nothing but the pair itself tells what the seeds do.
    blocks = [[0, 1], [2, 3], [4, 5], [6, 7]]
    found = infer(y, w, a, blocks)
    assert found.same.tolist() == [True, False, True, False, False]
    rounded = {"a": np.round(y["a"], 12)}
    for place, row in enumerate(a):
        estimate, *rows = rows_of(rounded, w, row, blocks)
        # What is left of 0.1 + 0.2 - 0.3 is no variance.
        rows = [(v if v > 1e-24 else 0.0, df) for v, df in rows]
        assert_equal(found, place, estimate, rows[:2])
    # A constant of the margin's size is neither shown to be within it nor beyond it, and surely a difference.
    assert found.difference_p()[1] == 0 and found.equivalence_p(0.013)[1] == found.above_p(0.013)[1] == 0.5
    assert found.beyond_p(0.013)[1] == 1 and found.equivalence_p(0.0131)[1] == 0 and found.beyond_p(0.0129)[1] == 0
    # Nothing varies at all between cells that are the same.
    assert found.difference_p()[0] == 1 and found.equivalence_p(1e-6)[0] == 0 and found.interval(0.95)[0][0] == 0


def test_the_pooled_variance_speaks_for_a_pair_that_hardly_varies() -> None:
    """Two samplers that happen to be steady over their seeds are in doubt if those beside them are not."""
    generator = np.random.default_rng(0)
    y = generator.normal(0, 0.001, (4, 5, 20))
    y[2:] += generator.normal(0, 0.05, (2, 5, 1))
    a = np.array([[1.0, -1, 0, 0]])
    block, pair = (infer({"a": y}, {"a": 1.0}, a, blocks) for blocks in ([[0, 1, 2, 3]], [[0, 1]]))
    assert block.variance[1, 0] > 50 * pair.variance[1, 0]


def test_smallest_margin_is_where_equivalence_is_just_shown() -> None:
    y = values(3, {"a": 9}, random=4)
    found = infer(y, {"a": 1.0}, contrasts(), BLOCKS)
    assert found.equivalence_p(found.smallest_margin(0.05)) == pytest.approx([0.05] * len(contrasts()))
    a, b = contrasts()[:2]
    together = infer(y, {"a": 1.0}, np.stack([a, b]), BLOCKS)
    assert (found.variance[:, :2] == together.variance).all(), "a contrast does not depend on the others asked for"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The reference code for one contrast that was handed over with the specification of the inference."""
    if not SPEC.exists():
        pytest.skip("shared/inference/spec.py does not lie beside the project")
    spec = importlib.util.spec_from_file_location("reference", SPEC)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_numbers_are_the_references(reference: ModuleType) -> None:
    for random, seeds in enumerate((1, 2, 3, 10) * 3):
        y = values(seeds, {"a": 4 + random, "b": 5, "c": 3, "e": 6}, random=random)
        w = DOMAIN.weights
        students = controls(w, y, random=50 + random) if seeds == 1 else []
        noise = [training_noise(places, cells, w) for places, cells in students]
        found = infer(y, w, contrasts(), BLOCKS, noise)
        sampled = [
            training_noise(places, [{"all": member_means(cell, DOMAIN)} for cell in cells], {"all": 1.0})
            for places, cells in students
        ]
        new = infer_new_collections(y, DOMAIN, contrasts(), BLOCKS, sampled)
        members = [{part: 1 / len(parts) for part in parts} for _, parts in DOMAIN.members]
        assert new is not None
        for place, a in enumerate(contrasts()):
            if seeds == 1 and not a[:10].any():
                continue
            given = reference.infer(y, w, a, BLOCKS, students or None)
            assert_rows(found, place, *given)
            p = (found.difference_p(), found.equivalence_p(0.02), found.not_above_p(0.02), found.beyond_p(0.02))
            expected = (*reference.p_values(given[0], given[1:], 0.02), reference.p_beyond(given[0], given[1:], 0.02))
            assert [each[place] for each in p] == pytest.approx(list(expected), rel=1e-6, abs=1e-13)
            assert [end[place] for end in found.interval(0.95)] == pytest.approx(
                reference.interval(given[0], given[1:]), rel=1e-7, abs=1e-12
            )
            assert_rows(new, place, *reference.infer_random(y, members, a, BLOCKS, students or None))


def assert_rows(found: Estimates, place: int, estimate: float, *rows: tuple[float, float]) -> None:
    assert found.mean[place] == pytest.approx(estimate, abs=2e-12)
    for row, (v, df) in enumerate(rows):
        assert found.variance[row, place] == pytest.approx(v, rel=1e-7, abs=1e-22)
        if v > 1e-22:
            assert found.degrees[row, place] == pytest.approx(df, rel=1e-6)


def test_controls_written_twice_are_those_of_the_module() -> None:
    """The second V_b, which no row shows by itself."""
    y, w = values(1, {"a": 6, "b": 8}, random=9), {"a": 0.7, "b": 0.3}
    students = controls(w, y, random=5)
    noise = [training_noise(places, cells, w) for places, cells in students]
    found = infer(y, w, contrasts(), BLOCKS, noise)
    assert found.components is not None
    expected = [control_rows(a, w, students)[2] for a in contrasts()]
    assert found.components.both == pytest.approx(expected)
