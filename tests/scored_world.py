"""A corpus of twelve documents with queries, stores, a ranking and two models, to score; and scores pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from factories import artifact

from tests.unit.models.test_tokens import WORDS, write_backbone, write_collection
from workflow_scripts.backbone import tokenise_queries as tokenise_queries_script
from workflow_scripts.backbone.tokenise_corpus import tokenise_corpus
from workflow_scripts.models.rankers import load_ranker, new_ranker, save_ranker
from workflow_scripts.models.token_store import TokenStore, pair_sequences, single_sequences
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.rankings import RANKING_FILE, RankingWriter

CONFIG = {
    "model_type": "bert",
    "vocab_size": 13,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
    "initializer_range": 0.4,
}
PAIRS = [("query_id", pa.string()), ("doc_id", pa.string())]


def make_world(folder: Path) -> Path:
    """Twelve documents, three queries, a ranking, positives, stores, a cross-encoder and a bi-encoder."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    documents = {f"d{row:02}": ("", " ".join(generator.choice(WORDS, 1 + row))) for row in range(12)}
    queries = {f"q{row}": " ".join(generator.choice(WORDS, 1 + row)) for row in range(3)}
    write_backbone(folder / "backbone")
    write_collection(folder, documents, queries)
    backbone = folder / "backbone/manifest.json"
    spec = {"view": "full", "max_tokens": 10}
    tokenise_corpus(spec, backbone, folder / "corpus/manifest.json", folder / "documents/manifest.json")
    tokenise_queries_script.tokenise_queries(
        {"max_tokens": 3}, backbone, folder / "collection/manifest.json", folder / "queries/manifest.json"
    )
    for architecture in ("cross-encoder", "bi-encoder"):
        with ArtifactWriter(folder / architecture / "manifest.json", kind="test", spec={}) as writer:
            model = new_ranker(CONFIG, architecture, initialise_seed=2)
            save_ranker(model, writer.path("config.json").parent, folder / "backbone")
    with (
        ArtifactWriter(folder / "ranking/manifest.json", kind="test", spec={}) as writer,
        RankingWriter(writer.path(RANKING_FILE)) as ranking,
    ):
        for query in queries:
            ranking.add("bm25", query, list(generator.permutation(list(documents))[:6]), np.arange(6, 0, -1.0))
    positives = {"query_id": list(queries), "doc_id": ["d00", "d05", "d11"]}
    artifact(folder / "train/manifest.json", {"positives.parquet": (positives, pa.schema(PAIRS))})
    return folder


def one_by_one(world: Path, architecture: str, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Scores of (query id, document id) pairs, each alone through the model."""
    queries, documents = TokenStore(world / "queries/manifest.json"), TokenStore(world / "documents/manifest.json")
    model = load_ranker(world / architecture, architecture, initialise_seed=0)
    scores = []
    with torch.inference_mode():
        for query, document in pairs:
            rows = queries.rows([query]), documents.rows([document])
            if architecture == "cross-encoder":
                scores.append(model(pair_sequences(queries, rows[0], documents, rows[1], 3, 10)).item())
            else:
                left, right = single_sequences(queries, rows[0], 3), single_sequences(documents, rows[1], 10)
                scores.append(float(model(left) @ model(right).T))
    return np.array(scores)
