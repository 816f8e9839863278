"""Densities given as callables, and point masses."""

# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import (
    DataError,
    NameResolutionError,
    NotSupportedError,
    OptionError,
    ParameterError,
    ShapeError,
)


class Energy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return -self.net(x).squeeze(1) - z.square().sum(1)


def banana(z: Tensor) -> Tensor:
    return -0.5 * (z[:, 1] - z[:, 0] ** 2) ** 2 - 0.5 * z[:, 0] ** 2 - math.log(2 * math.pi)


def test_a_density_of_several_variables_and_conditions_over_sample_axes() -> None:
    energy = Energy()
    p = sd.Custom("p(x|z)", energy)
    x, z = torch.randn(3, 5, 2), torch.randn(5, 4)
    found = p.log_prob({"x": x, "z": z}, sample_axes={"x": 1})
    assert found.shape == (3, 5)
    torch.testing.assert_close(found, torch.stack([energy(row, z) for row in x]))
    found.sum().backward()
    assert energy.net.weight.grad is not None
    assert energy.net.weight.grad.abs().sum() > 0
    assert [id(w) for w in p.parameters()] == [id(w) for w in energy.parameters()]
    joint = sd.Custom("p(x,z)", energy)
    torch.testing.assert_close(joint.log_prob({"z": z, "x": x[0]}), energy(x[0], z))


def test_whether_it_is_normalised_is_said() -> None:
    p = sd.Custom("p(z)", banana, normalised=True)
    assert p.normalised
    assert repr(p) == "Custom p(z) with the normalised log-density banana"
    assert repr(sd.Custom("p(z)", banana)) == "Custom p(z) with the unnormalised log-density banana"
    assert not sd.Custom("p(z)", banana).normalised
    grid = torch.cartesian_prod(torch.linspace(-6, 6, 301), torch.linspace(-8, 40, 1201)).double()
    mass = p.prob({"z": grid}).sum() * (12 / 300) * (48 / 1200)
    assert float(mass) == pytest.approx(1, abs=1e-6)


def test_copies_and_states() -> None:
    p, q = sd.Custom("p(x|z)", Energy()), sd.Custom("p(x|z)", Energy())
    values = {"x": torch.randn(5, 2), "z": torch.randn(5, 4)}
    q.load_state_dict(p.state_dict())
    assert torch.equal(q.log_prob(values), p.log_prob(values))
    assert torch.equal(copy.deepcopy(p).log_prob(values), p.log_prob(values))
    assert p.double().log_prob({k: v.double() for k, v in values.items()}).dtype == torch.float64
    assert p.sources == ()
    assert str(p) == "p(x|z)"


X = {"x": torch.zeros(4, 2)}
REFUSED: list[tuple[str, type[Exception], Callable[[], object], str]] = [
    ("event-shaped", ShapeError, lambda: sd.Custom("p(x)", lambda x: x).log_prob(X), r"network returned tensor \[4, 2\] as the log-density of Custom p\(x\) for a batch \[4\]\n.*sum over the event"),
    ("no batch", ShapeError, lambda: sd.Custom("p(x)", lambda x: x.sum()).log_prob(X), r"returned tensor \[\] as the log-density .*\nreturn one number for each example"),
    ("no tensor", ShapeError, lambda: sd.Custom("p(x)", lambda x: 0.0).log_prob(X), r"returned float as the log-density"),
    ("no callable", ParameterError, lambda: sd.Custom("p(x)", 3.0), r"the network of p\(x\)|the network of Custom p\(x\) is a float, not a network"),
    ("arguments", ParameterError, lambda: sd.Custom("p(x,y)", lambda x: x), r"takes \(x\), but Custom p\(x,y\) is given \(x, y\)"),
    ("missing", NameResolutionError, lambda: sd.Custom("p(x)", banana).log_prob({}), r"Custom p\(x\) needs a value of `x`"),
    ("no mapping", DataError, lambda: sd.Custom("p(x)", banana).log_prob(X["x"]), r"got a Tensor in place of named values"),
    ("option", OptionError, lambda: sd.Custom("p(x)", banana).log_prob(X, sum=True), r"unknown option `sum`"),
    ("sample", NotSupportedError, lambda: sd.Custom("p(x)", banana).sample(), r"Custom p\(x\) has no draws: only its log-density is known\ndraw from a proposal"),
    ("entropy", NotSupportedError, lambda: sd.Custom("p(x)", banana).entropy(), r"has no entropy: only"),
    ("mean", NotSupportedError, lambda: sd.Custom("p(x)", banana).mean(), r"has no mean: only"),
    ("variance", NotSupportedError, lambda: sd.Custom("p(x)", banana).variance(), r"has no variance: only"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "ask", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()


def test_a_point_mass() -> None:
    q = sd.Delta("q(z|x)", nn.Linear(2, 3))
    x = {"x": torch.randn(5, 2)}
    drawn = q.sample(x, shape=4)["z"]
    assert torch.equal(drawn, q.network(x["x"]).expand(4, 5, 3))
    assert torch.equal(q.log_prob({"z": drawn, **x}), torch.zeros(4, 5))
    assert (q.log_prob({"z": drawn + 1, **x}) == -math.inf).all()
    (grad,) = torch.autograd.grad(drawn.sum(), q.network.bias)
    assert torch.equal(grad, torch.full((3,), 20.0))
    assert torch.equal(q.mean(x)["z"], q.network(x["x"]))
    assert torch.equal(q.variance(x)["z"], torch.zeros(5, 3))
    assert torch.equal(q.entropy(x), torch.zeros(5))
    other = sd.Delta("q(z|x)", nn.Linear(2, 3))
    other.load_state_dict(q.state_dict())
    assert torch.equal(copy.deepcopy(other).log_prob({"z": drawn, **x}), torch.zeros(4, 5))
    assert (
        repr(sd.Delta("q(z)", loc=torch.zeros(2)).double())
        == "Delta q(z) with loc=tensor [2], event_shape=[2]"
    )
