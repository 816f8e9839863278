"""Distributions at data."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import DataError, NameResolutionError, OptionError, ParameterError

torch.manual_seed(0)
X, Y = torch.randn(4, 3), torch.randn(4, 2)


def network(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return x + y.sum(-1, keepdim=True), torch.ones_like(x)


Q = sd.Normal("q(z|x,y)", network)


def test_fixed_conditions_are_what_is_left_out_of_the_call() -> None:
    q = Q.condition(y=Y)
    assert (str(q), q.given, q.text) == ("q(z|x)", ("x",), "q(z|x) = q(z|x, y)")
    z = Q.sample({"x": X, "y": Y}, shape=3)["z"]
    assert torch.equal(q.log_prob({"z": z, "x": X}), Q.log_prob({"z": z, "x": X, "y": Y}))
    assert torch.equal(q.mean({"x": X})["z"], Q.mean({"x": X, "y": Y})["z"])
    assert torch.equal(q.variance({"x": X})["z"], Q.variance({"x": X, "y": Y})["z"])
    assert torch.equal(q.entropy({"x": X}), Q.entropy({"x": X, "y": Y}))
    whole = q.condition(x=X)
    assert whole.given == ()
    assert whole.sample(shape=5)["z"].shape == (5, 4, 3)
    assert whole.sample(n=4)["z"].shape == (4, 3)
    assert repr(whole) == "Normal q(z|x,y) with network network at x [4, 3], y [4, 2]"


def test_sample_axes_of_the_rest() -> None:
    q = Q.condition(y=Y)
    x = torch.randn(6, 4, 3)
    assert q.sample({"x": x}, sample_axes={"x": 1})["z"].shape == (6, 4, 3)
    found = q.log_prob({"z": x, "x": x}, sample_axes={"x": 1})
    torch.testing.assert_close(found[2], Q.log_prob({"z": x[2], "x": x[2], "y": Y}))


def test_observing_a_variable_is_bayes() -> None:
    p = sd.LinearNormal("p(x|z)", torch.eye(2), scale=0.5) * sd.Normal(
        "p(z)", loc=0.0, scale=1.0, event_shape=2
    )
    x = torch.randn(4, 2)
    q = p.condition(x=x)
    assert (str(q), q.text) == ("p(z)", "p(z) = p(z|x)")
    torch.testing.assert_close(q.mean()["z"], p.posterior("z").mean({"x": x})["z"])
    torch.testing.assert_close(q.mean()["z"], x * 0.8)
    two = sd.LinearNormal("p(y|z)", torch.eye(2), scale=0.5) * p
    both = two.condition(x=x).condition(y=x)
    torch.testing.assert_close(both.mean()["z"], two.posterior("z").mean({"x": x, "y": x})["z"])
    torch.testing.assert_close(p.condition(x=x).marginal("z").mean()["z"], q.mean()["z"])
    steps = sd.LinearNormal("p(w|z)", torch.eye(2), scale=1.0) * sd.LinearNormal(
        "p(z|x)", torch.eye(2), scale=0.5
    )
    torch.testing.assert_close(steps.condition(x=x).marginal("w").mean()["w"], x)
    assert steps.condition(x=x).marginal("w").variance()["w"].unique().tolist() == [1.25]
    part = two.marginal("y", "z").condition(y=x)
    torch.testing.assert_close(part.mean()["z"], q.mean()["z"])


def test_data_move_and_are_no_weights_and_parameters_are_trained() -> None:
    q = Q.condition(y=Y)
    assert list(q.state_dict()) == []
    assert copy.deepcopy(q).double().data["y"].dtype == torch.float64
    code = nn.Parameter(torch.zeros(4, 2))
    trained = Q.condition(y=code)
    assert list(trained.parameters()) == [code]
    trained.sample({"x": X})["z"].sum().backward()
    assert code.grad is not None


def test_a_single_row_is_repeated_on_demand_and_joins_a_product() -> None:
    q = Q.condition(x=X[:1], y=Y[:1])
    assert q.sample(n=7)["z"].shape == (7, 3)
    p = sd.Normal("p(w|z)", lambda z: (z, 1.0)) * q
    drawn = p.sample(n=7, shape=2)
    assert drawn["w"].shape == (2, 7, 3)
    assert p.graph.nodes["z"]["kind"] == "latent"


REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (NameResolutionError, lambda: Q.condition(u=X), r"q\(z\|x,y\) has no variable `u`"),
    (NameResolutionError, lambda: Q.condition(), r"no value is given to q\(z\|x,y\)"),
    (NameResolutionError, lambda: Q.condition(z=X), r"all variables of q\(z\|x,y\) are observed.*\nevaluate `log_prob\(values\)`"),
    (NameResolutionError, lambda: sd.Conditioned(Q, {"z": X}), r"q\(z\|x,y\) is not given `z`"),
    (DataError, lambda: Q.condition(x=X, y=Y[:2]), r"do not fit together: x \[4, 3\], y \[2, 2\]"),
    (DataError, lambda: Q.condition(x=torch.tensor(1.0)), r"do not fit together: x \[\]"),
    (DataError, lambda: Q.condition(x=[1.0]), r"x is a list, not a tensor"),  # type: ignore[arg-type]
    (ParameterError, lambda: Q.condition(x=X.clone().requires_grad_()), r"`x` requires a gradient but is no `nn.Parameter`\npass it in the call"),
    (OptionError, lambda: Q.condition(x=X, y=Y).sample(n=3), r"`n` is 3, but .* has a batch of 4 rows of data\nleave `n` out"),
    (OptionError, lambda: Q.condition(y=Y).sample({"x": X}, n=3), r"`n` is for what is given nothing"),
    (OptionError, lambda: Q.condition(y=Y).sample({"x": X}, batch_n=3), r"unknown option `batch_n`"),
    (NameResolutionError, lambda: Q.condition(y=Y).sample({"x": X, "y": Y}), r"Normal q\(z\|x,y\) at y takes no value of `y`"),
    (NameResolutionError, lambda: Q.condition(y=Y).sample({"x": X}, sample_axes={"y": 1}), r"has no variable `y`"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
