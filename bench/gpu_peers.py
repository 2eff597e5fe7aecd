"""Padded methods for the GPU's comparison, with transformers alone: the loops that rankers' code describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from bench.inputs import GROUP, read_texts

BATCH = 64
MOST_PAIRS = 8192
"""Pairs that a round of scoring takes at most, by the peers: a round of theirs is to end when a quick one's does."""
LONGEST = 230


class _Texts:
    """Pairs as strings, their tokenizer, and the true lengths of what was asked for."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self.texts = read_texts(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "cross")
        self.pairs = [self.pair(query, document) for query, document in self.texts["pairs"][:MOST_PAIRS]]

    def pair(self, query: int, document: int) -> tuple[str, str]:
        """The texts of a pair of rows."""
        return self.texts["queries"][query][1], self.texts["documents"][document][1]

    def pad(self, pairs: list[tuple[str, str]], device: torch.device) -> dict:
        """A padded batch on the device."""
        queries, documents = map(list, zip(*pairs, strict=True))
        batch = self.tokenizer(
            queries, documents, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        return {name: tensor.to(device) for name, tensor in batch.items()}

    def answer(self, batches: list[dict], items: int) -> dict:
        """What a method answers: items, true lengths and positions with padding."""
        lengths = torch.cat([batch["attention_mask"].sum(1) for batch in batches]).tolist()
        return {"items": items, "lengths": lengths, "positions": sum(b["input_ids"].numel() for b in batches)}


def padded_scoring(folder: Path, device: torch.device, dtype: torch.dtype) -> Callable[[], dict]:
    """Fixed order, batches of 64, tokenised in the loop, every batch's scores fetched: rankers' scorer."""
    from transformers import AutoModelForSequenceClassification

    texts = _Texts(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder / "cross", num_labels=1, dtype=dtype)
    model = model.to(device).eval()

    @torch.no_grad()
    def score() -> dict:
        batches, scores = [], []
        for first in range(0, len(texts.pairs), BATCH):
            batches.append(texts.pad(texts.pairs[first : first + BATCH], device))
            scores.append(model(**batches[-1]).logits.float().cpu().numpy())
        np.concatenate(scores)
        return texts.answer(batches, len(texts.pairs))

    return score


def predict(folder: Path, device: torch.device, dtype: torch.dtype) -> Callable[[], dict]:
    """sentence-transformers' ``CrossEncoder.predict``; its padding is not counted (batches of 32, sorted)."""
    from sentence_transformers import CrossEncoder

    texts = _Texts(folder)
    model = CrossEncoder(str(folder / "cross"), device=str(device), model_kwargs={"dtype": dtype})
    lengths = [len(encoding) for encoding in texts.tokenizer([list(p) for p in texts.pairs])["input_ids"]]

    def score() -> dict:
        model.predict(texts.pairs, batch_size=32)
        return {"items": len(texts.pairs), "lengths": lengths, "positions": float("nan")}

    return score


def padded_training(folder: Path, device: torch.device, dtype: torch.dtype, groups: int) -> Callable[[], dict]:
    """Whole groups padded to the step's longest pair, tokenised in the loop; autocast and torch's fused AdamW."""
    from transformers import AutoModelForSequenceClassification

    texts = _Texts(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder / "cross", num_labels=1).to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    teacher = torch.tensor(texts.texts["teacher"], device=device)

    def train() -> dict:
        batches = []
        for first in range(0, len(teacher) - groups + 1, groups):
            rows = texts.texts["groups"][first : first + groups]
            batches.append(texts.pad([texts.pair(query, row) for query, chosen in rows for row in chosen], device))
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                scores = model(**batches[-1]).logits.view(groups, GROUP)
            labels = F.softmax(teacher[first : first + groups], dim=1)
            F.kl_div(F.log_softmax(scores.float(), dim=1), labels, reduction="batchmean").backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
        return texts.answer(batches, len(batches) * groups)

    return train
