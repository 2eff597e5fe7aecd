"""The peers' side of the comparison, in an environment of their own that knows nothing of the project.

- rankers 0.0.6: its scorer as published; its trainer fails there (it takes the length of a scalar loss), so training
  is a stand-in with the behaviour its code documents: ``transformers.Trainer``, tokenised in the collator, whole groups
  padded to the batch's longest text; a bi-encoder's queries and documents in two forwards.
- sentence-transformers 6.2: ``CrossEncoder.predict``, ``SentenceTransformer.encode`` and its two trainers as published.

Both tokenise within the loop that is timed.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import (
    CrossEncoder,
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import ListNetLoss
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from bench.workers import Positions, Stopwatch, serve

BATCH_GROUPS = 4
RANKERS_BATCH, PREDICT_BATCH = 64, 32
QUERY_TOKENS, DOCUMENT_TOKENS = 30, 200
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Peers:
    """The methods by name; each answers with its times and the positions its linear layers computed."""

    def __init__(self, folder: str, precision: str) -> None:
        self.folder, self.precision = Path(folder), precision
        self.texts = json.loads((self.folder / "texts.json").read_text())
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder / "cross")
        self.pairs = [[self.texts["queries"][q][1], self.texts["documents"][d][1]] for q, d in self.texts["pairs"]]
        self.groups = [
            {
                "query": self.texts["queries"][query][1],
                "documents": [self.texts["documents"][row][1] for row in rows],
                "labels": teacher,
            }
            for (query, rows), teacher in zip(self.texts["groups"], self.texts["teacher"], strict=True)
        ]
        self.ready: dict = {}

    def rankers_score(self, output: str | None = None) -> dict:
        """rankers' loop in its default batches of 64, in the order given, each padded to its longest pair."""
        import pandas as pd

        scorer = self._keep("rankers", output, self._rankers_scorer)
        ids = [str(place) for place in range(len(self.pairs))]
        table = pd.DataFrame(self.pairs, columns=["query", "text"]).assign(qid="q", docno=ids)

        def score() -> np.ndarray:
            # Its score is log sigmoid(s) of a head with the classes (0, s).
            logs = scorer.transform(table).sort_index()["score"].to_numpy(np.float64)
            return logs - np.log(-np.expm1(logs))

        return self._infer(scorer.model, score, output)

    def st_score(self, output: str | None = None) -> dict:
        """``CrossEncoder.predict``: batches of 32, sorted by the number of characters."""
        model = self._keep("cross", output, functools.partial(self._st_scorer, CrossEncoder, "cross"))
        return self._infer(model, lambda: model.predict(self.pairs, batch_size=PREDICT_BATCH), output)

    def st_encode(self, output: str | None = None) -> dict:
        """``SentenceTransformer.encode``: batches of 32, its default, sorted by the number of characters."""
        model = self._keep("bi", output, functools.partial(self._st_scorer, SentenceTransformer, "bi"))
        documents = [document for _, document in self.pairs]
        return self._infer(model, lambda: model.encode(documents, batch_size=PREDICT_BATCH), output)

    def rankers_train(self, name: str) -> dict:
        """The stand-in for rankers' trainer."""
        model = self._library(name).train()
        trainer = _StandIn(
            model=model,
            args=self._arguments(TrainingArguments, remove_unused_columns=False, train_sampling_strategy="sequential"),
            train_dataset=self.groups,
            data_collator=self._collate_pairs if name == "cross" else self._collate_texts,
        )
        return self._train(trainer, model)

    def st_train(self, name: str) -> dict:
        """sentence-transformers' trainer with its loss that has KL's gradient."""
        model, loss = self._st_model(name)
        kind, arguments = CrossEncoderTrainer, CrossEncoderTrainingArguments
        if name == "bi":
            kind, arguments = SentenceTransformerTrainer, SentenceTransformerTrainingArguments
        rows = Dataset.from_list(self._st_rows(name))
        trainer = kind(model=model, args=self._arguments(arguments), train_dataset=rows, loss=loss)
        return self._train(trainer, model)

    def rankers_gradients(self, name: str, output: str) -> dict:
        """Gradients of the first 4 groups' KL in fp32 without dropout."""
        model = self._library(name).eval()
        collate = self._collate_pairs if name == "cross" else self._collate_texts
        _standin_loss(model, collate(self.groups[:BATCH_GROUPS])).backward()
        return _write_gradients(model, output)

    def st_gradients(self, name: str, output: str) -> dict:
        """As :meth:`rankers_gradients`, through sentence-transformers' loss."""
        model, loss = self._st_model(name)
        model.eval()
        rows = self._st_rows(name)[:BATCH_GROUPS]
        labels = [torch.tensor(row["label"]) for row in rows]
        if name == "cross":
            value = loss([[row["query"] for row in rows], [row["documents"] for row in rows]], labels)
        else:
            columns = [key for key in rows[0] if key != "label"]
            value = loss([model.preprocess([row[key] for row in rows]) for key in columns], torch.stack(labels))
        value.backward()
        return _write_gradients(model, output)

    def about(self) -> dict:
        """The peers' versions."""
        names = ("rankers", "sentence-transformers", "transformers", "tokenizers", "torch", "python-terrier")
        return {name: importlib.metadata.version(name) for name in names}

    def _keep(self, name: str, output: str | None, make: Callable) -> object:
        """A model that lives through all rounds; the equality gate has fp32 ones of its own."""
        precision = "fp32" if output else self.precision
        if (name, precision) not in self.ready:
            self.ready[name, precision] = make(DTYPES[precision])
        return self.ready[name, precision]

    def _infer(self, model: nn.Module, work: Callable[[], np.ndarray], output: str | None) -> dict:
        positions, watch = _positions(model), Stopwatch()
        computed = work()
        times = watch.read()
        if output:
            np.save(output, computed)
        return times | {"items": len(self.pairs), "positions": positions.read()}

    def _rankers_scorer(self, dtype: torch.dtype) -> object:
        from rankers.pyterrier.cat import CatTransformer

        model = AutoModelForSequenceClassification.from_pretrained(self.folder / "cross", num_labels=1, dtype=dtype)
        model.classifier = _TwoClasses(model.classifier)
        return CatTransformer.from_model(model, self.tokenizer, batch_size=RANKERS_BATCH)

    def _st_scorer(self, kind: type, name: str, dtype: torch.dtype) -> nn.Module:
        return kind(str(self.folder / name), device="cpu", model_kwargs={"dtype": dtype})

    def _library(self, name: str) -> PreTrainedModel:
        if name == "cross":
            return AutoModelForSequenceClassification.from_pretrained(self.folder / name, num_labels=1)
        return AutoModel.from_pretrained(self.folder / name)

    def _st_model(self, name: str) -> tuple[nn.Module, nn.Module]:
        if name == "cross":
            model = CrossEncoder(str(self.folder / name), device="cpu")
            return model, ListNetLoss(model)
        model = SentenceTransformer(str(self.folder / name), device="cpu")
        return model, DistillKLDivLoss(model)

    def _st_rows(self, name: str) -> list[dict]:
        if name == "cross":
            return [{"query": g["query"], "documents": g["documents"], "label": g["labels"]} for g in self.groups]
        return [
            {"query": g["query"]}
            | {f"document{place}": text for place, text in enumerate(g["documents"])}
            | {"label": g["labels"]}
            for g in self.groups
        ]

    def _collate_pairs(self, rows: list[dict]) -> dict:
        queries = [row["query"] for row in rows for _ in row["documents"]]
        documents = [text for row in rows for text in row["documents"]]
        limits = {"truncation": "only_second", "max_length": QUERY_TOKENS + DOCUMENT_TOKENS}
        batch = self.tokenizer(queries, documents, padding=True, return_tensors="pt", **limits)
        return {"pairs": dict(batch), "labels": torch.tensor([row["labels"] for row in rows])}

    def _collate_texts(self, rows: list[dict]) -> dict:
        def tokenise(texts: list[str], limit: int) -> dict:
            return dict(self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt"))

        return {
            "queries": tokenise([row["query"] for row in rows], QUERY_TOKENS + 2),
            "documents": tokenise([text for row in rows for text in row["documents"]], DOCUMENT_TOKENS + 2),
            "labels": torch.tensor([row["labels"] for row in rows]),
        }

    def _arguments(self, kind: type, **options: object) -> object:
        return kind(
            output_dir=str(self.folder / "trainer"),
            per_device_train_batch_size=BATCH_GROUPS,
            max_steps=len(self.groups) // BATCH_GROUPS,
            learning_rate=1e-5,
            bf16=self.precision == "bf16",
            use_cpu=True,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **options,
        )

    def _train(self, trainer: Trainer, model: nn.Module) -> dict:
        """Timed from the first step: what a trainer does before is not counted against it."""
        watch = Stopwatch()
        trainer.add_callback(_Start(watch))
        positions = _positions(model)
        trainer.train()
        return watch.read() | {"items": len(self.groups), "positions": positions.read()}


class _Start(TrainerCallback):
    """Starts the watch when training does."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_train_begin(self, *arguments: object, **options: object) -> None:
        self.watch.restart()


class _StandIn(Trainer):
    """``transformers.Trainer`` with rankers' forward and loss."""

    def compute_loss(self, model: nn.Module, inputs: dict, return_outputs: bool = False, **options: object) -> Tensor:
        return _standin_loss(model, inputs)


def _standin_loss(model: nn.Module, inputs: dict) -> Tensor:
    labels = inputs["labels"]
    if "pairs" in inputs:
        scores = model(**inputs["pairs"]).logits.view(labels.shape)
    else:
        queries = model(**inputs["queries"]).last_hidden_state[:, 0]
        documents = model(**inputs["documents"]).last_hidden_state[:, 0].view(*labels.shape, -1)
        scores = torch.einsum("gh,gdh->gd", queries, documents)
    return F.kl_div(F.log_softmax(scores.float(), dim=1), F.softmax(labels, dim=1), reduction="batchmean")


class _TwoClasses(nn.Module):
    """rankers scores by log softmax over two classes: 0 and the one-label head's score, in fp32 (numpy has no bf16)."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.head = head.float()

    def forward(self, hidden: Tensor) -> Tensor:
        score = self.head(hidden.float())
        return torch.cat([torch.zeros_like(score), score], dim=-1)


def _positions(model: nn.Module) -> Positions:
    return Positions(_library_model(model).base_model.encoder.layer[0].intermediate.dense)


def _library_model(model: nn.Module) -> PreTrainedModel:
    return next(module for module in model.modules() if isinstance(module, PreTrainedModel))


def _write_gradients(model: nn.Module, output: str) -> dict:
    named = _library_model(model).named_parameters()
    np.savez(output, **{name: value.grad.numpy() for name, value in named if value.grad is not None})
    return {}


def main() -> None:
    folder, precision, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    serve(Peers(folder, precision))


if __name__ == "__main__":
    main()
