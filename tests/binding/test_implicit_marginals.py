"""Expectations over marginals that are known by their draws alone, and data beside draws of one name."""

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import NameResolutionError

G = nn.Linear(2, 3).double()
PARTS = [sd.Deterministic("p(x|z)", G), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)]
X = torch.randn(5, 3, dtype=torch.float64)


def test_a_marginal_is_drawn_from_its_ancestors_on() -> None:
    torch.manual_seed(0)
    value = sd.Objective("E_p(x)[||x||^2]", *PARTS, samples=10)(n=5)
    torch.manual_seed(0)
    expected = G(torch.randn(10, 5, 2, dtype=torch.float64)).pow(2).sum(-1).mean()
    assert torch.allclose(value, expected)
    weights = list(G.parameters())
    for a, b in zip(torch.autograd.grad(value, weights), torch.autograd.grad(expected, weights), strict=True):
        assert torch.allclose(a, b)


def test_what_is_hidden_captures_nothing() -> None:
    """The z of the body is the one outside, not the one that p(x) is made of."""
    objective = sd.Objective("E_{p(z)} E_{y ~ p(x)}[||y - f(z)||^2]", *PARTS, f=G)
    torch.manual_seed(0)
    value = objective(n=5)
    torch.manual_seed(0)
    first = torch.randn(5, 2, dtype=torch.float64)
    second = torch.randn(5, 2, dtype=torch.float64)
    assert torch.allclose(value, (G(second) - G(first)).pow(2).sum(-1).mean())


def test_data_and_draws_may_have_one_name() -> None:
    objective = sd.Objective("E_data(x)[||x||^2] - E_p(x)[||x||^2]", *PARTS)
    assert objective.data == ("x",)
    torch.manual_seed(0)
    value = objective(x=X)
    torch.manual_seed(0)
    expected = X.pow(2).sum(-1).mean() - G(torch.randn(5, 2, dtype=torch.float64)).pow(2).sum(-1).mean()
    assert torch.allclose(value, expected)
    with pytest.raises(NameResolutionError, match=r"`x` is bound by the expectation over `p\(x\|z\)`"):
        sd.Objective("E_{z ~ p(z)} E_{p(x|z)}[||x||^2] - ||f(x)||^2", *PARTS, f=G)
