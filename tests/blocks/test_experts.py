"""Products of experts as statements, against the product of densities by hand."""

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import NameResolutionError, ParameterError

FACTORS = """
q(z|x) = Normal(z; e(x))
q(z|y) = Normal(z; g(y))
p(z) = Normal(z; 0, 1)
"""


def networks() -> dict[str, object]:
    torch.manual_seed(1)
    lines = {name: nn.Linear(2, 4).double() for name in "eg"}
    return {
        name: (lambda v, line=line: (line(v)[:, :2], line(v)[:, 2:].exp())) for name, line in lines.items()
    }


def normal(network, v, weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    loc, scale = network(v)
    return weight / scale**2, weight * loc / scale**2


@pytest.mark.parametrize(
    ("right", "weights", "prior"),
    [
        ("q(z|x) q(z|y) p(z)", (1.0, 1.0), 1.0),
        ("p(z) q(z|y) q(z|x)", (1.0, 1.0), 1.0),
        ("q(z|x) q(z|y)", (1.0, 1.0), 0.0),
        ("q(z|x)^0.5 q(z|y)^2 p(z)", (0.5, 2.0), 1.0),
        ("(q(z|x) q(z|y))^{1/2} p(z)^3", (0.5, 0.5), 3.0),
        ("q(z|x) q(z|y)/p(z)^0.25", (1.0, 1.0), -0.25),
        (r"\frac{q(z|x)^2 q(z|y)}{q(z|x)}", (1.0, 1.0), 0.0),
    ],
)
def test_normal_factors_are_a_normal_product(right: str, weights: tuple[float, float], prior: float) -> None:
    """Any order of the statements; values against precisions that add, and the mean and draws are there."""
    found = networks()
    text = f"q(z|x,y) propto {right}\n{FACTORS}\nmaximize log q(z|x,y) - KL[q(z|x,y) || p(z)]"
    model = sd.Model(text, z=2, **found)
    x, y, z = (torch.randn(5, 2, dtype=torch.float64) for _ in range(3))
    parts = [normal(found[n], v, w) for n, v, w in zip("eg", (x, y), weights, strict=True)]
    precision = parts[0][0] + parts[1][0] + prior
    loc, scale = (parts[0][1] + parts[1][1]) / precision, precision.rsqrt()
    law = torch.distributions.Normal(loc, scale)
    kl = torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(
        model.objective.per_example(x=x, y=y, z=z), (law.log_prob(z) - kl).sum(1), rtol=1e-6, atol=1e-6
    )
    assert "ProductOfExperts" in repr(model)


def test_gradients_reach_all_experts() -> None:
    lines = [nn.Linear(2, 4) for _ in range(2)]
    e, g = (lambda v, line=line: (line(v)[:, :2], line(v)[:, 2:].exp()) for line in lines)
    model = sd.Model(
        f"{FACTORS} q(z|x,y) propto q(z|x) q(z|y) p(z)\nmaximize E_q(z|x,y)[-||z||^2]", e=e, g=g, z=2
    )
    model.loss(x=torch.randn(3, 2), y=torch.randn(3, 2)).backward()
    assert all(line.weight.grad is not None and line.weight.grad.abs().sum() > 0 for line in lines)


def test_other_factors_are_an_unnormalised_density() -> None:
    model = sd.Model(
        """
        q(z|x) = Laplace(z; x, 1)
        q(z|y) = Normal(z; y, 1)
        q(z|x,y) propto q(z|x)^w q(z|y)
        maximize log q(z|x,y)
        """,
        w=0.5,
    )
    x, y, z = (torch.randn(4, 2) for _ in range(3))
    expected = 0.5 * torch.distributions.Laplace(x, 1.0).log_prob(z)
    expected = (expected + torch.distributions.Normal(y, 1.0).log_prob(z)).sum(1)
    torch.testing.assert_close(model.objective.per_example(x=x, y=y, z=z), expected)
    assert "known up to a constant" in repr(model)


def test_conditions_must_be_those_of_the_experts() -> None:
    with pytest.raises(NameResolutionError, match="its experts and mask are given"):
        sd.Model(f"{FACTORS} q(z|x,y,w) propto q(z|x) q(z|y)\nmaximize log q(z|x,y,w)", z=2, **networks())


def test_powers_that_are_scalars_by_name() -> None:
    """Value and gradient by a trained power; a scheduled one is read at each call."""
    found = networks()
    w = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    text = f"q(z|x,y) propto q(z|x)^w q(z|y)^{{1 - w}} p(z)\n{FACTORS}\nmaximize log q(z|x,y)"
    model = sd.Model(text, z=2, w=w, **found)
    x, y, z = (torch.randn(5, 2, dtype=torch.float64) for _ in range(3))

    def expected(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        parts = [normal(found["e"], x, one), normal(found["g"], y, other)]
        precision = parts[0][0] + parts[1][0] + 1.0
        loc = (parts[0][1] + parts[1][1]) / precision
        return torch.distributions.Normal(loc, precision.rsqrt()).log_prob(z).sum(1)

    value = model.objective.per_example(x=x, y=y, z=z)
    twin = w.detach().clone().requires_grad_()
    torch.testing.assert_close(value, expected(twin, 1 - twin))
    (gradient,) = torch.autograd.grad(value.sum(), w)
    (reference,) = torch.autograd.grad(expected(twin, 1 - twin).sum(), twin)
    torch.testing.assert_close(gradient, reference)
    assert any(parameter is w for parameter in model.parameters())
    text = f"q(z|x,y) propto q(z|x)^{{2 - b}} q(z|y)^3 p(z)\n{FACTORS}\nmaximize log q(z|x,y)"
    model = sd.Model(text, z=2, b=lambda step: 0.1 / (1 + step), **found)
    for step in (0, 4):
        model.schedule(step)
        wanted = expected(torch.tensor(2 - 0.1 / (1 + step)), torch.tensor(3.0))
        torch.testing.assert_close(model.objective.per_example(x=x, y=y, z=z), wanted, rtol=1e-6, atol=1e-6)


def test_some_power_must_be_positive() -> None:
    with pytest.raises(
        ParameterError, match=r"no expert of Normal q\(z\|x,y\) has a positive weight\n.*\n  \^"
    ):
        sd.Model(
            f"q(z|x,y) propto q(z|x)^0 q(z|y)^{{-1}}\n{FACTORS}\nmaximize log q(z|x,y)", z=2, **networks()
        )
