"""What the tests of training train on."""

import numpy as np
import pytest
from factories import scratch_spec, write_collection, write_corpus, write_groups, write_labels
from scored_world import tokenise

from workflow_scripts.backbone.pretrain_backbone import pretrain_backbone


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A scratch backbone, token stores, 5 groups of 3 and their labels."""
    folder = tmp_path_factory.mktemp("inputs")
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in range(30)]
    texts = [" ".join(generator.choice(words, size=generator.integers(4, 12))) for _ in range(20)]
    doc_ids = [f"d{number:02}" for number in range(20)]
    corpus = write_corpus(folder / "corpus", dict(zip(doc_ids, texts, strict=True)))
    backbone = folder / "backbone" / "manifest.json"
    spec = scratch_spec(tokenizer={"kind": "words", "size": 100})
    spec["architecture"] |= {"positions": 28}
    pretrain_backbone(corpora=[corpus], spec=spec, output=backbone)
    drawn = {f"q{number}": list(generator.choice(doc_ids, size=3, replace=False)) for number in range(5)}
    asked = {query: text.rsplit(" ", 2)[0] for query, text in zip(drawn, texts, strict=False)}
    write_collection(folder / "collection", asked)
    queries, documents = tokenise(folder, backbone.parent, query_tokens=12, document_tokens=12)
    return {
        **{"backbone": backbone, "queries": queries, "documents": documents},
        "groups": write_groups(folder / "groups", drawn),
        "labels": write_labels(folder / "labels", drawn, generator.normal(size=15)),
    }
