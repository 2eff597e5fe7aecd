"""Losses against hand-computed values, a NumPy second implementation and finite differences."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax
from scipy.stats import rankdata

from workflow_scripts.experiment.functions import function_names
from workflow_scripts.storage.errors import InputError
from workflow_scripts.train import losses
from workflow_scripts.train.losses import load_loss, marginmse

CASES = [
    ("lce", {}),
    ("ranknet", {"targets": "hard"}),
    ("ranknet", {"targets": "soft"}),
    ("marginmse", {}),
    ("kl", {"temperature": 1.0}),
    ("kl", {"temperature": 2.5}),
    ("kl", {"temperature": 2.5, "teacher_temperature": 0.25}),
    ("listmle", {}),
    ("adrmse", {"temperature": 1.0}),
    ("adrmse", {"temperature": 0.3}),
    ("lambdaloss", {"weights": "lambdarank"}),
    ("lambdaloss", {"weights": "ndcg2"}),
    ("lambdaloss", {"weights": "ndcg2++", "mu": 3.0}),
]


def lce_reference(f, g):
    return np.mean([-log_softmax(row)[0] for row in f])


def ranknet_reference(f, g, targets):
    terms = []
    for scores, labels in zip(f, g, strict=True):
        for i in range(len(scores)):
            for j in range(i + 1, len(scores)):
                target = float(labels[i] > labels[j]) if targets == "hard" else expit(labels[i] - labels[j])
                chance = expit(scores[i] - scores[j])
                terms.append(-target * np.log(chance) - (1 - target) * np.log(1 - chance))
    return np.mean(terms)


def marginmse_reference(f, g):
    return np.mean([(f[b, 0] - f[b, j] - g[b, 0] + g[b, j]) ** 2 for b in range(len(f)) for j in range(1, f.shape[1])])


def kl_reference(f, g, temperature, teacher_temperature=1.0):
    p = softmax(g / teacher_temperature / temperature, axis=1)
    return np.mean(np.sum(p * (np.log(p) - log_softmax(f / temperature, axis=1)), axis=1))


def listmle_reference(f, g):
    """Documents drawn one after the other in the teacher's order, each by the softmax of those that are left."""
    found = []
    for scores, labels in zip(f, g, strict=True):
        ordered = scores[np.argsort(-labels)]
        found.append(-sum(log_softmax(ordered[place:])[0] for place in range(len(ordered))))
    return np.mean(found)


def adrmse_reference(f, g, temperature):
    terms = []
    for scores, labels in zip(f, g, strict=True):
        for i, rank in enumerate(rankdata(-labels)):
            others = [j for j in range(len(scores)) if j != i]
            approximate = 1 + sum(expit((scores[j] - scores[i]) / temperature) for j in others)
            terms.append((rank - approximate) ** 2 / np.log2(rank + 1))
    return np.mean(terms)


def lambdaloss_reference(f, g, weights, mu=10.0):
    found = []
    for scores, labels in zip(f, g, strict=True):
        gains = 1 / rankdata(-labels, method="min")
        best = sum(gain / np.log2(1 + rank) for rank, gain in enumerate(sorted(gains, reverse=True), 1))
        places = rankdata(-scores, method="ordinal")
        total = 0.0
        for i, j in itertools.permutations(range(len(scores)), 2):
            if labels[i] > labels[j]:
                swap = abs(1 / np.log2(1 + places[i]) - 1 / np.log2(1 + places[j]))
                apart = abs(places[i] - places[j])
                bound = 1 / np.log2(1 + apart) - 1 / np.log2(2 + apart)
                weight = {"lambdarank": swap, "ndcg2": bound, "ndcg2++": swap + mu * bound}[weights]
                total += weight * (gains[i] - gains[j]) / best * np.log2(1 + np.exp(scores[j] - scores[i]))
        found.append(total)
    return np.mean(found)


REFERENCES = {
    "lce": lce_reference,
    "ranknet": ranknet_reference,
    "marginmse": marginmse_reference,
    "kl": kl_reference,
    "listmle": listmle_reference,
    "adrmse": adrmse_reference,
    "lambdaloss": lambdaloss_reference,
}


def scores(groups=3, docs=5):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, groups, docs, generator=generator, dtype=torch.float64) * 2


def test_hand_computed_values():
    f = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]], dtype=torch.float64)
    g = torch.tensor([[0.0, math.log(3.0)], [2.0, 0.0]], dtype=torch.float64)
    # Group 1: the positive's softmax is 1/4, group 2: 1/2.
    assert load_loss("lce")(f, None).item() == pytest.approx((math.log(4) + math.log(2)) / 2)
    # Pair 1: g_0 < g_1, so -log(1 - 1/4); pair 2: g_0 > g_1, so -log(1/2).
    hard = (math.log(4 / 3) + math.log(2)) / 2
    assert load_loss("ranknet")(f, g).item() == pytest.approx(hard)
    # Pair 1 has the target 1/4 and the prediction 1/4: their entropy; pair 2 is at 1/2 whatever the target.
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert load_loss("ranknet", {"targets": "soft"})(f, g).item() == pytest.approx((entropy + math.log(2)) / 2)
    assert load_loss("marginmse")(f, g).item() == pytest.approx((0 + 2**2) / 2)
    # Group 1 agrees; at T = 2 group 2 is KL((s, 1 - s) || (1/2, 1/2)), s = sigma(1).
    s = 1 / (1 + math.exp(-1))
    divergence = s * math.log(2 * s) + (1 - s) * math.log(2 * (1 - s))
    assert load_loss("kl", {"temperature": 2})(f, g).item() == pytest.approx(divergence / 2)


def test_hand_computed_values_of_losses_on_an_order():
    # One group of two documents; the teacher prefers the second, the student has log 3 for it: sigma = 3/4 to 1/4.
    f = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64)
    g = torch.tensor([[0.0, 5.0]], dtype=torch.float64)
    assert load_loss("listmle")(f, g).item() == pytest.approx(math.log(4 / 3))
    # Approximate ranks 1 + 3/4 and 1 + 1/4 against 2 and 1.
    assert load_loss("adrmse")(f, g).item() == pytest.approx((1 / 16 / math.log2(3) + 1 / 16) / 2)
    # Gains 1/2 and 1, maxDCG 1 + 1/2 / log2(3); both weights are 1 - 1/log2(3) at ranks 1 and 2.
    weight, gain = 1 - 1 / math.log2(3), 0.5 / (1 + 0.5 / math.log2(3))
    cost = weight * gain * math.log2(4 / 3)
    assert load_loss("lambdaloss", {"weights": "lambdarank"})(f, g).item() == pytest.approx(cost)
    assert load_loss("lambdaloss", {"weights": "ndcg2"})(f, g).item() == pytest.approx(cost)
    assert load_loss("lambdaloss")(f, g).item() == pytest.approx(11 * cost)


@pytest.mark.parametrize("name", ["adrmse", "lambdaloss"])
def test_constants_are_copied_to_the_device_once(name, monkeypatch):
    f, g = torch.tensor([[[1.0, 0.2, -0.5]], [[3.0, -1.0, 0.1]]])
    loss = load_loss(name)
    expected = loss(f, g)

    def copied(*values, **options):
        raise AssertionError("a list is copied to the device, which waits for all that it was given to do")

    monkeypatch.setattr(torch.Tensor, "new_tensor", copied)
    monkeypatch.setattr(torch, "tensor", copied)
    assert torch.equal(loss(f, g), expected)


@pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case[0] in ("listmle", "adrmse", "lambdaloss")]
)
def test_losses_on_an_order_take_ties_whatever_the_columns(name, options):
    f, _ = scores()
    g = torch.tensor([[2.0, 1.0, 1.0, 0.0, 1.0]], dtype=torch.float64).expand(3, -1)
    shuffled = torch.tensor([3, 1, 4, 0, 2])
    loss = load_loss(name, options)
    assert torch.allclose(loss(f[:, shuffled], g[:, shuffled]), loss(f, g), rtol=1e-12)
    # Nor do the teacher's scores matter beyond their order.
    assert loss(f, g.exp()) == loss(f, g)


def test_ties_of_the_teacher():
    f = torch.tensor([[0.3, -0.4]], dtype=torch.float64)
    g = torch.zeros(1, 2, dtype=torch.float64)
    # Each of two tied documents is drawn from both, or has the rank 1.5; no pair is left to LambdaLoss.
    assert load_loss("listmle")(f, g).item() == pytest.approx(-log_softmax(f.numpy()[0]).sum())
    chance = expit(-0.7)
    errors = (0.5 - chance) ** 2 + (0.5 - expit(0.7)) ** 2
    assert load_loss("adrmse")(f, g).item() == pytest.approx(errors / 2 / math.log2(2.5))
    assert load_loss("lambdaloss")(f, g).item() == 0


@pytest.mark.parametrize(("name", "options"), CASES)
def test_agrees_with_numpy_and_finite_differences_and_ignores_shifts(name, options):
    f, g = scores()
    loss = load_loss(name, options)
    assert loss(f, g).item() == pytest.approx(REFERENCES[name](f.numpy(), g.numpy(), **options), rel=1e-12)
    assert torch.autograd.gradcheck(lambda student: loss(student, g), f.clone().requires_grad_())
    shift = torch.tensor([[3.0], [-50.0], [0.5]], dtype=torch.float64)
    assert torch.allclose(loss(f + shift, g - 2 * shift), loss(f, g), rtol=1e-12)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_zero_gradient_where_the_student_is_the_teacher(name, options):
    _, g = scores()
    f = (g / options.get("teacher_temperature", 1.0)).requires_grad_()
    load_loss(name, options)(f, g).backward()
    soft = name in ("marginmse", "kl") or options.get("targets") == "soft"
    assert bool(torch.allclose(f.grad, torch.zeros_like(f))) == soft


@pytest.mark.parametrize(("name", "options"), CASES)
def test_equal_teacher_scores_and_large_scores_stay_finite(name, options):
    f = torch.tensor([[300.0, -300.0, 0.0]], requires_grad=True)
    value = load_loss(name, options)(f, torch.zeros(1, 3))
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(f.grad).all()


def test_a_tie_is_zero_for_hard_and_one_half_for_soft_ranknet():
    f, g = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    assert load_loss("ranknet")(f, g).item() == pytest.approx(1 + math.log1p(math.exp(-1)))
    assert load_loss("ranknet", {"targets": "soft"})(f, g).item() == pytest.approx(0.5 + math.log1p(math.exp(-1)))


def test_the_registry_knows_the_folder():
    names = function_names("losses")
    assert {"adrmse", "kl", "lambdaloss", "lce", "listmle", "marginmse", "ranknet"} <= set(names)
    assert [name for name in names if not load_loss(name).needs_teacher] == ["lce"]


def raises(student, teacher):
    raise KeyError("temperature")


BROKEN = {
    "no mean": (lambda f, g: (f - g).square().sum(), r"is no mean: [\d.]+ for two groups, [\d.]+ averaged"),
    "number": (lambda f, g: 1.0, "returned a float;"),
    "nothing": (lambda f, g: None, "returned a NoneType;"),
    "array": (lambda f, g: (f - g).detach().numpy().mean(), "returned a float32;"),
    "a value a group": (lambda f, g: (f - g).square().mean(1), r"returned a tensor of shape \(2,\)"),
    "detached": (lambda f, g: (f - g).square().mean().detach(), "returned a tensor without a gradient"),
    "of the teacher": (lambda f, g: g.mean(), "returned a tensor without a gradient"),
    "nan": (lambda f, g: (f - 10).log().mean(), "returned nan for made-up scores"),
    "infinite": (lambda f, g: (f * 0 + 1).mean() / 0, "returned inf for made-up scores"),
    "gradient of nan": (lambda f, g: (f - f.detach()).abs().sqrt().mean() + f.mean(), "has a gradient of NaN in"),
    "raises": (raises, r"raised KeyError in test_losses\.py, line \d+: 'temperature';"),
    "other arguments": (lambda f: f.mean(), r"raised TypeError in .*line \d+: .*argument"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_loss_that_breaks_its_contract_is_named_where_it_is_loaded(case, monkeypatch):
    function, message = BROKEN[case]
    monkeypatch.setattr(marginmse, "loss", function)
    monkeypatch.setattr(losses, "load_file", lambda *_: marginmse)
    with pytest.raises(InputError, match=message) as caught:
        load_loss("marginmse")
    line = str(caught.value)
    assert line.startswith("loss marginmse (train/losses/marginmse.py, function loss) ") and "\n" not in line
    assert line.endswith("that the scores' gradient can be taken of")


def test_loading_draws_nothing_from_torch_s_generator(monkeypatch):
    monkeypatch.setattr(marginmse, "loss", lambda f, g: (f - g).square().mean() + 0 * torch.rand(()))
    torch.manual_seed(0)
    load_loss("marginmse")
    after = torch.rand(())
    torch.manual_seed(0)
    assert after == torch.rand(())


def test_an_unknown_name_is_one_line():
    with pytest.raises(InputError, match="no 'hinge' among the losses: there are adrmse, kl, lambdaloss, lce"):
        load_loss("hinge")
