"""Expectations over finite posteriors and over mixtures: states are listed, components are drawn from."""

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import EstimatorError

K, D = 3, 2


def made() -> tuple[nn.Parameter, nn.Parameter, sd.Categorical, sd.Normal]:
    torch.manual_seed(0)
    logits, loc = (nn.Parameter(torch.randn(*s, dtype=torch.float64)) for s in ((K,), (K, D)))
    likelihood = sd.Normal("p(x|k)", lambda k: (loc[k], torch.ones_like(loc[k])))
    return logits, loc, sd.Categorical("p(k)", logits=logits), likelihood


def joint(logits: Tensor, loc: Tensor, x: Tensor) -> Tensor:
    return logits.log_softmax(0) + torch.distributions.Normal(loc, 1.0).log_prob(x[:, None]).sum(-1)


@pytest.mark.parametrize(
    ("text", "by_hand"),
    [
        ("E_p(k|x)[log p(x|k)]", lambda log, prior: (log.softmax(-1) * (log - prior)).sum(-1)),
        ("E_p(k|x)[log p(x, k) - log p(k|x)]", lambda log, prior: log.logsumexp(-1)),
        ("KL[p(k|x) || p(k)]", lambda log, prior: (log.softmax(-1) * (log.log_softmax(-1) - prior)).sum(-1)),
        ("H[p(k|x)]", lambda log, prior: -(log.softmax(-1) * log.log_softmax(-1)).sum(-1)),
        ("log E_p(k|x)[p(x|k)]", lambda log, prior: (log.log_softmax(-1) + log - prior).logsumexp(-1)),
    ],
)
def test_a_finite_posterior_is_enumerated(text: str, by_hand) -> None:
    """Value and gradient; with the posterior, the bound is the evidence."""
    logits, loc, prior, likelihood = made()
    x = torch.randn(5, D, dtype=torch.float64)
    objective = sd.Objective(text, prior, likelihood)
    value = objective.per_example(x=x)
    expected = by_hand(joint(logits, loc, x), logits.log_softmax(0))
    torch.testing.assert_close(value, expected)
    found = torch.autograd.grad(value.sum(), [logits, loc])
    wanted = torch.autograd.grad(expected.sum(), [logits, loc])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
    assert "enumeration (equality)" in repr(objective.derivation)
    torch.testing.assert_close(objective.per_example(x=x), expected)  # by the finished function


def test_a_mixture_is_drawn_by_component() -> None:
    """Closed forms of a second moment, within five standard errors, and its gradient."""
    logits, loc, prior, likelihood = made()
    objective = sd.Objective("E_p(x)[||x||^2]", prior, likelihood)
    torch.manual_seed(3)
    terms = objective.per_example(n=20000)
    exact = (logits.softmax(0) * (loc.square().sum(-1) + D)).sum()
    assert (terms.mean() - exact).abs() < 5 * terms.std() / 20000**0.5
    found = torch.autograd.grad(terms.mean(), [logits, loc])
    for one, other in zip(found, torch.autograd.grad(exact, [logits, loc]), strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.05)
    assert "stratified Monte Carlo (unbiased estimator)" in repr(objective.derivation)
    assert "one draw from each component of p(x)" in repr(objective.derivation)


def test_a_divergence_of_a_mixture_of_a_block() -> None:
    """KL of a mixture to a normal distribution, against quadrature on a grid."""
    m = nn.Parameter(torch.tensor([-1.0, 2.0], dtype=torch.float64))
    model = sd.Model(
        """
        p(x) = sum_{k=1}^2 w_k N(x; m_k, 1)
        q(x) = N(x; 0, 4)
        minimize KL[p(x) || q(x)]
        """,
        w=torch.tensor([0.25, 0.75], dtype=torch.float64), m=m, x=1, samples=50,
    )  # fmt: skip
    torch.manual_seed(0)
    terms = model.objective.per_example(n=2000)
    grid = torch.linspace(-15, 15, 20001, dtype=torch.float64)
    density = (
        torch.tensor([0.25, 0.75]) * torch.distributions.Normal(m, 1.0).log_prob(grid[:, None]).exp()
    ).sum(1)
    log_q = torch.distributions.Normal(0.0, 2.0).log_prob(grid)
    exact = torch.trapezoid(density * (density.log() - log_q), grid)
    assert (terms.mean() - exact).abs() < 5 * terms.std() / 2000**0.5
    torch.testing.assert_close(
        torch.autograd.grad(terms.mean(), m)[0], torch.autograd.grad(exact, m)[0], rtol=0.05, atol=0.01
    )


def test_mixtures_as_objects_and_as_priors() -> None:
    """A gate that is trained gets its gradient; a mixture without anything trained is drawn from as it is."""
    weights = nn.Parameter(torch.zeros(2))
    parts = [sd.Normal("p(x)", loc=torch.full((D,), v), scale=1.0) for v in (-1.0, 1.0)]
    objective = sd.Objective("E_p(x)[sum(x)]", sd.Mixture("p(x)", parts, weights))
    objective(n=64).backward()
    assert weights.grad is not None and weights.grad[1] > 0.5
    fixed = sd.Objective("E_p(x)[sum(x)]", sd.Mixture("p(x)", parts))
    assert "2. Monte Carlo (unbiased estimator)" in repr(fixed.derivation)


def test_too_many_states() -> None:
    prior = sd.Bernoulli("p(b)", probs=nn.Parameter(torch.full((13,), 0.5)))
    p = sd.Normal("p(x|b)", lambda b: (b.sum(-1, keepdim=True), torch.ones(*b.shape[:-1], 1)))
    with pytest.raises(EstimatorError, match="`b` has 8192 states, more than the 4096"):
        sd.Objective("E_p(b|x)[sum(b)]", prior, p)(x=torch.zeros(2, 1))
