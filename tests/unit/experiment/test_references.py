"""Names of an experiment's entries, what they refer to, and what nothing would read: a fault is one line."""

from __future__ import annotations

import pytest
from changed_demo import DEV, refused

BI_ENCODER = {"architecture": "bi-encoder", "backbone": "mini", "learning_rate": 0.1}
PUBLIC = {"source": "ir_datasets", "id": "vaswani"}
JUDGED = {"corpus": "demo", "role": "test"} | PUBLIC
TRAINED = JUDGED | {"role": "train"}
TITLES = {"corpus": "demo", "source": "files", "role": "train", "pairs": "titles"}
TWICE = [{"name": "x", "collections": ["demo"]}, {"name": "x", "collections": ["demo-mild"]}]
FAULTS = [
    # Names
    ("students.teacher", BI_ENCODER, "students.teacher: this name is taken by the runs of the teachers"),
    ("students.retrieved", BI_ENCODER, "students.retrieved: this name is taken by the runs of dense retrieval"),
    ("systems.fill", {"model": "qld", "mu": 50, "depth": 20}, "systems.fill: a ranking system cannot be called 'fill'"),
    ("systems.dense.index", "HNSW32", r"systems.dense.index: 'HNSW32' is not supported; name one of Flat, and IVF"),
    ("evaluation.retrieval.index", "IVF0,Flat", "evaluation.retrieval.index: 'IVF0,Flat' is not supported"),
    ("teachers.none", {"backbone": "mini", "trained": False}, "teachers.none: this name stands for no teacher"),
    ("teachers.base.trained", False, "teachers.base.trained: mini is made here and has no head; leave trained out"),
    ("analysis", {"locality": {"embedding": "nothing"}}, "embedding: 'nothing' is no backbone and no cell of the grid"),
    (
        "analysis",
        {"locality": {"embedding": "teacher/base"}},
        "embedding: 'teacher/base' is no backbone and no cell of the grid",
    ),
    (
        "analysis",
        {"locality": {"embedding": "ce/kl.bm25.base/seed0"}},
        "analysis.locality.embedding: ce is no bi-encoder; the",
    ),
    ("teachers.base.in_grid", False, "teachers: none is in the main grid"),
    ("domains.more", [{"name": "demo-mild", "collections": ["demo"]}], "has the name of one of the collections"),
    ("domains.more", [{"name": "in-domain", "collections": ["demo"]}], "in-domain has the name of one of the domains"),
    ("domains.more", [{"name": "all", "collections": ["demo"]}], "domains.more: all stands for a domain as a whole"),
    ("domains.more", ["demo", {"name": "x", "collections": ["demo"]}], "domains.more: demo is in it twice"),
    ("domains.more", TWICE, "the set x has other collections"),
    # References
    ("domains.in-domain", ["demos"], "domains.in-domain: no 'demos' among the collections: there are demo-train"),
    ("samplers.bm25.systems", ["bm52"], "samplers.bm25.systems: no 'bm52' among the systems"),
    ("samplers.bm25.collection", "demo-2", "no 'demo-2' among the collections"),
    ("pools.bm25.collection", "other", "no 'other' among the collections"),
    ("pools.bm25.known", ["none"], "pools.bm25.known: no 'none' among the pools"),
    ("studies.cuts.samplers", ["bm52"], "studies.cuts.samplers: no 'bm52' among the samplers"),
    ("backbones.mini.source", "./no-such-model", "backbones.mini.source: no folder ./no-such-model"),
    ("corpora.demo", {"source": "files", "documents": "no.jsonl"}, "corpora.demo.documents: no file no.jsonl"),
    (
        "systems.own",
        {"model": "import", "url": "file:///none.jsonl.gz", "systems": ["a"], "depth": 5},
        "systems.own.url: no file /none.jsonl.gz",
    ),
    # What ir_datasets has
    ("corpora.more", PUBLIC | {"id": "vaswany"}, "corpora.more.id: ir_datasets has no collection 'vaswany'"),
    ("corpora.more", PUBLIC | {"id": "clinicaltrials"}, "corpora.more.id: clinicaltrials of ir_datasets has no docs"),
    ("corpora.more", PUBLIC | {"id": "gov"}, "corpora.more.text_fields: gov has no field 'text'; it has doc_id, url"),
    (
        "corpora.more",
        PUBLIC | {"text_fields": ["text", "body"]},
        "more.text_fields: vaswani has no field 'body'; it has",
    ),
    (
        "corpora.more",
        PUBLIC | {"title_field": "title"},
        "more.title_field: vaswani has no field 'title'; it has doc_id",
    ),
    ("corpora.more", PUBLIC | {"title_repeated": True}, "corpora.more: title_repeated needs title_field"),
    (
        "corpora.more",
        PUBLIC | {"title_field": "text", "title_separator": "-"},
        "corpora.more: title_field and title_sep",
    ),
    (
        "collections.more",
        JUDGED | {"query_field": "title"},
        "collections.more.query_field: vaswani has no field 'title'",
    ),
    (
        "collections.more",
        JUDGED | {"id": "msmarco-passage/eval"},
        "more.id: msmarco-passage/eval of ir_datasets has no q",
    ),
    (
        "collections.more",
        TRAINED | {"pairs": "docpairs"},
        "collections.more.id: vaswani of ir_datasets has no docpairs",
    ),
    # Settings that nothing would read
    ("collections.more", TITLES | {"strict": False}, "collections.more: strict is not read where pairs is titles"),
    ("collections.more", TITLES | {"min_relevance": 2}, "more: min_relevance is not read where pairs is titles"),
    ("collections.more", TRAINED | {"pairs": "titles", "query_field": "text"}, "more: query_field is not read where"),
    (
        "collections.more",
        TRAINED | {"pairs": "docpairs", "min_relevance": 2},
        "min_relevance is not read where pairs is d",
    ),
    (
        "collections.titled",
        TITLES,
        "training.view: full shows a query of titled, which is a title, in its own positive; set it to body",
    ),
    ("samplers.bm25.collection", "demo", "samplers.bm25.collection: demo has role test; it needs role train"),
    ("first_stage.system", "dense", "dense is of model dense, .*; name a system of model bm25 or qld"),
    # Development collections and what is chosen by them
    ("samplers.bm25.collection", "dev", "samplers.bm25.collection: dev has role dev; it needs role train"),
    ("pools.positives.collection", "dev", "pools.positives.collection: dev has role dev; it needs role train"),
    (
        "domains.mild-shift",
        ["dev"],
        "domains.mild-shift: dev is of role dev, others are of role test; choose by the one",
    ),
    ("teachers.base.calibrate", "bm25", "teachers.base.calibrate: bm25 has collection demo-train of role"),
    ("teachers.base.calibrate", "bm52", "teachers.base.calibrate: no 'bm52' among the pools"),
    (
        "teachers.base",
        {"backbone": "mini", "trained": False, "folds": 2},
        "folds of a teacher that is not trained here",
    ),
    (
        "collections.dev",
        DEV["collections.dev"] | {"queries": 251},
        "corpora.demo.documents: 251 dev and 250 test",
    ),
    ("corpora.demo", {"source": "files", "documents": __file__}, "its corpus demo is not generated; make them agree"),
]


@pytest.mark.parametrize(("key", "value", "message"), FAULTS)
def test_a_name_or_a_reference_of_nothing_is_one_line(key: str, value: object, message: str) -> None:
    refused(DEV | {key: value}, message)
