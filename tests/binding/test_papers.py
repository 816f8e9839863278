"""Notations of papers that are read as papers mean them."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError

BLOCK = """
    p(z)   = N(z; 0, 1)
    q(z|x) = N(z; mu(x), sigma(x)^2)
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_q(z|x)[log p(x|z)] - KL[q || p]
"""


class Positive(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return softplus(super().forward(x))


def loss(text: str) -> Tensor:
    torch.manual_seed(0)
    model = sd.Model(text, mu=nn.Linear(6, 3), sigma=Positive(6, 3), dec=nn.Linear(3, 6), z=3)
    x = (torch.rand(5, 6) > 0.5).float()
    return model.loss(x=x)


@pytest.mark.parametrize(
    "variance",
    [
        r"\sigma^2(x)",
        r"\sigma_\phi^2(x)",
        r"\sigma^2_\phi(x) I",
        r"\sigma(x)^2 \mathbf{I}",
        r"\mathrm{diag}(\sigma^2(x))",
        r"diag(\sigma_\phi(x)^2)",
    ],
)
def test_variances_as_papers_write_them(variance: str) -> None:
    assert torch.equal(loss(BLOCK.replace("sigma(x)^2", variance)), loss(BLOCK))


def test_the_identity_as_a_variance() -> None:
    assert torch.equal(loss(BLOCK.replace("N(z; 0, 1)", "N(z; 0, I)")), loss(BLOCK))
    assert torch.equal(loss(BLOCK.replace("N(z; 0, 1)", "Normal(z; 0, scale=I)")), loss(BLOCK))
    assert torch.equal(loss(BLOCK.replace("N(z; 0, 1)", "N(z; 0, 1 I)")), loss(BLOCK))


def test_an_identity_that_is_bound_is_what_it_is_bound_to() -> None:
    text = "p(x|z) = Normal(x; z, I)\nmaximize log p(x|z)"
    x, z = torch.zeros(2, 3), torch.ones(2, 3)
    value = sd.Model(text, I=2.0).objective(x=x, z=z)
    assert torch.allclose(value, torch.distributions.Normal(1.0, 2.0).log_prob(torch.tensor(0.0)) * 3)


def test_a_power_of_a_network_in_a_formula() -> None:
    f, x = nn.Linear(3, 3), torch.randn(4, 3)
    value = sd.Objective("sum(f^2(x)) + sum(2 f^2(x))", sd.Data("data(x)"), f=f)(x)
    assert torch.allclose(value, 3 * f(x).square().sum(-1).mean())


def test_a_power_of_a_number_stays_a_product() -> None:
    x = torch.randn(4, 3)
    for beta in (3.0, lambda step: 3.0):
        value = sd.Objective("sum(beta^2 (x))", sd.Data("data(x)"), beta=beta)(x)
        assert torch.allclose(value, 9 * x.sum(-1).mean())


def test_other_places_of_matrices_are_refused() -> None:
    with pytest.raises(NotSupportedError, match="the function diag"):
        loss(BLOCK.replace("dec(z))", "diag(dec(z)))"))
    with pytest.raises(NameResolutionError, match="`I`"):
        loss(BLOCK.replace("- KL", "- I KL"))
