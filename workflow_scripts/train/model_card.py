"""The model card: what a model is and how it was made, for whoever finds the folder alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.models.sentence_transformers import Embedding
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.train.history import History
from workflow_scripts.train.settings import Settings

# Hub tasks and the sentence-transformers class that loads the folder.
KINDS = {
    "cross-encoder": (
        "text-ranking",
        "CrossEncoder",
        'scores = model.predict([("a query", "a document")])',
        "scores a query and a document read together",
    ),
    "bi-encoder": (
        "sentence-similarity",
        "SentenceTransformer",
        'scores = model.similarity(model.encode(["a query"]), model.encode(["a document"]))  # {similarity}s',
        "embeds queries and documents apart; the score is the {similarity} of their {pooling} states",
    ),
}


def write_model_card(
    path: str | Path,
    settings: Settings,
    inputs: Mapping[str, str | Path],
    history: History,
    precision: str,
    embedding: Embedding,
) -> None:
    """Write README.md with the front matter that the Hugging Face hub reads."""
    task, loader, use, what = usage(settings.architecture, embedding)
    losses = np.array(history.columns["loss"])
    tenth = max(1, len(losses) // 10)
    lines = [
        "---",
        "library_name: sentence-transformers",
        f"pipeline_tag: {task}",
        f"tags: [{settings.architecture}, reranking, distillation, {settings.loss['function']}]",
        "---",
        "",
        f"# {settings.name}",
        "",
        f"A {settings.architecture}: it {what}. Trained by Distillery with the loss `{settings.loss['function']}`.",
        "",
        "```python",
        f"from sentence_transformers import {loader}",
        "",
        f"model = {loader}(folder)",
        use,
        "```",
        "",
        "## Training",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {_plain(value)} |" for name, value in asdict(settings).items() if name != "name"),
        f"| optimiser steps | {settings.steps} |",
        f"| computed in | {precision}, torch {torch.__version__} |",
        "",
        f"{history.documents} documents were seen. The mean loss was {losses[:tenth].mean():.4f} over the first tenth "
        f"of the steps and {losses[-tenth:].mean():.4f} over the last; `history.parquet` has every step.",
        "",
        "## Made from",
        "",
        "| input | manifest | SHA-256 of the manifest |",
        "|---|---|---|",
        *(f"| {name} | `{source}` | `{sha256(Path(source))}` |" for name, source in inputs.items()),
        "",
        "`manifest.json` beside this file has the library versions, the code's commit and the cost. How well it ranks, "
        "and whose licences it rests on: `make export CELL=... FORMAT=model`.",
        "",
    ]
    Path(path).write_text("\n".join(lines), encoding="utf-8")


def usage(architecture: str, embedding: Embedding) -> tuple[str, str, str, str]:
    """Of a ranker: its task on the hub, sentence-transformers' class, the call that scores, and what it does."""
    words = {"dot": "dot product", "cosine": "cosine", "cls": "[CLS]", "mean": "mean"}
    pooling, similarity = words[embedding.pooling], words[embedding.similarity]
    task, loader, use, what = (
        text.replace("{similarity}", similarity).replace("{pooling}", pooling) for text in KINDS[architecture]
    )
    return task, loader, use, what


def _plain(value: object) -> str:
    return value if isinstance(value, str) else f"`{json.dumps(value, sort_keys=True)}`"
