"""The project's side of the comparison: the functions its scripts call, in the project's environment.

Making the token store is part of every time here: each text of the round is tokenised once, written and read back.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from bench.inputs import BATCH_GROUPS, GROUP, read_shape, read_texts
from bench.products import computed_flops, measure_products
from bench.workers import Positions, Stopwatch, serve
from workflow_scripts.backbone.write_tokens import write_store
from workflow_scripts.models import scoring
from workflow_scripts.models.devices import DTYPES, settle_precision
from workflow_scripts.models.embedding import embed_texts
from workflow_scripts.models.rankers import RankerModel, load_ranker
from workflow_scripts.models.token_store import TokenStore, pair_lengths
from workflow_scripts.storage import processor
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.train import training
from workflow_scripts.train.batches import GroupBatches
from workflow_scripts.train.checkpoints import Checkpoints
from workflow_scripts.train.groups import Groups
from workflow_scripts.train.history import History
from workflow_scripts.train.losses import load_loss
from workflow_scripts.train.settings import Settings

MAX_TOKENS = {"queries": 30, "documents": 200}
ARCHITECTURES = {"cross": "cross-encoder", "bi": "bi-encoder"}
CPU = torch.device("cpu")
ARITHMETIC = processor.description()  # before bf16 is among what the process computes in


class Ours:
    """The methods by name; each answers with its times and, where asked, writes what it computed to ``output``.

    ``lengths``: of the sequences that the last method computed, special tokens and all.
    """

    def __init__(self, folder: str | Path, precision: str, device: torch.device = CPU) -> None:
        self.folder, self.precision, self.device = Path(folder), precision, device
        self.texts, self.lengths, self.shape = read_texts(folder), np.empty(0, int), read_shape(folder)
        self.ready: dict = {}

    def score(self, output: str | None = None, precise: bool = True) -> dict:
        """Cross-encoder scores of the pairs. Bounded by the encoder's matrix products; no token is padding.

        What is written to ``output`` is computed in fp32 where ``precise``.
        """
        model = self._prepare("cross", "fp32" if output and precise else self.precision)
        pairs = np.array(self.texts["pairs"])
        positions, watch = _positions(model), Stopwatch()
        queries, documents = self._stores(pairs[:, 0], pairs[:, 1])
        made = watch.read()
        query_rows, document_rows = self._rows(pairs[:, 0], pairs[:, 1])
        scores = scoring.score_pairs(model, queries, documents, query_rows, document_rows)
        times = watch.read()
        if output:
            np.save(output, scores)
        self.lengths = pair_lengths(queries, query_rows, documents, document_rows, *MAX_TOKENS.values())
        return self._answer(times, made, len(pairs), positions)

    def encode(self, output: str | None = None, precise: bool = True) -> dict:
        """[CLS] vectors of the pairs' documents. Bounded by the encoder. ``output`` as in :meth:`score`."""
        model = self._prepare("bi", "fp32" if output and precise else self.precision)
        documents = np.array(self.texts["pairs"])[:, 1]
        positions, watch = _positions(model), Stopwatch()
        store = self._store("documents", documents)
        made = watch.read()
        (rows,) = self._rows(documents)
        vectors = embed_texts(model, store, rows)
        times = watch.read()
        if output:
            np.save(output, vectors)
        self.lengths = store.lengths[rows] + 2
        return self._answer(times, made, len(documents), positions)

    def train(self, name: str, batch_groups: int = BATCH_GROUPS, dropout: float | None = None) -> dict:
        """Steps of groups of 16 documents with KL, by the loop that trains students. Bounded by the encoder."""
        model = self.load(name, dropout).to(self.device)
        positions, watch = _positions(model), Stopwatch()
        batches = self.batches(name, batch_groups)
        made = watch.read()
        steps = len(batches)
        self.fit(name, model, batches, learning_rate=1e-5)
        times = watch.read()
        offsets = [batches(number).sequences.offsets.cpu().numpy() for number in range(steps)]
        self.lengths = np.concatenate([np.diff(part) for part in offsets])
        return self._answer(times, made, steps * batch_groups, positions, passes=3)

    def fit(self, name: str, model: torch.nn.Module, batches: GroupBatches, *, learning_rate: float) -> History:
        """The history of a training with KL on ``batches``, in place."""
        settings = Settings(
            name="bench",
            architecture=ARCHITECTURES[name],
            loss={"function": "kl"},
            documents=len(batches) * batches.batch_groups * GROUP,
            batch_groups=batches.batch_groups,
            group_size=GROUP,
            learning_rate=learning_rate,
            seeds={"initialisation": 0, "order": 0},
            precision=settle_precision(self.precision, self.device.type, model.widest),
        )
        checkpoints = Checkpoints(self.folder / "checkpoints", "bench")
        return training.fit(model, load_loss("kl"), batches, settings, checkpoints, self.device.type)

    def gradients(self, name: str, output: str) -> dict:
        """Gradients of the first step's loss in fp32 without dropout, by their names in the checkpoint."""
        model = self.load(name).to(self.device)
        batch = self.batches(name)(0)
        load_loss("kl")(batch.scores(model(batch.sequences)), batch.teacher).backward()
        # A CPU gives the last key bias no gradient: it cancels in the softmax.
        gradients = {
            key: torch.zeros_like(value) if value.grad is None else value.grad
            for key, value in model.named_parameters()
        }
        named = {model.checkpoint_name(key): gradient.cpu().numpy() for key, gradient in gradients.items()}
        np.savez(output, **named)
        return {}

    def products(self) -> dict:
        """GFLOP/s of each library at the shapes of the model's linear layers, for as many tokens as scoring takes."""
        rows = scoring.token_budget(self._prepare("cross", self.precision))
        return {"lines": measure_products(self.shape, rows, DTYPES[self.precision])}

    def about(self) -> dict:
        """What ``auto`` computes in on this machine, the threads in use, and what multiplies in fp32."""
        return {
            "auto": settle_precision("auto", "cpu", self.shape.feed_forward),
            "threads": torch.get_num_threads(),
            "arithmetic": ARITHMETIC,
        }

    def load(self, name: str, dropout: float | None = None) -> RankerModel:
        """The folder's cross-encoder (``cross``) or bi-encoder (``bi``)."""
        return load_ranker(self.folder / name, ARCHITECTURES[name], initialise_seed=0, dropout=dropout)

    def _prepare(self, name: str, precision: str):
        """A ranker ready to score, kept between rounds as a peer keeps its own."""
        if (name, precision) not in self.ready:
            self.ready[name, precision] = scoring.for_inference(self.load(name), precision, self.device)
        return self.ready[name, precision]

    def _answer(self, times: dict, made: dict, items: int, positions: Positions, passes: int = 1) -> dict:
        tokens = int(self.lengths.sum())
        parts = {f"tokenising_{name}": value for name, value in made.items()}
        computed = positions.read()
        counts = {"items": items, "tokens": tokens, "positions": computed, "pad_share": 1 - tokens / computed}
        return times | parts | counts | {"flops": passes * computed_flops(self.shape, self.lengths)}

    def _store(self, kind: str, rows: np.ndarray) -> TokenStore:
        """A token store of the texts in use, made anew. Bounded by the tokenizer."""
        manifest = self.folder / "stores" / kind / "manifest.json"
        shutil.rmtree(manifest.parent, ignore_errors=True)
        with ArtifactWriter(manifest, kind="tokens", spec={}) as writer:
            texts = (self.texts[kind][row] for row in np.unique(rows))
            write_store(writer, texts, self.folder / "cross", MAX_TOKENS[kind], threads=torch.get_num_threads())
        return TokenStore(manifest)

    def _stores(self, query_rows: np.ndarray, document_rows: np.ndarray) -> tuple[TokenStore, TokenStore]:
        return self._store("queries", query_rows), self._store("documents", document_rows)

    def _rows(self, *columns: np.ndarray) -> list[np.ndarray]:
        """Rows of the texts in a store that holds exactly them: their ids are in the order of their numbers."""
        return [np.unique(column, return_inverse=True)[1].reshape(column.shape) for column in columns]

    def batches(self, name: str, batch_groups: int = BATCH_GROUPS, epochs: int = 1) -> GroupBatches:
        """The folder's groups as they stand, ``epochs`` times."""
        query_rows = np.array([query for query, _ in self.texts["groups"]])
        document_rows = np.array([documents for _, documents in self.texts["groups"]])
        queries, documents = self._stores(query_rows, document_rows)
        groups = Groups(*self._rows(query_rows, document_rows), np.array(self.texts["teacher"], np.float32))
        return GroupBatches(
            ARCHITECTURES[name],
            groups,
            queries,
            documents,
            order=np.tile(np.arange(len(groups)), epochs),
            batch_groups=batch_groups,
            max_tokens={"query": MAX_TOKENS["queries"], "document": MAX_TOKENS["documents"]},
            device=self.device.type,
        )


def _positions(model: torch.nn.Module) -> Positions:
    return Positions(model.encoder.encoder.layer[0].intermediate.dense)


def main() -> None:
    folder, precision, threads = sys.argv[1:4]
    torch.set_num_threads(int(threads))
    serve(Ours(folder, precision))


if __name__ == "__main__":
    main()
