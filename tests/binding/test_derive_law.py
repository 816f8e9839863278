"""Marginals and posteriors of finite variables, derived from the bound factors of their name."""

from __future__ import annotations

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm as sd

X = torch.tensor([[0.3, -1.0], [2.0, 0.5], [-0.7, 0.1]], dtype=torch.float64)
K = torch.tensor([2, 0, 1])


class Mixture:
    """Three normal components, and the same by torch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.means = nn.Embedding(3, 2).double()
        self.logits = nn.Parameter(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
        self.p = sd.Normal("p(x|k)", self.component)
        self.prior = sd.Categorical("p(k)", logits=self.logits)

    def component(self, k: Tensor) -> tuple[Tensor, Tensor]:
        loc = self.means(k)
        return loc, torch.ones_like(loc)

    def log_joint(self) -> Tensor:
        """``[batch, 3]``."""
        components = td.Independent(td.Normal(self.means.weight, 1.0), 1)
        return components.log_prob(X[:, None]) + self.prior.logits_value.log_softmax(-1)


def gradients(value: Tensor, of: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, of)


@pytest.mark.parametrize("text", ["log p(x)", "log p_theta(x)", "E_data(x)[log p(x)]"])
def test_a_marginal_is_the_sum(text: str) -> None:
    m = Mixture()
    value, expected = sd.Objective(text, m.p, m.prior)(x=X), m.log_joint().logsumexp(-1).mean()
    torch.testing.assert_close(value, expected)
    weights = [m.means.weight, m.prior.logits_value]
    for ours, theirs in zip(gradients(value, weights), gradients(expected, weights), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_posterior_is_by_bayes() -> None:
    m = Mixture()
    value = sd.Objective("log p(k|x)", m.p, m.prior)(x=X, k=K)
    expected = m.log_joint().log_softmax(-1).gather(-1, K[:, None]).mean()
    torch.testing.assert_close(value, expected)


def test_the_parts_of_bayes_rule_agree() -> None:
    m = Mixture()
    objective = sd.Objective("log p(x, k) - log p(k|x) - log p(x)", m.p, m.prior)
    torch.testing.assert_close(objective(x=X, k=K), torch.zeros((), dtype=torch.float64))


def test_the_derivation_shows_the_sum() -> None:
    m = Mixture()
    shown = repr(sd.Objective("log p(x)", m.p, m.prior).derivation)
    assert "rules of probability (equality)" in shown
    assert "p(x) = sum_k p(x|k) p(k)" in shown


def test_a_model_trains_the_factors_and_not_a_copy() -> None:
    m = Mixture()
    model = sd.Model("maximize log p(x)", m.p, m.prior)
    assert not [name for name in model.state() if name.startswith("factors.p(x).")]
    before = m.prior.logits_value.detach().clone()
    model.fit(X, epochs=3, progress=False)
    assert not torch.equal(before, m.prior.logits_value)


def test_what_is_not_finite_is_refused() -> None:
    p, prior = sd.Normal("p(x|z)", lambda z: (z, 1.0)), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    with pytest.raises(sd.SymdgmError, match=r"what is left out is not finite[\s\S]*take an expectation"):
        sd.Objective("log p(x)", p, prior)
