"""Training a ranker on groups: students of a teacher and, with a loss that needs none, teachers.

Every draw depends on (seed, what it is for, step or epoch), so a run that was killed and resumed ends with the weights
of one that was not.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.models.devices import DTYPES, best_device, device_name, settle_precision
from workflow_scripts.models.optimiser import AdamW, learning_rate_at
from workflow_scripts.models.packed_encoder import CPU_CACHE_BYTES
from workflow_scripts.models.rankers import RankerModel, load_ranker, save_ranker
from workflow_scripts.models.token_store import TokenStore, require_room
from workflow_scripts.storage.artifacts import NOTHING, Artifact, ArtifactWriter
from workflow_scripts.storage.command import read_settings
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.provenance import fingerprint
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.train.batches import Batch, GroupBatches, in_turn
from workflow_scripts.train.checkpoints import Checkpoints
from workflow_scripts.train.groups import TooFewQueries, group_order, read_groups, read_positives
from workflow_scripts.train.history import History
from workflow_scripts.train.losses import Loss, load_loss
from workflow_scripts.train.model_card import write_model_card
from workflow_scripts.train.settings import Settings

FLUSH_STEPS = 50
TERMINATED = 128 + signal.SIGTERM
# Settings that do not change the weights.
NOT_IN_FINGERPRINT = ("name", "checkpoint_minutes", "checkpoint_steps")


def fit(
    model: RankerModel, loss: Loss, batches: GroupBatches, settings: Settings, checkpoints: Checkpoints, device: str
) -> History:
    """Train ``model`` in place through its whole budget; goes on from a checkpoint of this very job.

    ``settings.precision`` is decided: one of :data:`DTYPES`.
    Bound by the encoder; on a GPU the host only fills the queue: batches come ready, losses are fetched every 50 steps.
    A CPU computes a batch in parts that its cache holds, unless its groups are negatives of one another.
    """
    steps, groups = settings.steps, settings.batch_groups
    if device == "cpu" and not settings.in_batch_negatives:
        groups = part_groups(groups, 4 * model.widest * batches.group_tokens())
        model.collect_word_gradients(groups < settings.batch_groups)
    batches = replace(batches, batch_groups=groups)
    accumulation = settings.gradient_accumulation * settings.batch_groups // groups
    model.to(device).train()
    optimiser = AdamW(model, weight_decay=settings.weight_decay)
    scaler = torch.amp.GradScaler(device, enabled=settings.precision == "fp16")
    start, history = _resume(model, loss, optimiser, scaler, checkpoints)
    clock = _Clock(settings, start)
    stream = in_turn(batches, start * accumulation, steps * accumulation, ahead=device != "cpu")
    with _termination() as terminated, contextlib.closing(stream):
        for step in range(start, steps):
            optimiser.learning_rate = learning_rate_at(
                step, steps=steps, peak=settings.learning_rate, warmup=settings.warmup
            )
            torch.manual_seed(derive_seed(settings.seeds["order"], "dropout", step))
            some = itertools.islice(stream, accumulation)
            done = _step(model, loss, some, optimiser, scaler, accumulation, DTYPES[settings.precision])
            history.add(*done, optimiser.learning_rate)
            clock.report(history)
            if terminated or clock.checkpoint_is_due(step + 1):
                history.flush()
                checkpoints.save(model, optimiser, step + 1, history.tensors(), scaler.state_dict())
            if terminated:
                print(f"asked to stop: checkpoint written after step {step + 1}", file=sys.stderr, flush=True)
                sys.exit(TERMINATED)
    history.flush()
    if history.documents != settings.documents:
        raise AssertionError(f"{history.documents} documents were seen, the budget is {settings.documents}")
    return history


def part_groups(batch_groups: int, group_bytes: int) -> int:
    """How many groups of a batch a CPU computes at once: the most that divide it and fit the cache, at least one.

    ``group_bytes``: of a group's widest activations. What is larger than the cache waits for memory between the
    products, and is taken from the system anew each time, a page fault every 4 kB.
    """
    fitting = [n for n in range(1, batch_groups + 1) if batch_groups % n == 0 and n * group_bytes <= CPU_CACHE_BYTES]
    return max(fitting, default=1)


def _resume(
    model: RankerModel, loss: Loss, optimiser: AdamW, scaler: torch.amp.GradScaler, checkpoints: Checkpoints
) -> tuple[int, History]:
    """Steps that a checkpoint has behind it, and their history; 0 and none without one."""
    restored = checkpoints.load(model, optimiser)
    if restored is None:
        return 0, History(loss)
    scaler.load_state_dict(restored.scaler)
    print(f"resumed after step {restored.step}", file=sys.stderr, flush=True)
    return restored.step, History(loss, restored.history)


def _step(
    model: RankerModel,
    loss: Loss,
    batches: Iterable[Batch],
    optimiser: AdamW,
    scaler: torch.amp.GradScaler,
    accumulation: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, int]:
    """One optimiser step; returns the mean loss, the gradient's norm before clipping, the largest score, documents.

    The losses average over groups, so equally large batches accumulate to the gradient of one large batch.
    """
    optimiser.zero_grad()
    total, largest = torch.zeros(2, device=model.device).unbind()
    documents = 0
    for batch in batches:
        with torch.autocast(model.device.type, dtype=dtype, enabled=dtype != torch.float32):
            output = model(batch.sequences)
        scores = batch.scores(output)
        value = loss(batch.with_in_batch(scores, output), batch.teacher) / accumulation
        scaler.scale(value).backward()
        total += value.detach()
        largest = torch.maximum(largest, scores.detach().abs().max())
        documents += scores.numel()
    optimiser.densify()
    scaler.unscale_(optimiser)
    norm = optimiser.clip()
    scaler.step(optimiser)
    scaler.update()
    return total, norm.detach(), largest, documents


class _Clock:
    """When to fetch the history, print a line, write a checkpoint."""

    def __init__(self, settings: Settings, start: int) -> None:
        self.settings, self.steps, self.saved = settings, settings.steps, time.monotonic()
        self.progress = Progress((self.steps - start) * settings.documents_a_step, "documents")

    def report(self, history: History) -> None:
        """Fetch the history every 50 steps, and for a line of progress."""
        done, note = len(history.columns["step"]), ""
        if history.pending >= FLUSH_STEPS or self.progress.due or done == self.steps:
            history.flush()
            note = f"step {done}, loss {np.mean(history.columns['loss'][-FLUSH_STEPS:]):.4f}"
        self.progress.add(self.settings.documents_a_step, note)

    def checkpoint_is_due(self, done: int) -> bool:
        """After the last step there is nothing to come back to."""
        now, every = time.monotonic(), self.settings.checkpoint_steps
        due = now - self.saved > 60 * self.settings.checkpoint_minutes or (every and done % every == 0)
        if due and done < self.steps:
            self.saved = now
            return True
        return False


@contextlib.contextmanager
def _termination() -> Iterator[list]:
    """A list that SIGTERM (a time limit, a pre-emption) adds to, so that the loop ends after the step at hand."""
    received: list = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def train(spec: Mapping, inputs: Mapping[str, Path], output: Path) -> None:
    """What ``train_ranker`` does; ``inputs``: its manifests, those that are given."""
    settings = read_settings(Settings, spec)
    device = best_device().type
    loss = load_loss(settings.loss["function"], settings.loss.get("options"))
    _refuse_what_lacks(settings, loss, inputs)
    read = {"labels": loss.needs_teacher or settings.cut, "collection": settings.in_batch_negatives}
    inputs = {name: path for name, path in inputs.items() if read.get(name, True)}
    kind = "teachers" if settings.name.startswith("teacher/") else "students"
    with ArtifactWriter(
        output, kind=kind, spec=spec, inputs=inputs, seed=settings.seeds["order"], device=device_name(best_device())
    ) as artifact:
        try:
            model, batches = _open(settings, loss, inputs, device)
        except TooFewQueries as error:
            artifact.counts[NOTHING] = str(error)
            print(error, file=sys.stderr, flush=True)
            return
        decisive = {name: value for name, value in asdict(settings).items() if name not in NOT_IN_FINGERPRINT}
        # "auto" is decided by the device at hand, and steps in one precision do not go on in another.
        precision = settle_precision(settings.precision, device, model.widest)
        decisive["precision"] = precision = model.to(device).computable(precision, settings.precision, autocast=True)
        settings = replace(settings, precision=precision)
        checkpoints = Checkpoints(artifact.folder, fingerprint(decisive, inputs, device))
        print(
            f"{settings.steps} steps of {settings.documents_a_step} documents from {len(batches.groups)} groups",
            file=sys.stderr,
            flush=True,
        )
        history = fit(model, loss, batches, settings, checkpoints, device)
        folder = artifact.path("config.json").parent
        save_ranker(model.cpu().eval(), folder, inputs["backbone"].parent, max_tokens=batches.longest_allowed())
        history.write(artifact.path("history.parquet"))
        write_model_card(artifact.path("README.md"), settings, inputs, history, precision, model.embedding)
        artifact.cost_before_resume = checkpoints.cost_before_resume
        artifact.counts |= {"documents": history.documents, "steps": settings.steps, "groups": len(batches.groups)}
        if skipped := history.skipped(epoch=-(-len(batches.groups) // settings.groups_a_step)):
            print(
                f"{skipped} of {settings.steps} steps moved no weight: their gradients were not finite", file=sys.stderr
            )
            artifact.counts["skipped_steps"] = skipped
    checkpoints.remove()


def _refuse_what_lacks(settings: Settings, loss: Loss, inputs: Mapping[str, Path]) -> None:
    if loss.needs_teacher and "labels" not in inputs:
        raise InputError(f"loss {loss.name} reads teacher scores: give the groups' labels")
    if settings.in_batch_negatives and (loss.needs_teacher or settings.architecture != "bi-encoder"):
        raise InputError(
            f"in-batch negatives are a bi-encoder's under a contrastive loss: {settings.name} is a "
            f"{settings.architecture} under {loss.name}"
        )
    if settings.in_batch_negatives and "collection" not in inputs:
        raise InputError("in-batch negatives leave out every positive of a query: give the groups' collection")


def _open(settings: Settings, loss: Loss, inputs: Mapping[str, Path], device: str) -> tuple[RankerModel, GroupBatches]:
    backbone = Artifact(inputs["backbone"]).folder
    queries, documents = TokenStore(inputs["queries"]), TokenStore(inputs["documents"])
    for store in (queries, documents):
        store.check_vocabulary(backbone)
    groups = read_groups(
        inputs["groups"],
        queries,
        documents,
        group_size=settings.group_size,
        labels=inputs.get("labels"),
        reads_teacher=loss.needs_teacher,
        cut=settings.cut,
        fold=settings.fold,
    )
    needed = settings.steps * settings.gradient_accumulation * settings.batch_groups
    model = load_ranker(
        backbone,
        settings.architecture,
        initialise_seed=derive_seed(settings.seeds["initialisation"], "head"),
        dropout=settings.dropout,
        pooling=settings.pooling,
        similarity=settings.similarity,
    )
    batches = GroupBatches(
        settings.architecture,
        groups,
        queries,
        documents,
        order=group_order(len(groups), needed, settings.seeds["order"]),
        batch_groups=settings.batch_groups,
        max_tokens=settings.max_tokens or {"query": queries.cut_at, "document": documents.cut_at},
        device=device,
        positives=read_positives(inputs["collection"], queries, documents) if settings.in_batch_negatives else None,
    )
    require_room(batches.longest_allowed(), model.longest)
    return model, batches
