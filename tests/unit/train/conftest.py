"""What the tests of training train on."""

import numpy as np
import pyarrow as pa
import pytest
from factories import artifact

from workflow_scripts.backbone.pretrain_backbone import pretrain_backbone
from workflow_scripts.backbone.tokenise_corpus import tokenise_corpus
from workflow_scripts.backbone.tokenise_queries import tokenise_queries
from workflow_scripts.storage.command import call

TEXT, WHOLE, SMALL = pa.string(), pa.int16(), pa.float32()


def write(folder, name, columns, kinds):
    schema = pa.schema(list(zip(columns, kinds, strict=True)))
    return artifact(folder / name / "manifest.json", {f"{name}.parquet": (columns, schema)})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A scratch backbone, token stores, 5 groups of 3 and their labels."""
    folder = tmp_path_factory.mktemp("inputs")
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in range(30)]
    texts = [" ".join(generator.choice(words, size=generator.integers(4, 12))) for _ in range(20)]
    doc_ids = [f"d{number:02}" for number in range(20)]
    columns = {"doc_id": doc_ids, "title": [""] * 20, "text": texts}
    corpus = write(folder, "documents", columns, [TEXT] * 3)
    backbone = folder / "backbone" / "manifest.json"
    spec = {
        "tokenizer": {"kind": "words", "size": 100},
        "architecture": {"layers": 2, "hidden": 16, "heads": 2, "feed_forward": 32, "positions": 28},
        "pretraining": {"steps": 2, "batch": 8, "learning_rate": 3e-3, "mlm_weight": 0.3},
        "seed": 0,
    }
    pretrain_backbone(corpora=[corpus], spec=spec, output=backbone)
    query_ids = [f"q{number}" for number in range(5)]
    pairs = {
        "query_id": [query for query in query_ids for _ in range(3)],
        "position": [0, 1, 2] * 5,
        "doc_id": [doc for _ in query_ids for doc in generator.choice(doc_ids, size=3, replace=False)],
    }
    labelled = pairs | {"score": generator.normal(size=15).astype(np.float32)}
    queries = {"query_id": query_ids, "text": [text.rsplit(" ", 2)[0] for text in texts[:5]]}
    collection = write(folder, "queries", queries, [TEXT] * 2)
    stores = {name: folder / "tokens" / name / "manifest.json" for name in ("queries", "documents")}
    common = ["--backbone", str(backbone), "--spec", '{"view": "full", "max_tokens": 12}']
    call(tokenise_corpus, [*common, "--corpus", str(corpus), "--output", str(stores["documents"])])
    common[-1] = '{"max_tokens": 12}'
    call(tokenise_queries, [*common, "--collection", str(collection), "--output", str(stores["queries"])])
    return {
        "backbone": backbone,
        "groups": write(folder, "groups", pairs, [TEXT, WHOLE, TEXT]),
        "labels": write(folder, "labels", labelled, [TEXT, WHOLE, TEXT, SMALL]),
    } | stores
