"""In-batch negatives: the batch's other documents as further negatives of a query."""

import json
import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from factories import training_spec, write_collection

from workflow_scripts.models.rankers import load_ranker
from workflow_scripts.models.token_store import TokenStore, single_sequences
from workflow_scripts.storage.errors import InputError
from workflow_scripts.train.batches import _left_out
from workflow_scripts.train.groups import Positives, group_order, read_groups
from workflow_scripts.train.train_ranker import train_ranker as train

# Five groups, six a batch: an epoch's last group meets its own query in the next epoch.
SPEC = training_spec(architecture="bi-encoder", loss={"function": "lce"}, in_batch_negatives=True)
SPEC |= {"documents": 6 * 3 * 2, "batch_groups": 6, "gradient_accumulation": 1}


@pytest.fixture(scope="module")
def judged(inputs, tmp_path_factory):
    """The groups' collection, as training takes it: a query has its group's positive and spares the next query's."""
    groups = pq.read_table(inputs["groups"].with_name("groups.parquet")).to_pandas()
    first = groups[groups["position"] == 0].sort_values("query_id")
    documents = {"positives": first["doc_id"], "spared": np.roll(first["doc_id"], -1)}
    pairs = {name: zip(first["query_id"], each, strict=True) for name, each in documents.items()}
    return {"collection": write_collection(tmp_path_factory.mktemp("collection"), first["query_id"], **pairs)}


def in_batch_loss(inputs, spec, model, collection):
    """LCE of the first batch, each query against every document of the batch once, but for its own and its positives.

    Its own are those of its groups.
    """
    positives = pd.concat(pd.read_parquet(collection.with_name(f"{name}.parquet")) for name in ("positives", "spared"))
    queries, documents = TokenStore(inputs["queries"]), TokenStore(inputs["documents"])
    groups = read_groups(inputs["groups"], queries, documents, group_size=3)
    chosen = group_order(5, spec["batch_groups"], spec["seeds"]["order"])
    losses = []
    for number in chosen:
        query, (positive, *negatives) = groups.query_rows[number], groups.document_rows[number].tolist()
        same = [other for other in chosen if groups.query_rows[other] == query]
        own = set(groups.document_rows[same].ravel().tolist())
        judged = positives[positives["query_id"] == queries.ids[query].decode()]["doc_id"]
        own |= set(documents.rows(judged.tolist()).tolist())
        further = sorted(set(groups.document_rows[chosen].ravel().tolist()) - own)
        embedded = model(single_sequences(queries, np.array([query]), 99))[0]
        products = [
            (model(single_sequences(documents, np.array([row]), 99))[0] @ embedded).item()
            for row in (positive, *negatives, *further)
        ]
        losses.append(math.log(sum(map(math.exp, products))) - products[0])
    return np.mean(losses)


def test_in_batch_negatives_are_the_batch_s_other_documents_but_for_positives(inputs, judged, tmp_path):
    train(**inputs | judged | {"labels": None}, spec=SPEC, output=tmp_path / "manifest.json")
    made = json.loads((tmp_path / "manifest.json").read_text())["inputs"]
    assert made["collection"]["path"] == str(judged["collection"])
    history = pd.read_parquet(tmp_path / "history.parquet")
    untrained = load_ranker(inputs["backbone"].parent, "bi-encoder", initialise_seed=0)
    assert history["loss"][0] == pytest.approx(in_batch_loss(inputs, SPEC, untrained, **judged), rel=1e-5)
    assert history["documents"].tolist() == [18, 36]  # of the groups: in-batch negatives are no more documents
    alone = tmp_path / "alone" / "manifest.json"
    train(**inputs | judged | {"labels": None}, spec=SPEC | {"in_batch_negatives": False}, output=alone)
    assert "collection" not in json.loads(alone.read_text())["inputs"]
    assert pd.read_parquet(alone.parent / "history.parquet")["loss"][0] < history["loss"][0]


def test_a_positive_that_another_query_s_group_holds_is_no_negative():
    # Query 0 has the positives 10, its group's, and 20, which query 1's group holds; query 1 has 30 alone.
    left_out = _left_out(
        np.array([0, 1]), np.array([[10, 11], [30, 20]]), Positives(np.array([0, 2, 3]), np.array([10, 20, 30]))
    )
    assert left_out.tolist() == [[True, True, False, True], [False, False, True, True]]


def test_in_batch_negatives_need_the_positives(inputs, tmp_path):
    with pytest.raises(InputError, match="leave out every positive of a query: give the groups' collection"):
        train(**inputs | {"labels": None}, spec=SPEC, output=tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "cross-encoder"}, "a-student is a cross-encoder under lce"),
        ({"loss": {"function": "marginmse"}}, "a-student is a bi-encoder under marginmse"),
    ],
)
def test_in_batch_negatives_are_refused_where_there_are_none(inputs, tmp_path, changes, message):
    with pytest.raises(InputError, match=f"a bi-encoder's under a contrastive loss: {message}"):
        train(**inputs, spec=SPEC | changes, output=tmp_path / "manifest.json")
