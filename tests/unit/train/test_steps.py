"""What a training step does: the optimiser, its rate, its precision, the batches before it."""

import pytest
import torch

from workflow_scripts.models.devices import settle_precision
from workflow_scripts.models.optimiser import AdamW, learning_rate_at
from workflow_scripts.train.batches import in_turn


def test_adamw_is_torch_s_and_skips_a_step_whose_gradient_overflowed():
    torch.manual_seed(0)
    mine, theirs = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    theirs.load_state_dict(mine.state_dict())
    groups = [{"params": [theirs.weight], "weight_decay": 0.1}, {"params": [theirs.bias], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01, foreach=False)
    optimiser = AdamW(mine, weight_decay=0.1)
    optimiser.learning_rate = 0.01
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for step in range(5):
        x = torch.randn(8, 4)
        for model, one in ((mine, optimiser), (theirs, reference)):
            one.zero_grad()
            value = model(x).square().sum()
            (scaler.scale(value) if one is optimiser else value).backward()
        if step == 2:  # the scaled gradient overflows: no step, and a smaller scale for the next
            mine.weight.grad[0, 0] = torch.inf
        else:
            reference.step()
        scaler.unscale_(optimiser)
        scaler.step(optimiser)
        scaler.update()
    assert scaler.get_scale() == 2.0
    assert torch.allclose(mine.weight, theirs.weight, atol=1e-6) and torch.allclose(mine.bias, theirs.bias, atol=1e-6)


def test_auto_is_bf16_only_where_the_gpu_itself_has_it(monkeypatch):
    for own in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True, own=own: own)
        assert settle_precision("auto", "cuda", 8) == ("bf16" if own else "fp16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert settle_precision("auto", "cuda", 8) == "fp16"


def test_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [learning_rate_at(step, steps=8, peak=1.0, warmup=0.5) for step in range(8)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
    assert learning_rate_at(0, steps=8, peak=1.0, warmup=0.0) == 1.0


def test_batches_made_ahead_come_in_order_and_their_errors_too():
    assert list(in_turn(lambda number: number**2, 2, 20, ahead=True)) == [number**2 for number in range(2, 20)]
    stream = in_turn(lambda number: 1 // (3 - number), 0, 9, ahead=True)
    assert [next(stream) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    early = in_turn(lambda number: number, 0, 10**9, ahead=True)
    assert next(early) == 0
    early.close()  # ends the thread, or this test would never end
