"""Extreme parameters in float32, and gradients at the edge of the support."""

from __future__ import annotations

import pytest
import torch
from scipy.special import log_expit, log_softmax

import symdgm.distributions as sd
from symdgm.distributions.stable import times_log, times_log1p, weighted_logs

INF = float("inf")


@pytest.mark.parametrize("logit", [-80.0, -20.0, 0.0, 20.0, 80.0])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_bernoulli_logits(logit: float, x: float) -> None:
    logits = torch.tensor([logit], requires_grad=True)
    p = sd.Bernoulli("p(x|z)", lambda z: z)
    found = p.log_prob({"x": torch.tensor([x]), "z": logits})
    found.backward()
    expected = float(log_expit(logit if x else -logit))
    assert found.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.item() == pytest.approx(x - 1 / (1 + pow(2.718281828459045, -logit)), abs=1e-6)
    entropy = p.entropy({"z": logits.detach()})
    assert 0 <= entropy.item() <= 0.6932


@pytest.mark.parametrize("name", ["Categorical", "OneHotCategorical"])
def test_categorical_logits(name: str) -> None:
    logits = torch.tensor([[80.0, -80.0, 0.0]])
    expected = torch.as_tensor(log_softmax(logits.double().numpy(), -1)).float().squeeze(0)
    family = getattr(sd, name)
    value = torch.arange(3) if name == "Categorical" else torch.eye(3)
    found = family("p(y|x)", lambda x: x).log_prob({"y": value, "x": logits.expand(3, 3)})
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_normal_scales(scale: float) -> None:
    loc = torch.tensor([[0.5]], requires_grad=True)
    q = sd.Normal("q(z|x)", loc=lambda x: x, scale=scale)
    value = (loc + 2 * scale).detach()
    reached = ((value - loc.detach()).double() / scale).item()
    found = q.log_prob({"z": value, "x": loc})
    found.backward()
    expected = torch.distributions.Normal(0.0, torch.tensor(1.0).double()).log_prob(torch.tensor(reached))
    assert found.item() == pytest.approx(
        float(expected) - torch.tensor(scale).double().log().item(), rel=1e-5
    )
    assert loc.grad is not None
    assert loc.grad.item() == pytest.approx(reached / scale, rel=1e-5)


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_saturated_probabilities_have_finite_gradients(prob: float) -> None:
    probs = torch.tensor([[prob]], requires_grad=True)
    p = sd.Bernoulli("p(x|z)", lambda z: {"probs": z})
    density = p.log_prob({"x": torch.tensor([[prob]]), "z": probs})
    density.backward()
    assert density.item() == 0
    assert probs.grad is not None
    assert probs.grad.item() == (1.0 if prob else -1.0)
    assert p.log_prob({"x": torch.tensor([[1 - prob]]), "z": probs}).item() == -INF
    entropy = p.entropy({"z": probs})
    (grad,) = torch.autograd.grad(entropy.sum(), probs)
    assert entropy.item() == 0
    assert grad.isfinite().all()


@pytest.mark.parametrize("form", ["logits", "probs"])
@pytest.mark.parametrize("name", ["Categorical", "OneHotCategorical"])
def test_excluded_classes(name: str, form: str) -> None:
    raw = torch.tensor([0.5, 0.5, 0.0])
    parameter = (raw.log() if form == "logits" else raw).requires_grad_()
    p = getattr(sd, name)("p(y|x)", lambda x: {form: parameter + 0 * x.sum(-1, keepdim=True)})
    x = {"x": torch.zeros(3, 1)}
    value = torch.arange(3) if name == "Categorical" else torch.eye(3)
    assert p.log_prob({"y": value, **x})[2].item() == -INF
    density = p.log_prob({"y": value[:2], "x": torch.zeros(2, 1)})
    torch.testing.assert_close(density.exp(), torch.tensor([0.5, 0.5]))
    (grad,) = torch.autograd.grad(density.sum(), parameter)
    assert grad.isfinite().all()
    entropy = p.entropy({"x": torch.zeros(1, 1)})
    torch.testing.assert_close(entropy, torch.tensor([2.0]).log())
    (grad,) = torch.autograd.grad(entropy.sum(), parameter)
    assert grad.isfinite().all()
    drawn = p.sample({"x": torch.zeros(20_000, 1)}, generator=torch.Generator().manual_seed(0))["y"]
    excluded = drawn == 2 if name == "Categorical" else drawn[:, 2] > 0
    assert not excluded.any()


def test_products_with_logs_are_exact_away_from_the_edge() -> None:
    x = torch.tensor([0.0, 0.3, 1.0, 1.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.2, 0.5, 0.9, 1e-30], dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(times_log(x, y), torch.xlogy(x, y))
    torch.testing.assert_close(times_log1p(x, -y), torch.special.xlog1py(x, -y))
    torch.testing.assert_close(weighted_logs(x, y.log()), torch.xlogy(x, y))
    (grad,) = torch.autograd.grad(times_log(x, y).sum(), x)
    torch.testing.assert_close(grad, y.log())


def test_a_small_probability_keeps_its_digits() -> None:
    p = sd.Bernoulli("p(x)", probs=1e-12, event_shape=()).double()
    assert p.log_prob({"x": torch.zeros(1, dtype=torch.float64)}).item() == pytest.approx(-1e-12, rel=1e-12)
