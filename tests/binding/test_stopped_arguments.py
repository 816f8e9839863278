"""`sg(z)` stands for the variable `z`: the same factor, the same value, and no gradient through it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.binding.factors import assign
from symdgm.errors import NameResolutionError
from symdgm.parsing import parse


class Gaussian(nn.Module):
    """Mean and standard deviation by a linear map."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 4)

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor]:
        mean, scale = self.linear(torch.cat(values, -1)).chunk(2, -1)
        return mean, scale.exp()


def factors() -> list[sd.Normal]:
    torch.manual_seed(0)
    return [
        sd.Normal("q(z_t|z_{t-1}, x_t)", Gaussian(4)),
        sd.Normal("p(z_t|z_{t-1})", Gaussian(2)),
        sd.Normal("p(x_t|z_t)", Gaussian(2)),
    ]


def value(body: str, start: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """The value, and the gradients by the weights of all factors and by the beginning."""
    bound = factors()
    objective = sd.Objective(f"E_q(z_{{1:T}}|x_{{1:T}})[sum_{{t=1}}^T {body}]", *bound, z_0=start)
    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)
    found = objective(x=x)
    weights = [p for f in bound for p in f.parameters()]
    return found, list(torch.autograd.grad(found, [*weights, start], allow_unused=True))


@pytest.mark.parametrize(
    ("plain", "stopped", "through"),
    [
        ("log p(z_t|z_{t-1})", "log p(sg(z_t)|z_{t-1})", True),
        ("log p(z_t|z_{t-1})", "log p(sg(z_t)|sg(z_{t-1}))", False),
        ("log p(x_t|z_t)", "log p(sg(x_t)|sg(z_t))", False),
        ("log q(z_t|z_{t-1}, x_t)", "log q(sg(z_t)|x_t, z_{t-1})", True),
    ],
)
def test_values_and_gradients(plain: str, stopped: str, through: bool) -> None:
    start = nn.Parameter(torch.ones(2))
    (whole, _), (part, gradients) = value(plain, start), value(stopped, start)
    torch.testing.assert_close(part, whole)
    assert any(g is not None and g.abs().sum() > 0 for g in gradients[:2]) == through  # those of q


def test_an_argument_that_is_no_variable_of_the_factor() -> None:
    with pytest.raises(NameResolutionError, match=r"`p\(sg\[w\]\)` is no factor that is bound"):
        sd.Objective("log p(sg(w))", sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2))


def test_earlier_steps_that_are_stopped_keep_their_order() -> None:
    formal, actual = (parse("f(b_t, b_{t+1})").args[1:], parse("f(sg(b_{t-1}), b_t)").args[1:])
    assert assign(formal, actual) == actual
    assert assign(formal, actual[::-1]) == actual
