"""In-batch negatives: the batch's other documents as further negatives of a query."""

import math

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.models.rankers import load_ranker
from workflow_scripts.models.token_store import TokenStore, single_sequences
from workflow_scripts.storage.errors import InputError
from workflow_scripts.train.groups import group_order, read_groups
from workflow_scripts.train.training import train

# Five groups, six a batch: an epoch's last group meets its own query in the next epoch.
SPEC = {
    "name": "a-student",
    "architecture": "bi-encoder",
    "loss": {"function": "lce"},
    "documents": 6 * 3 * 2,
    "batch_groups": 6,
    "group_size": 3,
    "learning_rate": 0.003,
    "dropout": 0.0,
    "seeds": {"initialisation": 1, "order": 2},
    "in_batch_negatives": True,
}


def in_batch_loss(inputs, spec, model):
    """LCE of the first batch, each query against every document of the batch once, but for its own groups' others."""
    queries, documents = TokenStore(inputs["queries"]), TokenStore(inputs["documents"])
    groups = read_groups(inputs["groups"], queries, documents, group_size=3)
    chosen = group_order(5, spec["batch_groups"], spec["seeds"]["order"])
    losses = []
    for number in chosen:
        query, (positive, *negatives) = groups.query_rows[number], groups.document_rows[number].tolist()
        same = [other for other in chosen if groups.query_rows[other] == query]
        own = set(groups.document_rows[same].ravel().tolist())
        further = sorted(set(groups.document_rows[chosen].ravel().tolist()) - own)
        embedded = model(single_sequences(queries, np.array([query]), 99))[0]
        products = [
            (model(single_sequences(documents, np.array([row]), 99))[0] @ embedded).item()
            for row in (positive, *negatives, *further)
        ]
        losses.append(math.log(sum(map(math.exp, products))) - products[0])
    return np.mean(losses)


def test_in_batch_negatives_are_the_batch_s_other_documents(inputs, tmp_path):
    train(**inputs | {"labels": None}, spec=SPEC, output=tmp_path / "manifest.json")
    history = pd.read_parquet(tmp_path / "history.parquet")
    untrained = load_ranker(inputs["backbone"].parent, "bi-encoder", initialise_seed=0)
    assert history["loss"][0] == pytest.approx(in_batch_loss(inputs, SPEC, untrained), rel=1e-5)
    assert history["documents"].tolist() == [18, 36]  # of the groups: in-batch negatives are no more documents
    alone = tmp_path / "alone" / "manifest.json"
    train(**inputs | {"labels": None}, spec=SPEC | {"in_batch_negatives": False}, output=alone)
    assert pd.read_parquet(alone.parent / "history.parquet")["loss"][0] < history["loss"][0]


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
