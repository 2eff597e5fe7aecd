"""Whose licence a card names: everything that somebody else has made, with the place where that is said."""

import pytest

from workflow_scripts.export.cards import hub_id, licence, licences, plain

GENERATED = ("corpus", "demo", {"source": "generated", "seed": 7})
SCRATCH = ("backbone", "mini", {"source": "scratch", "corpora": ["demo"]})


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (
            ("corpus", "msmarco", {"source": "ir_datasets", "id": "msmarco-passage"}),
            "ir-datasets.com/msmarco-passage.html",
        ),
        (("collection", "nq", {"source": "ir_datasets", "id": "beir/nq"}), "https://ir-datasets.com/beir.html"),
        (("collection", "own", {"source": "files", "queries": "q.tsv", "qrels": "q.txt"}), "`q.tsv`, `q.txt`"),
        (("collection", "own", {"source": "files", "pairs": "titles"}), "files of whoever"),
        (
            ("backbone", "bert", {"source": "google-bert/bert-base-uncased"}),
            "https://huggingface.co/google-bert/bert-base-",
        ),
        *(
            (("backbone", "own", {"source": source}), f"`{source}`, a local folder")
            for source in ("./model", "data/models/mybert", "my bert", "-model", "~/model")
        ),
        (("system", "mined", {"model": "import", "url": "https://example.org/a.gz"}), "https://example.org/a.gz"),
    ],
)
def test_what_others_made_is_named_once_and_keeps_its_licence(entry, named):
    (line,) = licences([GENERATED, entry, SCRATCH, entry])
    assert line.startswith(f"{entry[0]} {entry[1]}: ") and named in line
    assert licence([GENERATED, entry]) == "other"


def test_what_was_generated_is_the_project_s():
    assert list(licences([GENERATED, SCRATCH, ("system", "bm25", {"model": "bm25"})])) == []
    assert licence([GENERATED, SCRATCH]) == "apache-2.0"
    assert hub_id(SCRATCH[2]) is hub_id({"source": "./model"}) is hub_id({"source": "data/models/mybert"}) is None
    assert hub_id({"source": "a/b"}) == "a/b" and hub_id({"source": "bert-base-uncased"}) == "bert-base-uncased"


def test_a_setting_stays_within_its_cell_of_a_table():
    assert plain({"path": "a|b`c"}) == '`{"path": "a\\|b\'c"}`'
