"""The generated language: reproducible, its truth right by a second implementation, its difficulty as intended."""

import json
import math
from collections import Counter, defaultdict
from itertools import pairwise

import pandas as pd
import pytest

from workflow_scripts.collect import generated
from workflow_scripts.collect.language import WORLDS, make_language
from workflow_scripts.collect.prepare_collection import prepare_collection
from workflow_scripts.collect.prepare_corpus import prepare_corpus
from workflow_scripts.storage.errors import InputError

SEED = 7


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The demo's worlds with their test collections, and in-domain training queries."""
    root = tmp_path_factory.mktemp("generated")
    for world in WORLDS:
        spec = {"source": "generated", "world": world, "seed": SEED}
        prepare_corpus(output=root / world / "manifest.json", spec=spec)
        _collect(root, world, f"{world}-test", {"source": "generated", "role": "test"})
    _collect(root, "in-domain", "train", {"source": "generated", "role": "train", "world": "in-domain", "seed": SEED})
    return root


def _collect(root, corpus, name, spec):
    prepare_collection(output=root / name / "manifest.json", spec=spec, corpus=root / corpus / "manifest.json")


def _grade(asked, source_topic, focal, topic):
    """Second implementation of the grades: sets, one pair at a time."""
    matched = len(asked & focal)
    if matched == len(asked):
        return 3
    if len(asked) == 3 and matched == 2:
        return 2 if topic == source_topic else 1
    return 0


@pytest.mark.slow
def test_truth_holds_exactly_the_relevant_pairs(made):
    documents = pd.read_parquet(made / "in-domain" / "truth.parquet")
    topics = dict(zip(documents.doc_id, documents.topic, strict=True))
    for name, queries in (("in-domain-test", 250), ("train", 60)):
        expected = {}
        concepts = pd.read_parquet(made / name / "concepts.parquet").head(queries)
        for query in concepts.itertuples():
            asked, source_topic = set(query.concepts), topics[query.doc_id]
            for document, focal, topic in zip(documents.doc_id, documents.focal, documents.topic, strict=True):
                if grade := _grade(asked, source_topic, set(focal), topic):
                    expected[query.query_id, document] = grade
            assert expected[query.query_id, query.doc_id] == 3
        truth = pd.read_parquet(made / name / "truth.parquet")
        truth = truth[truth.query_id.isin(concepts.query_id)]
        found = dict(zip(zip(truth.query_id, truth.doc_id, strict=True), truth.relevance, strict=True))
        assert found == expected
    qrels, truth = (pd.read_parquet(made / "in-domain-test" / f"{name}.parquet") for name in ("qrels", "truth"))
    assert qrels.equals(truth)


def test_training_and_test_sources_are_apart_and_test_sources_distinct(made):
    positives = pd.read_parquet(made / "train" / "positives.parquet")
    sources = pd.read_parquet(made / "in-domain-test" / "concepts.parquet").doc_id
    assert len(positives) == positives.query_id.nunique() == 4000
    assert positives.doc_id.nunique() == 3500  # every document but the eighth kept for test queries
    assert sources.is_unique and len(sources) == 250
    assert not set(sources) & set(positives.doc_id)
    _collect(made, "in-domain", "dev", {"source": "generated", "role": "dev", "queries": 250})
    dev = pd.read_parquet(made / "dev" / "concepts.parquet").doc_id
    assert len(dev) == 250 and not set(dev) & ({*sources} | {*positives.doc_id})
    assert len(pd.read_parquet(made / "dev" / "qrels.parquet")) > 250
    with pytest.raises(InputError, match=r"501 test queries .* keep 500"):
        _collect(made, "in-domain", "many", {"source": "generated", "role": "test", "queries": 501})
    assert not list((made / "many").iterdir())


def test_worlds_share_one_language_and_only_the_hard_shift_speaks_of_held_out_concepts(made):
    concepts = pd.read_parquet(made / "in-domain" / "concepts.parquet")
    assert concepts.equals(pd.read_parquet(made / "hard-shift" / "concepts.parquet"))
    known = set(concepts[~concepts.held_out].word)
    new = set(concepts[concepts.held_out].word) - known  # a shared word may also name a concept that is not held out
    shares = {}
    for world in WORLDS:
        tokens = " ".join(pd.read_parquet(made / world / "documents.parquet").text).split()
        shares[world] = sum(token in new for token in tokens) / len(tokens)
    assert shares["in-domain"] == shares["mild-shift"] == 0
    assert 0.25 < shares["hard-shift"] < 0.5
    meanings = Counter(concepts.word)
    assert 0.07 * 960 < sum(count > 1 for count in meanings.values()) < 0.11 * 960  # a tenth of the rarer synonyms


def test_documents_do_not_depend_on_how_many_are_drawn_at_a_time(made, monkeypatch):
    monkeypatch.setattr(generated, "BLOCK", 999)
    documents = generated.make_documents(make_language(SEED), "in-domain", 4000, SEED)
    expected = pd.read_parquet(made / "in-domain" / "documents.parquet")
    assert list(documents.ids()) == list(expected.doc_id) and list(documents.texts()) == list(expected.text)


def test_documents_have_the_intended_mixture(made):
    documents = pd.read_parquet(made / "in-domain" / "documents.parquet")
    truth = pd.read_parquet(made / "in-domain" / "truth.parquet")
    language = make_language(SEED)
    functions, lengths, in_focus, total, preferred = set(language.function_words), [], 0, 0, 0
    for text, focal, register in zip(documents.text, truth.focal, truth.register, strict=True):
        tokens = text.split()
        lengths.append(len(tokens))
        total += len(tokens)
        focal_words = language.words[focal]
        in_focus += sum(token in set(focal_words.ravel()) for token in tokens)
        preferred += sum(token in set(focal_words[:, register]) for token in tokens)
    assert (min(lengths), max(lengths)) == (20, 34)
    assert set(truth.focal.map(len)) == {3, 4, 5}
    share = sum(token in functions for token in " ".join(documents.text).split()) / total
    assert share == pytest.approx(0.25, abs=0.01)
    assert in_focus / total == pytest.approx(0.50, abs=0.04)  # 45% focal, and topic words that happen to be focal
    # The register's synonym: 60%, and its own share of the other 40%: .6 + .4 (.5^2 + .3^2 + .2^2) = .752.
    assert preferred / in_focus == pytest.approx(0.752, abs=0.02)


def _bm25(texts, query, k1=1.2, b=0.75):
    """Ranks by BM25 (Lucene's form), best first, at most 100, ties by document id."""
    documents = {doc: Counter(text.split()) for doc, text in texts.items()}
    mean = sum(sum(counts.values()) for counts in documents.values()) / len(documents)
    scores = defaultdict(float)
    for word in query.split():
        holders = [doc for doc, counts in documents.items() if word in counts]
        idf = math.log(1 + (len(documents) - len(holders) + 0.5) / (len(holders) + 0.5))
        for doc in holders:
            count, length = documents[doc][word], sum(documents[doc].values())
            scores[doc] += idf * count / (count + k1 * (1 - b + b * length / mean))
    return sorted(scores, key=lambda doc: (-scores[doc], doc))[:100]


def _ndcg(ranking, relevance):
    ideal = sorted(relevance.values(), reverse=True)[:10]
    gains = [relevance.get(doc, 0) for doc in ranking[:10]]
    return sum(g / math.log2(i + 2) for i, g in enumerate(gains)) / sum(
        g / math.log2(i + 2) for i, g in enumerate(ideal)
    )


def test_bm25_leaves_room_for_better_rankers(made):
    """In-domain BM25 reaches about .4 and the ideal order of its top 100 about .77, which leaves room to improve."""
    documents = pd.read_parquet(made / "in-domain" / "documents.parquet").set_index("doc_id").text.to_dict()
    queries = pd.read_parquet(made / "in-domain-test" / "queries.parquet").head(60)
    qrels = pd.read_parquet(made / "in-domain-test" / "qrels.parquet").groupby("query_id")
    plain, ideal = [], []
    for query, text in queries.itertuples(index=False):
        judged = qrels.get_group(query)
        relevance = dict(zip(judged.doc_id, judged.relevance, strict=True))
        ranking = _bm25(documents, text)
        plain.append(_ndcg(ranking, relevance))
        ideal.append(_ndcg(sorted(ranking, key=lambda doc: -relevance.get(doc, 0)), relevance))
    assert 0.33 < sum(plain) / 60 < 0.50
    assert 0.70 < sum(ideal) / 60 < 0.88


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_world(made, tmp_path):
    spec = {"source": "generated", "world": "mild-shift", "seed": SEED}
    sums = []
    for folder, seed in (("again", SEED), ("other", 8)):
        prepare_corpus(output=tmp_path / folder / "manifest.json", spec=spec | {"seed": seed})
        _collect(tmp_path, folder, f"{folder}-test", {"source": "generated", "role": "test"})
    for first, second in pairwise(
        [(made, "mild-shift"), (tmp_path, "again"), (tmp_path, "other")],
    ):
        manifests = [json.loads((root / name / "manifest.json").read_text()) for root, name in (first, second)]
        manifests += [
            json.loads((root / f"{name}-test" / "manifest.json").read_text()) for root, name in (first, second)
        ]
        sums.append([m["files"] for m in manifests])
    (a, b, c, d), (e, f, g, h) = sums
    assert a == b and c == d
    assert all(e[name] != f[name] for name in e) and all(g[name] != h[name] for name in g)


def test_a_collection_must_agree_with_its_corpus(made):
    with pytest.raises(InputError, match="seed is 8 and the corpus' 7"):
        _collect(made, "in-domain", "wrong", {"source": "generated", "role": "test", "seed": 8})
    with pytest.raises(InputError, match="'mild-shift' and the corpus' 'in-domain'"):
        _collect(made, "in-domain", "wrong", {"source": "generated", "role": "test", "world": "mild-shift"})
