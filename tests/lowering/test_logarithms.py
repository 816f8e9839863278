"""Logs of averages of densities stay on the logarithmic scale, in value and in gradient."""

import math

import pytest
import torch
import torch.distributions as td
from lowering_cases import gradients, z_score
from torch import Tensor, nn

import symdgm as sd
from symdgm.rewriting.rule import Kind

TEXT = "log E_q(z|x)[p(x,z)/q(z|x)]"
DOUBLE = torch.float64


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=DOUBLE)


def gaussian(noise: float, loc, scale: float) -> list[sd.Normal]:
    """p(z) = N(0, 1), p(x|z) = N(z, noise^2), and q(z|x) = N(loc(x), scale^2)."""
    return [
        sd.Normal("q(z|x)", loc=loc, scale=scale),
        sd.Normal("p(x|z)", loc=lambda z: z, scale=noise),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1),
    ]


def marginal(x: float, noise: float) -> float:
    """log p(x) by quadrature."""
    z = torch.linspace(-12, 12, 20001, dtype=DOUBLE)
    log = td.Normal(0.0, 1.0).log_prob(z) + td.Normal(z, number(noise)).log_prob(number(x))
    return float(torch.trapezoid(log.exp(), z).log())


def test_the_exact_posterior_gives_the_exact_marginal() -> None:
    noise, x = 0.5, 1.3
    precision = 1 + noise**-2
    laws = gaussian(noise, lambda x: x * (noise**-2 / precision), precision**-0.5)
    for samples in (1, 5):
        value = sd.Objective(TEXT, *laws, samples=samples)(x=torch.full((3, 1), x, dtype=DOUBLE))
        assert value.item() == pytest.approx(marginal(x, noise), rel=1e-6)


def test_another_proposal_gives_a_bound_whose_weights_are_unbiased() -> None:
    """z bound of 4 on the mean of 4000 estimates of p(x), each of 10 draws."""
    torch.manual_seed(0)
    noise, x = 0.5, 1.3
    objective = sd.Objective(TEXT, *gaussian(noise, lambda x: 0.5 * x, 0.8), samples=10)
    logs = objective.per_example(x=torch.full((4000, 1), x, dtype=DOUBLE))
    exact = marginal(x, noise)
    assert z_score(logs.exp(), math.exp(exact)) < 4
    assert z_score(logs, exact) > 4 and logs.mean() < exact


def test_gradients_far_below_the_smallest_number() -> None:
    """Log-densities of -1e4 and less, against PyTorch by hand with the same noise."""
    encoder = nn.Linear(1, 1).double()
    laws = gaussian(0.01, encoder, 1.0)
    objective, x = sd.Objective(TEXT, *laws, samples=5), torch.full((3, 1), 4.0, dtype=DOUBLE)
    torch.manual_seed(1)
    value = objective(x=x)
    torch.manual_seed(1)
    loc = encoder(x)
    z = loc + torch.randn(5, 3, 1, dtype=DOUBLE)
    parts = [
        td.Normal(z, 0.01).log_prob(x),
        td.Normal(0.0, 1.0).log_prob(z),
        -td.Normal(loc, 1.0).log_prob(z),
    ]
    logs = sum(parts).sum(-1)
    assert logs.max() < -1e3 and logs.min() < -1e4
    expected = (logs.logsumexp(0) - math.log(5)).mean()
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(gradients(value, encoder), gradients(expected, encoder), strict=True):
        torch.testing.assert_close(ours, theirs)
        assert ours.isfinite().all() and ours.abs().sum() > 0


def mixture(**parameters) -> list[object]:
    """p(y) over two classes and p(x|y) = N(3 y, 0.01^2)."""
    means = nn.Embedding.from_pretrained(torch.tensor([[0.0], [3.0]], dtype=DOUBLE), freeze=False)
    return [sd.Categorical("p(y)", **parameters), sd.Normal("p(x|y)", loc=means, scale=0.01), means]


@pytest.mark.parametrize("by_probs", [True, False])
def test_an_enumerated_mixture_far_in_the_tails(by_probs: bool) -> None:
    weights = torch.tensor([0.2, 0.8], dtype=DOUBLE)
    raw = nn.Parameter(weights if by_probs else weights.log())
    law, p, means = mixture(**{"probs" if by_probs else "logits": raw})
    x = torch.tensor([[1.4], [2.0], [0.0]], dtype=DOUBLE)
    value = sd.Objective("log E_p(y)[p(x|y)]", law, p)(x=x)
    log_w = raw.log() if by_probs else raw.log_softmax(0)
    logs = td.Normal(means.weight[:, 0], 0.01).log_prob(x) + log_w
    assert logs.min() < -1e4
    expected = logs.logsumexp(1).mean()
    torch.testing.assert_close(value, expected)
    ours = torch.autograd.grad(value, [raw, means.weight])
    theirs = torch.autograd.grad(expected, [raw, means.weight])
    torch.testing.assert_close(ours, theirs)


def test_a_weight_of_zero_counts_nothing_but_has_a_gradient() -> None:
    """The derivative of log sum_k w_k exp(v_k) by w_j is exp(v_j) / sum_k w_k exp(v_k)."""
    raw = nn.Parameter(torch.tensor([0.0, 1.0], dtype=DOUBLE))
    law, p, means = mixture(probs=raw)
    x = torch.tensor([[1.501]], dtype=DOUBLE)
    v = td.Normal(means.weight[:, 0], 0.01).log_prob(x)[0].detach()
    value = sd.Objective("log E_p(y)[p(x|y)]", law, p)(x=x)
    assert value.item() == pytest.approx(v[1].item())
    torch.testing.assert_close(torch.autograd.grad(value, raw)[0], (v - v[1]).exp())
    far = sd.Objective("log E_p(y)[p(x|y)]", law, p)(x=torch.zeros(1, 1, dtype=DOUBLE))
    assert far.item() == pytest.approx(-0.5 * 300**2 - math.log(0.01) - 0.5 * math.log(2 * math.pi))
    assert all(g.isfinite().all() for g in torch.autograd.grad(far, [raw, means.weight]))


@pytest.mark.parametrize(
    ("text", "count", "added", "scalars"),
    [
        ("log(E_p(y)[p(x|y)] / E_p(y)[exp(-c) p(x|y)])", 0.0, 2.0, {"c": 2.0}),
        ("log(2 E_p(y)[p(x|y)]^2)", 2.0, math.log(2), {}),
        ("log(E_p(y)[p(x|y)]^0.5)", 0.5, 0.0, {}),
        ("log(c E_p(y)[p(x|y)] d E_p(y)[p(x|y)^2 / p(x|y)])", 2.0, math.log(6), {"c": -2.0, "d": -3.0}),
        ("log(E_p(y)[p(x|y)] / c)", 1.0, -math.log(2), {"c": 2.0}),
        ("log(c / E_p(y)[p(x|y)] / d)", -1.0, math.log(2 / 3), {"c": -2.0, "d": -3.0}),
        ("log(1 / (c d E_p(y)[p(x|y)]))", -1.0, -math.log(6), {"c": 2.0, "d": 3.0}),
    ],
)
def test_products_quotients_and_powers(
    text: str, count: float, added: float, scalars: dict[str, float]
) -> None:
    law, p, means = mixture(probs=torch.tensor([0.2, 0.8], dtype=DOUBLE))
    x = torch.tensor([[1.4], [2.0]], dtype=DOUBLE)
    logs = td.Normal(means.weight[:, 0], 0.01).log_prob(x) + torch.tensor([0.2, 0.8], dtype=DOUBLE).log()
    value = sd.Objective(text, law, p, **scalars)(x=x)
    torch.testing.assert_close(value, count * logs.logsumexp(1).mean() + added)


def test_the_log_of_a_mean_over_the_batch() -> None:
    p = sd.Normal("p(x)", loc=0.0, scale=0.01)
    x = torch.tensor([[3.0], [4.0], [3.001]], dtype=DOUBLE)
    expected = td.Normal(0.0, number(0.01)).log_prob(x).logsumexp((0, 1)) - math.log(3)
    objective = sd.Objective("log E_data(x)[p(x)]", sd.Data("data(x)"), p)
    for _ in range(2):
        torch.testing.assert_close(objective(x=x), expected)


def test_what_may_be_negative_keeps_its_plain_log() -> None:
    law = sd.Categorical("p(y)", probs=torch.tensor([0.5, 0.5], dtype=DOUBLE))
    objective = sd.Objective("log E_p(y)[f(y, x)]", law, f=lambda y, x: 4.0 * y - 1.0 + 0 * x[:, 0])
    torch.testing.assert_close(objective(x=torch.zeros(2, 1, dtype=DOUBLE)), number(0.0))


def test_the_derivation_says_that_it_is_a_bound() -> None:
    laws = gaussian(0.5, lambda x: x, 1.0)
    steps = [s for s in sd.Objective(TEXT, *laws).derivation if "Monte Carlo" in s.name]
    assert [s.kind for s in steps] == [Kind.LOWER_BOUND]
    assert "a lower bound on the log of the expectation (Jensen)" in steps[0].why
    bent = sd.Objective("exp(log E_q(z|x)[p(x,z)/q(z|x)])", *laws).derivation
    assert [s.kind for s in bent if "Monte Carlo" in s.name] == [Kind.BIASED]
