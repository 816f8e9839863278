"""Draws from each component with their probabilities, against enumeration by hand."""

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import NotSupportedError, OptionError, ShapeError

LOGITS = nn.Parameter(torch.tensor([0.5, -0.3, 0.1], dtype=torch.float64))
LOC = nn.Parameter(torch.tensor([[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]], dtype=torch.float64))


def component(k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return LOC[k], torch.ones_like(LOC[k])


JOINT = sd.Normal("p(x|k)", component) * sd.Categorical("p(k)", logits=LOGITS)


@pytest.mark.parametrize(("n", "count"), [(1, 1), (4, 1), (4, 3)])
def test_of_a_marginal_and_of_the_same_mixture(n: int, count: int) -> None:
    """Each component comes ``count`` times with its part of the probability, one draw for each example."""
    parts = [sd.Normal("p(x)", loc=LOC[i].detach(), scale=1.0) for i in range(3)]
    for p in (JOINT.marginal("x"), sd.Mixture("p(x)", parts, LOGITS)):
        values, weights = p.strata(n=n, count=count, generator=torch.Generator().manual_seed(0))
        assert values["x"].shape == (3 * count, n, 2)
        expected = LOGITS.softmax(0).repeat_interleave(count)[:, None].expand(-1, n) / count
        torch.testing.assert_close(weights, expected)
        near = (values["x"] - LOC.repeat_interleave(count, 0)[:, None]).abs()
        assert (near < 5).all()
        assert count * n == 1 or near.std() > 0.3


def test_the_average_is_the_expectation() -> None:
    """A mean within five standard errors, and the gradient of the weights and of the components."""
    values, weights = JOINT.marginal("x").strata(n=40000, generator=torch.Generator().manual_seed(1))
    terms = (weights * values["x"].square().sum(-1)).sum(0)
    exact = (LOGITS.softmax(0) * (LOC.square().sum(-1) + 2)).sum()
    assert (terms.mean() - exact).abs() < 5 * terms.std() / 200
    found = torch.autograd.grad(terms.mean(), [LOGITS, LOC])
    for one, other in zip(found, torch.autograd.grad(exact, [LOGITS, LOC]), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


def test_of_a_posterior_all_states() -> None:
    x = torch.randn(5, 2, dtype=torch.float64)
    values, weights = JOINT.posterior("k").strata({"x": x})
    log = LOGITS.log_softmax(0) + torch.distributions.Normal(LOC, 1.0).log_prob(x[:, None]).sum(-1)
    assert torch.equal(values["k"], torch.arange(3)[:, None].expand(3, 5))
    torch.testing.assert_close(weights, log.softmax(-1).T)
    wide = x.expand(4, 5, 2)
    again = JOINT.posterior("k").strata({"x": wide}, sample_axes={"x": 1}).weights
    torch.testing.assert_close(again, log.softmax(-1).T[:, None].expand(3, 4, 5))
    torch.testing.assert_close(JOINT.marginal("x").responsibilities({"x": x}), log.softmax(-1))
    torch.testing.assert_close(
        JOINT.marginal("x").responsibilities({"x": wide}), log.softmax(-1).expand(4, 5, 3)
    )


def test_with_conditions_and_two_finite_causes() -> None:
    """The causes are listed together, in the order of the table; the batch is that of the condition."""
    gate = nn.Linear(1, 2).double()
    p = (
        sd.Normal("p(x|a,b,y)", lambda a, b, y: (a.to(y)[:, None] + 10 * b.to(y)[:, None] + 0 * y, 1e-6))
        * sd.Categorical("p(b|a)", lambda a: torch.stack([a.double(), -a.double(), 0.5 * a.double()], -1))
        * sd.Categorical("p(a|y)", gate)
    )
    y = torch.randn(7, 1, dtype=torch.float64)
    values, weights = p.marginal("x").strata({"y": y})
    assert values["x"].shape == (6, 7, 1)
    torch.testing.assert_close(weights.sum(0), torch.ones(7, dtype=torch.float64))
    first = gate(y).softmax(-1)
    both = values["x"].squeeze(-1).round().long()
    a, b = both % 10, both // 10
    table = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5]], dtype=torch.float64)
    table[0] = 0.0
    expected = first.T.gather(0, a) * table.softmax(-1)[a, b]
    torch.testing.assert_close(weights, expected)
    with pytest.raises(OptionError, match="`n` is for what is given nothing"):
        p.posterior("a").strata({"x": torch.zeros(7, 1), "b": torch.zeros(7), "y": y}, n=3)
    with pytest.raises(NotSupportedError, match="what is left out is not one finite variable"):
        p.marginal("x").responsibilities({"x": values["x"][0], "y": y})


def test_a_value_of_another_event_is_refused_by_exact_integrals() -> None:
    p = sd.LinearNormal("p(x|z)", torch.eye(3)) * sd.Normal("p(z)", loc=torch.zeros(3), scale=1.0)
    with pytest.raises(
        ShapeError, match=r"x has shape \[2, 17\], but Normal p\(x\|z\) is over .* event \[3\]"
    ):
        p.marginal("x").log_prob({"x": torch.zeros(2, 17)})
    with pytest.raises(ShapeError, match=r"x has shape \[2, 17\]"):
        p.posterior("z").mean({"x": torch.zeros(2, 17)})
