"""Groups: rows, labels and the order of the epochs."""

import numpy as np
import pyarrow as pa
import pytest
from factories import MadeStore, artifact

from workflow_scripts.models.folds import folds_of
from workflow_scripts.storage.errors import InputError
from workflow_scripts.train.groups import group_order, read_groups

GROUPS = [("q1", 0, "d3"), ("q1", 1, "d1"), ("q2", 0, "d2"), ("q2", 1, "d3")]
SCORES = [4.0, 1.0, 3.0, 2.5]


QUERIES = MadeStore({"q0": [0], "q1": [3], "q2": [4]})
DOCUMENTS = MadeStore({"d1": [0], "d2": [1], "d3": [2]})


def write(folder, name, rows, scores=None):
    columns = dict(zip(("query_id", "position", "doc_id"), map(list, zip(*rows, strict=True)), strict=True))
    schema = pa.schema([("query_id", pa.string()), ("position", pa.int16()), ("doc_id", pa.string())])
    if scores is not None:
        columns["score"] = scores
        schema = schema.append(pa.field("score", pa.float32()))
    return artifact(folder / name / "manifest.json", {f"{name}.parquet": (columns, schema)})


def test_rows_and_labels(tmp_path):
    groups = write(tmp_path, "groups", GROUPS)
    labels = write(tmp_path, "labels", GROUPS, SCORES)
    read = read_groups(groups, QUERIES, DOCUMENTS, group_size=2, labels=labels)
    assert read.query_rows.tolist() == [1, 2]
    assert read.document_rows.tolist() == [[2, 0], [1, 2]]
    assert read.teacher.tolist() == [[4.0, 1.0], [3.0, 2.5]] and read.teacher.dtype == np.float32
    assert read_groups(groups, QUERIES, DOCUMENTS, group_size=2).teacher is None


def test_a_fold_is_left_out_by_the_texts_of_its_queries(tmp_path):
    groups = write(tmp_path, "groups", GROUPS)
    folds = folds_of(QUERIES, np.array([1, 2]), 2).tolist()
    assert sorted(folds) == [0, 1]  # else choose other texts
    for kept, fold in ((0, folds[1]), (1, folds[0])):
        read = read_groups(groups, QUERIES, DOCUMENTS, group_size=2, fold={"of": 2, "left_out": fold})
        assert read.query_rows.tolist() == [kept + 1]
    with pytest.raises(InputError, match="2 queries are too few for 50 folds"):
        read_groups(groups, QUERIES, DOCUMENTS, group_size=2, fold={"of": 50, "left_out": 49})
    # Two queries of one text are one to a teacher: the one is never learned from to label the other.
    twins = MadeStore({"q0": [0], "q1": [3], "q2": [3]})
    with pytest.raises(InputError, match="2 queries are too few for 2 folds"):
        read_groups(groups, twins, DOCUMENTS, group_size=2, fold={"of": 2, "left_out": 0})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GROUPS[:3], "query q2 has 1 documents, others have 2"),
        ([*GROUPS, ("q2", 2, "d1")], "query q1 has 2 documents, others have 3"),
        ([GROUPS[0], GROUPS[2], GROUPS[1], GROUPS[3]], "not sorted"),
        ([("q1", 0, "d3"), ("q2", 1, "d1"), ("q2", 0, "d2"), ("q1", 1, "d3")], "not sorted"),
    ],
)
def test_a_group_of_another_size_is_refused_by_its_query(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read_groups(write(tmp_path, "groups", rows), QUERIES, DOCUMENTS, group_size=2)


def test_labels_of_other_groups_and_labels_that_are_no_numbers_are_refused(tmp_path):
    groups = write(tmp_path, "groups", GROUPS)
    for name, rows, scores, message in (
        ("fewer", GROUPS[:3], SCORES[:3], "labels other groups than those of .*groups/manifest.json"),
        ("other", [GROUPS[i] for i in (1, 0, 2, 3)], SCORES, "labels other groups"),
        ("nan", GROUPS, [*SCORES[:3], float("nan")], "the score nan for query q2, document d3"),
    ):
        with pytest.raises(InputError, match=message):
            read_groups(groups, QUERIES, DOCUMENTS, group_size=2, labels=write(tmp_path / name, "labels", rows, scores))
    with pytest.raises(InputError, match=r"groups of 2 documents, not 1 \+ 2"):
        read_groups(groups, QUERIES, DOCUMENTS, group_size=3)


def test_every_epoch_is_a_permutation_and_a_budget_is_a_prefix():
    order = group_order(10, 25, order_seed=3)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10].tolist() != order[10:20].tolist() != list(range(10))
    assert len(set(order[20:])) == 5
    assert group_order(10, 12, order_seed=3).tolist() == order[:12].tolist()
    assert group_order(10, 10, order_seed=4).tolist() != order[:10].tolist()
