# ruff: noqa: E501 -- a row of the table of refusals is one line
from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError, ParameterError, ShapeError


class Generator(sd.Deterministic):
    def __init__(self) -> None:
        super().__init__("g(x|z)")
        self.net = nn.Linear(2, 3)

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


Z = {"z": torch.randn(4, 2)}


def test_the_value_is_that_of_the_network_and_gradients_pass() -> None:
    net = nn.Linear(2, 3)
    g = sd.Deterministic("g(x|z)", net)
    assert torch.equal(g.sample(Z)["x"], net(Z["z"]))
    assert torch.equal(g.mean(Z)["x"], net(Z["z"]))
    assert g.variance(Z)["x"].abs().sum() == 0
    drawn = g.sample(Z, shape=(5,))["x"]
    assert drawn.shape == (5, 4, 3)
    drawn.sum().backward()
    assert net.weight.grad is not None
    torch.testing.assert_close(net.bias.grad, torch.full((3,), 20.0))


def test_subclass_equals_network() -> None:
    own = Generator()
    other = sd.Deterministic("g(x|z)", own.net)
    assert torch.equal(own.sample(Z)["x"], other.sample(Z)["x"])
    assert own.sources[0].call is own
    assert own.sources[0].by_keyword
    assert other.sources[0].call is own.net
    assert not other.sources[0].by_keyword
    for same in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        assert torch.equal(same.sample(Z)["x"], own.sample(Z)["x"])
    assert (str(own), repr(own)) == ("g(x|z)", "Deterministic g(x|z) with network Generator")
    assert list(other.state_dict()) == ["network.weight", "network.bias"]


def test_several_variables_and_any_dtype() -> None:
    g = sd.Deterministic("g(x, y|z)", lambda z: {"y": z.argmax(-1), "x": 2 * z})
    drawn = g.sample(Z, shape=3)
    assert list(drawn) == ["x", "y"]
    assert drawn["y"].shape == (3, 4)
    assert drawn["y"].dtype == torch.long


def test_sample_axes_of_the_condition() -> None:
    net = nn.Linear(2, 3)
    z = torch.randn(6, 4, 2)
    found = sd.Deterministic("g(x|z)", net).sample({"z": z}, sample_axes={"z": 1}, shape=2)["x"]
    torch.testing.assert_close(found, net(z).expand(2, 6, 4, 3))


def test_without_conditions_a_network_of_nothing_gives_one_event() -> None:
    start = nn.Parameter(torch.zeros(3))
    h = sd.Deterministic("h(h_0)", lambda: start)
    assert h.sample(n=5)["h_0"].shape == (5, 3)
    assert h.sample()["h_0"].shape == (1, 3)


REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (NotSupportedError, lambda: Generator().log_prob({"x": Z["z"], **Z}), r"Generator g\(x\|z\) has no density\nmeasure a distance"),
    (NotSupportedError, lambda: Generator().prob({"x": Z["z"], **Z}), r"has no density"),
    (NotSupportedError, lambda: Generator().entropy(Z), r"has no entropy \(it is minus infinity\)"),
    (ParameterError, lambda: sd.Deterministic("g(x|z)"), r"Deterministic g\(x\|z\) has no network"),
    (ParameterError, lambda: type("Own", (sd.Deterministic,), {"forward": Generator.forward})("g(x|z)", nn.Linear(2, 3)), r"has a network, and Own also defines `forward`"),
    (ParameterError, lambda: sd.Deterministic("g(x|z)", nn.Linear), r"is the class Linear"),
    (ParameterError, lambda: sd.Deterministic("g(x|z, y)", nn.Linear(2, 3)), r"Linear takes \(input\), but Deterministic g\(x\|z,y\) is given \(z, y\)"),
    (ParameterError, lambda: type("Own", (sd.Deterministic,), {"forward": Generator.forward})("g(x|a, b)"), r"Own takes \(z\), but"),
    (ParameterError, lambda: sd.Deterministic("g(x|z)", lambda z: (z, z)).sample(Z), r"network\(z\) returned a tuple .* needs \(x\)"),
    (ShapeError, lambda: sd.Deterministic("g(x|z)", lambda z: z.sum(0)).sample(Z), r"network\(z\) returned x of shape \[2\] for a batch \[4\]"),
    (NameResolutionError, lambda: Generator().sample({"x": Z["z"]}), r"takes no value of `x`"),
    (OptionError, lambda: Generator().sample(Z, n=3), r"`n` is for what is given nothing"),
    (OptionError, lambda: Generator().sample(Z, reparam=True), r"unknown option `reparam`"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
