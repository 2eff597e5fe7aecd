"""Token stores and ragged batches against the tokenizer's own encoding of the texts."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from factories import run_script, write_collection, write_corpus
from scored_world import WORDS, write_backbone

from workflow_scripts.backbone import write_tokens
from workflow_scripts.backbone.tokenise_corpus import tokenise_corpus
from workflow_scripts.backbone.tokenise_queries import tokenise_queries
from workflow_scripts.models.token_store import TokenStore, pair_lengths, pair_sequences, single_sequences
from workflow_scripts.storage.code import closure
from workflow_scripts.storage.errors import InputError

DOCUMENTS = {
    "a": (None, "red cat runs"),
    "aa": ("dog", "blue bird"),
    "b é": ("green", ""),  # an id with a blank and two bytes a letter sorts after "aa"
    "c": ("", ""),
    "long-identifier": (None, "cat dog bird runs sleeps red"),
}
QUERIES = {"q1": "red dog", "q2": "bird"}


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Tokenise through the scripts in chunks of two texts, documents in three threads; returns a function."""
    monkeypatch.setattr(write_tokens, "CHUNK", 2)

    def build(**options):
        tokenizer = write_backbone(tmp_path / "backbone", **options)
        backbone, output, queries = (
            tmp_path / f"{name}/manifest.json" for name in ("backbone", "documents", "queries")
        )
        corpus, collection = write_corpus(tmp_path / "corpus", DOCUMENTS), write_collection(tmp_path / "asked", QUERIES)
        spec = {"view": "full", "max_tokens": 4}
        run_script(tokenise_corpus, spec, backbone=backbone, corpus=corpus, output=output, threads=3)
        run_script(tokenise_queries, {"max_tokens": 3}, backbone=backbone, collection=collection, output=queries)
        return tokenizer, TokenStore(queries), TokenStore(output)

    return build


def full_text(name):
    return " ".join(part for part in DOCUMENTS[name] if part)


@pytest.mark.parametrize("double", [False, True])
def test_pairs_equal_the_tokenizers_own(stores, double):
    tokenizer, queries, documents = stores(double_separator=double)
    names = list(DOCUMENTS)
    query_names = ["q2", "q1", "q1", "q2", "q1"]
    rows = queries.rows(query_names), documents.rows(names)
    found = pair_sequences(queries, rows[0], documents, rows[1], 3, 4)
    limited = {name: " ".join(full_text(name).split()[:4]) for name in names}
    expected = tokenizer.encode_batch(
        [(QUERIES[query], limited[name]) for query, name in zip(query_names, names, strict=True)]
    )
    assert found.input_ids.tolist() == [token for encoding in expected for token in encoding.ids]
    assert found.token_type_ids.tolist() == [segment for encoding in expected for segment in encoding.type_ids]
    assert found.lengths.tolist() == [len(encoding) for encoding in expected]
    assert pair_lengths(queries, rows[0], documents, rows[1], 3, 4).tolist() == found.lengths.tolist()


def test_singles_and_limits(stores):
    tokenizer, _, documents = stores()
    names = ["long-identifier", "c", "aa"]
    found = single_sequences(documents, documents.rows(names), 2)
    expected = [tokenizer.encode(text).ids for text in ("cat dog", "", "dog blue")]
    assert found.input_ids.tolist() == [token for ids in expected for token in ids]
    assert found.lengths.tolist() == [4, 2, 4] and not found.token_type_ids.any()


def test_store_on_disk(stores):
    _, queries, documents = stores()
    assert documents.ids.tolist() == [name.encode() for name in DOCUMENTS]
    assert documents.tokens.dtype == np.uint16 and documents.lengths.tolist() == [3, 3, 1, 0, 4]
    counts = documents.artifact.counts
    expected = {"texts": 5, "tokens": 11, "longest": 4, "empty": 1, "cut_at": 4, "vocabulary_size": 13}
    assert expected.items() <= counts.items()
    assert (queries.cls, queries.sep) == (2, 3)
    assert documents.names(np.array([4, 0, 4])).to_pylist() == ["long-identifier", "a", "long-identifier"]


@pytest.mark.parametrize("kind", [list, pd.Series, pa.array, lambda names: pa.chunked_array([names[:1], names[1:]])])
def test_rows_of_any_column_of_text(stores, kind):
    _, _, documents = stores()
    assert documents.rows(kind(["b é", "a", "b é"])).tolist() == [2, 0, 2]
    assert documents.rows(kind(["b é", "a"])[:0]).tolist() == []


@pytest.mark.parametrize("unknown", ["zz", "", "aaa", "long-identifier-and-more"])
def test_unknown_id_is_named(stores, unknown):
    _, _, documents = stores()
    with pytest.raises(InputError, match=f"'{unknown}' is not in the token store"):
        documents.rows(["a", unknown])
    assert documents.find(["a", unknown]).tolist() == [0, -1]


def test_other_vocabulary_is_refused(stores, tmp_path):
    _, queries, _ = stores()
    write_backbone(tmp_path / "same")
    text = (tmp_path / "same/tokenizer.json").read_text()
    (tmp_path / "same/tokenizer.json").write_text(text + "\n")  # other bytes, the same vocabulary
    queries.check_vocabulary(tmp_path / "same")
    write_backbone(tmp_path / "other", words=WORDS[::-1])
    with pytest.raises(InputError, match="another vocabulary"):
        queries.check_vocabulary(tmp_path / "other")


@pytest.mark.parametrize(
    ("documents", "queries", "message"),
    [
        ({"b": ("", "x"), "a": ("", "y")}, QUERIES, "sorted and unique: 'a' follows 'b'"),
        (DOCUMENTS, {"q1": "red", "q2": "  "}, "'q2' has no token"),
    ],
)
def test_bad_text_is_named_and_nothing_is_left(tmp_path, documents, queries, message):
    write_backbone(tmp_path / "backbone")
    corpus, collection = write_corpus(tmp_path / "corpus", documents), write_collection(tmp_path / "asked", queries)
    backbone, output = tmp_path / "backbone/manifest.json", tmp_path / "store/manifest.json"
    with pytest.raises(InputError, match=message):
        tokenise_queries({"max_tokens": 3}, backbone, collection, output)
        output.unlink()
        tokenise_corpus({"view": "body", "max_tokens": 3}, backbone, corpus, output)
    assert not output.exists()


def test_an_unknown_view_is_refused(tmp_path):
    write_backbone(tmp_path / "backbone")
    backbone, corpus = tmp_path / "backbone/manifest.json", write_corpus(tmp_path / "corpus", DOCUMENTS)
    with pytest.raises(InputError, match="view is 'title'"):
        tokenise_corpus({"view": "title", "max_tokens": 3}, backbone, corpus, tmp_path / "store/manifest.json")


def test_how_tokens_are_written_is_no_part_of_what_trains_or_scores():
    jobs = ("train.train_ranker", "teach.score_pool", "evaluate.rerank_candidates")
    files = {path.stem for path in closure([f"workflow_scripts.{job}" for job in jobs])}
    assert "token_store" in files and "write_tokens" not in files
