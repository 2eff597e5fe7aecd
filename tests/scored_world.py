"""A corpus of twelve documents with queries, stores, a ranking and two models, to score; and scores pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from factories import artifact, write_collection, write_corpus, write_ranking
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from workflow_scripts.backbone.tokenise_corpus import tokenise_corpus
from workflow_scripts.backbone.tokenise_queries import tokenise_queries
from workflow_scripts.models.rankers import load_ranker, new_ranker, save_ranker
from workflow_scripts.models.token_store import TokenStore, pair_sequences, single_sequences
from workflow_scripts.storage.artifacts import ArtifactWriter

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "runs", "sleeps"]
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
"""An encoder of these words."""


def write_backbone(folder: Path, words: Sequence[str] = WORDS, double_separator: bool = False) -> Tokenizer:
    """A backbone artifact of a word-level tokenizer alone."""
    vocabulary = {token: row for row, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] [SEP] $B:1 [SEP]:1" if double_separator else "[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    artifact(folder / "manifest.json", {"tokenizer.json": tokenizer.to_str()})
    return tokenizer


def new_encoder(folder: Path, architecture: str, backbone: Path) -> None:
    """An artifact of a random ranker with the backbone's tokenizer."""
    with ArtifactWriter(folder / "manifest.json", kind="test", spec={}) as writer:
        model = new_ranker(CONFIG, architecture, initialise_seed=2)
        save_ranker(model, writer.path("config.json").parent, backbone)


def tokenise(folder: Path, backbone: Path, query_tokens: int = 3, document_tokens: int = 10) -> tuple[Path, Path]:
    """Token stores ``queries`` and ``documents`` of the collection and the corpus in a folder."""
    made = {part: folder / part / "manifest.json" for part in ("collection", "queries", "corpus", "documents")}
    spec, backbone = {"view": "full", "max_tokens": document_tokens}, backbone / "manifest.json"
    tokenise_corpus(spec, backbone, made["corpus"], made["documents"])
    tokenise_queries({"max_tokens": query_tokens}, backbone, made["collection"], made["queries"])
    return made["queries"], made["documents"]


def make_world(folder: Path) -> Path:
    """Twelve documents, three queries, a ranking, positives, stores, a cross-encoder and a bi-encoder."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    documents = {f"d{row:02}": " ".join(generator.choice(WORDS, 1 + row)) for row in range(12)}
    queries = {f"q{row}": " ".join(generator.choice(WORDS, 1 + row)) for row in range(3)}
    write_backbone(folder / "backbone")
    write_corpus(folder / "corpus", documents)
    write_collection(folder / "collection", queries)
    tokenise(folder, folder / "backbone")
    for architecture in ("cross-encoder", "bi-encoder"):
        new_encoder(folder / architecture, architecture, folder / "backbone")
    write_ranking(
        folder / "ranking", {"bm25": {query: list(generator.permutation(list(documents))[:6]) for query in queries}}
    )
    write_collection(folder / "train", queries, positives=zip(queries, ("d00", "d05", "d11"), strict=True))
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
