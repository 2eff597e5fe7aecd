"""Re-ranking: a run for each collection, against one pair at a time through the model."""

import numpy as np
import pytest
from factories import run_script, write_collection, write_corpus
from scored_world import make_world, one_by_one

from workflow_scripts.backbone.tokenise_evaluation import tokenise_evaluation
from workflow_scripts.evaluate.gather_evaluation import gather_evaluation
from workflow_scripts.evaluate.rerank_candidates import rerank_candidates
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.runs import read_run
from workflow_scripts.storage.tables import read_table


@pytest.fixture
def world(tmp_path):
    return make_world(tmp_path)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_rerank_writes_a_run_for_each_collection(world, architecture):
    names = ("collection", "corpus", "ranking", "evaluation", "backbone", "tokens", architecture)
    made = {name: world / name / "manifest.json" for name in names}
    add_qrels(world)
    tests = {"collections": ["one", "two"], "tests": [made["collection"]] * 2}
    given = {"rankings": [made["ranking"]] * 2, "output": made["evaluation"]}
    run_script(gather_evaluation, {"depth": 4, "tag": "bm25"}, **tests, **given)
    given = {"backbone": made["backbone"], "evaluation": made["evaluation"], "corpora": [made["corpus"]] * 2}
    spec, stores = {"query_tokens": 3, "document_tokens": 10}, made["tokens"]
    run_script(tokenise_evaluation, spec, **tests, **given, output=stores)
    assert len(TokenStore(stores, "two.documents")) < 12  # what is never re-ranked is not tokenised
    with pytest.raises(InputError, match=r"has no token store 'three\.documents': it has one\.documents, one\.queries"):
        TokenStore(stores, "three.documents")
    spec = {"architecture": architecture, "tag": "student", "precision": "auto"}
    given = {"model": made[architecture], "evaluation": made["evaluation"], "tokens": stores}
    for folder, own in (("run", ["one", "two"]), ("alone", ["two"])):
        run_script(rerank_candidates, spec, collections=own, **given, output=world / folder / "manifest.json")
    listed = read_table(world / "ranking/ranking.parquet")
    listed = listed[listed["rank"] <= 4].sort_values(["query_id", "doc_id"])
    pairs = list(zip(listed["query_id"], listed["doc_id"], strict=True))
    expected = one_by_one(world, architecture, pairs)
    for name in ("one", "two"):
        run = read_run(world / "run" / f"{name}.run.gz").sort_values(["query_id", "doc_id"])
        assert list(zip(run["query_id"], run["doc_id"], strict=True)) == pairs
        np.testing.assert_allclose(run["score"], expected, atol=1e-5)
    # A run's bytes do not depend on what else the process scores.
    assert (world / "alone/two.run.gz").read_bytes() == (world / "run/two.run.gz").read_bytes()


def add_qrels(world):
    """Make the world's collection one to evaluate on."""
    queries = read_table(world / "collection/queries.parquet").itertuples(index=False)
    write_collection(world / "collection", dict(queries), qrels=[("q0", "d00", 1)])


def test_a_candidate_that_the_corpus_lacks_is_told(world):
    add_qrels(world)
    manifest = {name: world / name / "manifest.json" for name in ("collection", "corpus", "ranking", "backbone")}
    tests = {"collections": ["one"], "tests": [manifest["collection"]]}
    evaluation, output = world / "evaluation/manifest.json", world / "tokens/manifest.json"
    gather_evaluation(spec={"depth": 6, "tag": "bm25"}, rankings=[manifest["ranking"]], output=evaluation, **tests)
    other = write_corpus(world / "other", {"d00": "red"})
    arguments = {"backbone": manifest["backbone"], "evaluation": evaluation, "output": output, **tests}
    spec = {"query_tokens": 3, "document_tokens": 10}
    with pytest.raises(InputError, match=r"candidates of one are not in .*other/"):
        tokenise_evaluation(spec=spec, corpora=[other], **arguments)
    assert not output.exists()
