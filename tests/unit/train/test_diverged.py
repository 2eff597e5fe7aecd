"""Trainings that went astray: losses, gradients and weights that are no numbers end in one line, and leave no model."""

import itertools
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from factories import artifact, training_spec

from workflow_scripts.storage.errors import InputError
from workflow_scripts.train import training
from workflow_scripts.train.history import History
from workflow_scripts.train.losses import load_loss, marginmse
from workflow_scripts.train.train_ranker import train_ranker as train

SPEC = training_spec()


@pytest.mark.parametrize(
    ("values", "score", "message"),
    [
        # NaN is the loss's own fault where scores are moderate; else the training went astray.
        (
            (0.5, 0.4, math.nan, math.inf),
            3.0,
            r"^loss lce \(train/losses/lce\.py, .*returned nan at step 3.* of at most 3;",
        ),
        ((0.5, 0.4, math.inf, math.nan), 3.0, "the loss is not a finite number at step 3: lower the learning rate"),
        ((0.5, math.nan), 1e30, "the loss is not a finite number at step 2: lower"),
        ((math.nan,), math.nan, "the loss is not a finite number at step 1: lower"),
    ],
)
def test_a_loss_that_is_no_number_names_its_step(values, score, message):
    history = History(load_loss("lce"))
    for value in values:
        history.add(torch.tensor(value), torch.tensor(1.0), torch.tensor(score), 6, 0.1)
    with pytest.raises(InputError, match=message):
        history.flush()


def test_a_loss_that_is_nan_for_some_scores_is_named_in_training(inputs, tmp_path, monkeypatch):
    # Made-up groups show nothing: it is NaN where a teacher's score is what these have.
    monkeypatch.setattr(
        marginmse, "loss", lambda student, teacher: (student.mean(1) * (3.1 - teacher[:, 0]).sqrt()).mean()
    )
    load_loss("marginmse")
    labels = pq.read_table(inputs["labels"].with_name("labels.parquet"))
    sevens = labels.set_column(3, labels.schema.field("score"), pa.array([7.0] * 15, pa.float32()))
    other = artifact(tmp_path / "labels" / "manifest.json", {"labels.parquet": (sevens, labels.schema)})
    with pytest.raises(InputError, match=r"loss marginmse .*losses/marginmse\.py.* returned nan at step 1, for scores"):
        train(**inputs | {"labels": other}, spec=SPEC, output=tmp_path / "model/manifest.json")


def lose_gradients(monkeypatch, *, steps, precision):
    """Let the gradient of some steps be 0 times infinity while their loss is a number; fp16 skips such steps."""
    own, calls = marginmse.loss, itertools.count(-3)  # three calls are made on made-up groups, then two a step

    def loss(student, teacher):
        return own(student, teacher) + ((0 * student.mean()).sqrt() if next(calls) // 2 in steps else 0)

    monkeypatch.setattr(marginmse, "loss", loss)
    monkeypatch.setattr(training, "CPU_CACHE_BYTES", 2**23)
    monkeypatch.setattr(training, "settle_precision", lambda *_: precision)
    monkeypatch.setitem(training.DTYPES, "fp16", torch.float32)  # a CPU has the scaler, and no such products


@pytest.mark.parametrize(
    ("steps", "precision", "message"),
    [
        (range(6), "fp16", "6 of 6 steps had gradients that are not finite, and moved no weight: lower"),
        # The other steps had a number for a loss, and no loss is computed after the last.
        ([5], "fp32", r"the model's weight \S+ is not finite: lower the learning rate or use fp32"),
    ],
)
def test_a_training_that_ends_with_lost_gradients_leaves_no_model(
    inputs, tmp_path, monkeypatch, steps, precision, message
):
    lose_gradients(monkeypatch, steps=steps, precision=precision)
    with pytest.raises(InputError, match=message):
        train(**inputs, spec=SPEC, output=tmp_path / "manifest.json")
    assert not any(tmp_path.glob("*.*"))


def test_steps_that_were_skipped_are_said_and_counted(inputs, tmp_path, monkeypatch, capsys):
    lose_gradients(monkeypatch, steps=[0, 3], precision="fp16")
    train(**inputs, spec=SPEC, output=tmp_path / "manifest.json")
    assert json.loads((tmp_path / "manifest.json").read_text())["counts"]["skipped_steps"] == 2
    assert "2 of 6 steps moved no weight: their gradients were not finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("norms", "epoch", "found"),
    [([1, 1, 1], 2, 0), ([math.nan, 1, math.inf, 1], 2, 2), ([1, math.inf], 1, None), ([math.nan] * 2 + [1], 3, None)],
)
def test_half_of_all_steps_and_one_of_the_last_epoch_must_move_weights(norms, epoch, found):
    history = History(load_loss("lce"))
    for norm in norms:
        history.add(torch.tensor(0.5), torch.tensor(float(norm)), torch.tensor(1.0), 6, 0.1)
    history.flush()
    if found is None:
        with pytest.raises(InputError, match=f"[12] of {len(norms)} steps had gradients that are not finite"):
            history.skipped(epoch)
    else:
        assert history.skipped(epoch) == found
