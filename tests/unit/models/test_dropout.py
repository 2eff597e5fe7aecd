"""Dropout by 16 random bits an element: what is dropped, how much, and how the rest is scaled."""

import pytest
import torch

from workflow_scripts.models.dropout import dropout, dropout_add, keep


@pytest.mark.parametrize("p", [0.1, 0.5, 2**-16])
def test_a_share_of_p_is_dropped_at_random_and_the_rest_scaled(p):
    torch.manual_seed(0)
    size, level = (1001, 777), round(p * 2**16) / 2**16
    kept = keep(torch.empty(size), p)
    assert set(kept.unique().tolist()) == {0.0, torch.tensor(1 / (1 - level)).item()}
    dropped = kept == 0
    number, error = dropped.numel(), (level * (1 - level)) ** 0.5
    assert abs(dropped.float().mean().item() - level) < 5 * error / number**0.5
    # Neighbours share a word of the generator: the four parts of a word must not go together.
    for apart in (1, 2, 3, 4):
        both = (dropped.flatten()[apart:] & dropped.flatten()[:-apart]).float().mean().item()
        assert abs(both - level**2) < 5 * level / number**0.5 + 1 / number
    assert not torch.equal(dropped, keep(torch.empty(size), p) == 0)


def test_gradient_passes_where_the_value_did_and_a_seed_draws_again():
    x, residual = torch.randn(2, 5, 7, dtype=torch.float64, requires_grad=True).unbind()
    torch.manual_seed(3)
    out = dropout(x, 0.4)
    torch.manual_seed(3)
    torch.testing.assert_close(dropout_add(x, 0.4, residual), out + residual)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(out, gradient * x)
    assert 0 < (gradient == 0).sum() < gradient.numel()


def test_nothing_and_everything():
    x = torch.ones(9)
    assert dropout(x, 0.0) is x and not dropout(x, 1.0).any()
    assert torch.equal(dropout_add(x, 0.0, x), x + x) and torch.equal(dropout_add(x, 1.0, x), x)
