"""Groups: rows, labels and the order of the epochs."""

import numpy as np
import pyarrow as pa
import pytest

from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table
from workflow_scripts.train.groups import group_order, read_groups

GROUPS = [("q1", 0, "d3"), ("q1", 1, "d1"), ("q2", 0, "d2"), ("q2", 1, "d3")]
SCORES = [4.0, 1.0, 3.0, 2.5]


class Store:
    """Stands for a token store: rows by the sorted ids."""

    def __init__(self, ids):
        self.ids = ids

    def rows(self, ids):
        return np.array([self.ids.index(one) for one in ids.to_pylist()])


QUERIES, DOCUMENTS = Store(["q0", "q1", "q2"]), Store(["d1", "d2", "d3"])


def write(folder, name, rows, scores=None):
    columns = dict(zip(("query_id", "position", "doc_id"), map(list, zip(*rows, strict=True)), strict=True))
    schema = pa.schema([("query_id", pa.string()), ("position", pa.int16()), ("doc_id", pa.string())])
    if scores is not None:
        columns["score"] = scores
        schema = schema.append(pa.field("score", pa.float32()))
    manifest = folder / name / "manifest.json"
    with ArtifactWriter(manifest, kind="test", spec={}) as artifact:
        write_table(artifact.path(f"{name}.parquet"), columns, schema)
    return manifest


def test_rows_and_labels_in_either_order(tmp_path):
    groups = write(tmp_path, "groups", GROUPS)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        labels = write(tmp_path, "labels", [GROUPS[i] for i in order], [SCORES[i] for i in order])
        read = read_groups(groups, QUERIES, DOCUMENTS, group_size=2, labels=labels)
        assert read.query_rows.tolist() == [1, 2]
        assert read.document_rows.tolist() == [[2, 0], [1, 2]]
        assert read.teacher.tolist() == [[4.0, 1.0], [3.0, 2.5]] and read.teacher.dtype == np.float32
    assert read_groups(groups, QUERIES, DOCUMENTS, group_size=2).teacher is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GROUPS[:3], "query q2 .* has 1 documents, not 1 \\+ 1"),
        ([*GROUPS, ("q2", 2, "d1")], "query q2 .* has 3 documents"),
        ([GROUPS[0], GROUPS[2], GROUPS[1], GROUPS[3]], "not sorted"),
        ([("q1", 0, "d3"), ("q2", 1, "d1"), ("q2", 0, "d2"), ("q1", 1, "d3")], "not sorted"),
    ],
)
def test_a_group_of_another_size_is_refused_by_its_query(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read_groups(write(tmp_path, "groups", rows), QUERIES, DOCUMENTS, group_size=2)


@pytest.mark.parametrize("scores", [SCORES[:3], [4.0, 1.0, 3.0, float("nan")]])
def test_a_missing_label_is_refused_by_query_and_document(tmp_path, scores):
    groups, labels = write(tmp_path, "groups", GROUPS), write(tmp_path, "labels", GROUPS[: len(scores)], scores)
    with pytest.raises(InputError, match="no teacher score for query q2, document d3"):
        read_groups(groups, QUERIES, DOCUMENTS, group_size=2, labels=labels)


def test_every_epoch_is_a_permutation_and_a_budget_is_a_prefix():
    order = group_order(10, 25, order_seed=3)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10].tolist() != order[10:20].tolist() != list(range(10))
    assert len(set(order[20:])) == 5
    assert group_order(10, 12, order_seed=3).tolist() == order[:12].tolist()
    assert group_order(10, 10, order_seed=4).tolist() != order[:10].tolist()
