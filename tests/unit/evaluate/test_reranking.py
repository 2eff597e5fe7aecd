"""Re-ranking: a run for each collection, against one pair at a time through the model."""

import json

import numpy as np
import pyarrow as pa
import pytest
from factories import artifact
from scored_world import PAIRS, make_world, one_by_one

from tests.unit.models.test_tokens import write_collection
from workflow_scripts.backbone.tokenise_evaluation import tokenise_evaluation
from workflow_scripts.evaluate.gather_evaluation import gather_evaluation
from workflow_scripts.evaluate.rerank_candidates import rerank_candidates
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.command import call
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.runs import read_run
from workflow_scripts.storage.tables import read_table


@pytest.fixture
def world(tmp_path):
    return make_world(tmp_path)


@pytest.mark.parametrize("architecture", ["cross-encoder", "bi-encoder"])
def test_rerank_writes_a_run_for_each_collection(world, architecture):
    made = {name: str(world / name / "manifest.json") for name in ("collection", "corpus", "ranking", "evaluation")}
    stores, both = str(world / "tokens/manifest.json"), ["--collections", "one", "two"]
    add_qrels(world)
    listed = ["--tests", *[made["collection"]] * 2]
    spec, rankings = json.dumps({"depth": 4, "tag": "bm25"}), [made["ranking"]] * 2
    call(
        gather_evaluation,
        ["--spec", spec, *both, *listed, "--rankings", *rankings, "--output", made["evaluation"]],
    )
    command = ["--backbone", str(world / "backbone/manifest.json"), "--evaluation", made["evaluation"], *both, *listed]
    spec, corpora = json.dumps({"query_tokens": 3, "document_tokens": 10}), [made["corpus"]] * 2
    call(tokenise_evaluation, [*command, "--spec", spec, "--corpora", *corpora, "--output", stores])
    assert len(TokenStore(stores, "two.documents")) < 12  # what is never re-ranked is not tokenised
    with pytest.raises(InputError, match=r"has no token store 'three\.documents': it has one\.documents, one\.queries"):
        TokenStore(stores, "three.documents")
    spec = json.dumps({"architecture": architecture, "tag": "student", "precision": "auto"})
    command = ["--spec", spec, "--model", str(world / architecture / "manifest.json"), *both]
    command += ["--evaluation", made["evaluation"], "--tokens", stores]
    call(rerank_candidates, [*command, "--output", str(world / "run/manifest.json")])
    listed = read_table(world / "ranking/ranking.parquet")
    listed = listed[listed["rank"] <= 4].sort_values(["query_id", "doc_id"])
    pairs = list(zip(listed["query_id"], listed["doc_id"], strict=True))
    expected = one_by_one(world, architecture, pairs)
    for name in ("one", "two"):
        run = read_run(world / "run" / f"{name}.run.gz").sort_values(["query_id", "doc_id"])
        assert list(zip(run["query_id"], run["doc_id"], strict=True)) == pairs
        np.testing.assert_allclose(run["score"], expected, atol=1e-5)
    # A run's bytes do not depend on what else the process scores.
    alone = [word for word in command if word != "one"]
    call(rerank_candidates, [*alone, "--output", str(world / "alone/manifest.json")])
    assert (world / "alone/two.run.gz").read_bytes() == (world / "run/two.run.gz").read_bytes()


def add_qrels(world):
    """Make the world's collection one to evaluate on."""
    judged = {"query_id": ["q0"], "doc_id": ["d00"], "relevance": [1]}, pa.schema([*PAIRS, ("relevance", pa.int32())])
    files = {"queries.parquet": (world / "collection/queries.parquet").read_bytes(), "qrels.parquet": judged}
    artifact(world / "collection/manifest.json", files)


def test_a_candidate_that_the_corpus_lacks_is_told(world):
    add_qrels(world)
    manifest = {name: world / name / "manifest.json" for name in ("collection", "corpus", "ranking", "backbone")}
    tests = {"collections": ["one"], "tests": [manifest["collection"]]}
    evaluation, output = world / "evaluation/manifest.json", world / "tokens/manifest.json"
    gather_evaluation(spec={"depth": 6, "tag": "bm25"}, rankings=[manifest["ranking"]], output=evaluation, **tests)
    write_collection(world / "other", {"d00": ("", "red")}, {"q0": "red"})
    arguments = {"backbone": manifest["backbone"], "evaluation": evaluation, "output": output, **tests}
    spec = {"query_tokens": 3, "document_tokens": 10}
    with pytest.raises(InputError, match=r"candidates of one are not in .*other/corpus"):
        tokenise_evaluation(spec=spec, corpora=[world / "other/corpus/manifest.json"], **arguments)
    assert not output.exists()
