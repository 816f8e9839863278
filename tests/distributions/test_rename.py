"""Other names over the same weights."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import GrammarError, NameResolutionError, NotSupportedError, OptionError

torch.manual_seed(0)
X = torch.randn(4, 3)


class Encoder(sd.Normal):
    """The arguments of `forward` stand in another order than in the declaration."""

    def __init__(self) -> None:
        super().__init__("q(z|x,y)")
        self.net = nn.Linear(5, 2)

    def forward(self, y: Tensor, x: Tensor) -> dict[str, Tensor]:
        return {"loc": self.net(torch.cat([x, y], -1)), "scale": 2.0}


def network() -> sd.Normal:
    return sd.Normal("q(z|x)", loc=nn.Linear(3, 2), scale=2.0)


def test_weights_are_shared_and_names_are_not() -> None:
    q = network()
    r = q.rename(x="a", z="b")
    assert (str(q), str(r), repr(r)) == ("q(z|x)", "q(b|a)", "Normal q(b|a) with loc=Linear(a), scale=2")
    assert isinstance(r, sd.Normal)
    assert next(r.parameters()) is next(q.parameters())
    assert torch.equal(r.mean({"a": X})["b"], q.mean({"x": X})["z"])
    with torch.no_grad():
        next(q.parameters()).zero_()
    assert torch.equal(r.mean({"a": X})["b"], q.mean({"x": X})["z"])
    q.double()
    assert r.sample({"a": X.double()})["b"].dtype == torch.float64


def test_mean_is_the_mean_and_not_the_variance() -> None:
    """Pixyz returned the variance as the mean of a renamed distribution."""
    p = sd.Normal("p(x)", loc=5.0, scale=2.0, event_shape=()).rename(x="y")
    assert float(p.mean()["y"]) == 5.0
    assert float(p.variance()["y"]) == 4.0


def test_two_names_are_swapped() -> None:
    """Pixyz could not: NetworkXUnfeasible."""
    q = network()
    r = q.rename({"x": "z", "z": "x"})
    assert str(r) == "q(x|z)"
    z = torch.randn(4, 2)
    assert torch.equal(r.log_prob({"x": z, "z": X}), q.log_prob({"z": z, "x": X}))
    p = sd.Normal("p(a)", loc=1.0, scale=1.0, event_shape=()) * sd.Normal("p(b|a)", lambda a: (10 * a, 1.0))
    swapped = p.rename(a="b", b="a")
    assert swapped.text == "p(b, a) = p(b) p(a|b)"
    values = {"a": torch.tensor([3.0]), "b": torch.tensor([0.5])}
    other = {"b": values["a"], "a": values["b"]}
    assert torch.equal(swapped.log_prob(other), p.log_prob(values))


def test_a_forward_of_its_own_gets_its_arguments_by_its_own_names() -> None:
    q = Encoder()
    r = q.rename(x="y", y="x", z="w")
    y = torch.randn(4, 2)
    assert str(r) == "q(w|y,x)"
    assert torch.equal(r.mean({"y": X, "x": y})["w"], q.mean({"x": X, "y": y})["z"])
    source = r.sources[0]
    assert (source.arguments, source.by_keyword, source.text) == (("x", "y"), False, "Encoder(x, y)")
    assert torch.equal(
        r.rename(x="y", y="x", w="z").mean({"x": X, "y": y})["z"], q.mean({"x": X, "y": y})["z"]
    )


def test_one_network_twice_in_a_product() -> None:
    step = sd.Normal("p(z_1|z_0)", loc=nn.Linear(2, 2), scale=1.0)
    p = step * step.rename({"z_1": "z_2", "z_0": "z_1"})
    assert p.text == "p(z_1, z_2|z_0) = p(z_1|z_0) p(z_2|z_1)"
    assert len(list(p.parameters())) == 2
    drawn = p.sample({"z_0": torch.zeros(3, 2)})
    drawn["z_2"].sum().backward()
    assert next(step.parameters()).grad is not None
    for same in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert len(list(same.parameters())) == 2
        assert torch.equal(
            same.log_prob(drawn | {"z_0": torch.zeros(3, 2)}), p.log_prob(drawn | {"z_0": torch.zeros(3, 2)})
        )


def others() -> list[tuple[sd.Distribution, dict[str, str]]]:
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1)
    line = sd.LinearNormal("p(x|z)", torch.eye(1), scale=0.5)
    mixture = sd.Mixture("p(x)", [sd.Normal("p(x)", loc=m, scale=1.0, event_shape=1) for m in (0.0, 3.0)])
    return [
        (sd.Deterministic("g(x|z)", nn.Linear(1, 1)), {"x": "z", "z": "x"}),
        (mixture, {"x": "y"}),
        ((line * prior).marginal("x"), {"x": "z"}),
        ((line * prior).posterior("z"), {"z": "x", "x": "z"}),
        (line.condition(z=torch.randn(3, 1)), {"x": "z"}),
        (line * prior, {"x": "z", "z": "x"}),
    ]


@pytest.mark.parametrize(
    ("p", "names"), others(), ids=lambda v: type(v).__name__ if isinstance(v, sd.Distribution) else ""
)
def test_everything_can_be_renamed_and_named(p: sd.Distribution, names: dict[str, str]) -> None:
    r = p.rename(names).named("r")
    assert r.name == "r"
    given = {name: torch.randn(3, 1) for name in p.given}
    mapped = {names.get(name, name): value for name, value in given.items()}
    one, other = (
        q.sample(g, shape=2, generator=torch.Generator().manual_seed(0)) for q, g in ((p, given), (r, mapped))
    )
    assert {names.get(name, name) for name in one} == set(other)
    assert all(torch.equal(value, other[names.get(name, name)]) for name, value in one.items())
    assert all(torch.equal(v, r.mean(mapped)[names.get(n, n)]) for n, v in p.mean(given).items())
    assert all(torch.equal(v, r.variance(mapped)[names.get(n, n)]) for n, v in p.variance(given).items())
    back = r.rename({new: old for old, new in names.items()}).named(p.name)
    assert str(back) == str(p)
    if not isinstance(p, sd.Deterministic):
        assert torch.equal(r.log_prob(other | mapped), p.log_prob(one | given))
        assert torch.equal(r.prob(other | mapped), p.prob(one | given))


def test_the_wrapper_asks_its_base() -> None:
    g = sd.Deterministic("g(x|z)", nn.Linear(1, 1))
    r = g.rename(z="w")
    assert isinstance(r, sd.Renamed)
    assert r.sources[0].label == "Linear"
    assert repr(r) == "Deterministic g(x|w), which is Deterministic g(x|z) with network Linear"
    assert r.sample({"w": torch.zeros(2, 3, 1)}, sample_axes={"w": 1})["x"].shape == (2, 3, 1)
    with pytest.raises(NotSupportedError, match="has no entropy"):
        r.entropy({"w": torch.zeros(1, 1)})
    assert g.rename(z="w").rename(w="z").rename(z="u").base is g  # type: ignore[attr-defined]


def test_a_hidden_variable_gives_way() -> None:
    """Pixyz refused to rename onto a marginalised name."""
    p = sd.LinearNormal("p(x|z)", torch.eye(1)) * sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1)
    m = p.marginal("x").rename(x="z")
    assert m.text == "p(z) = int p(z|z') p(z') dz'"
    q = p.condition(x=torch.ones(1, 1)).rename(z="x")
    assert str(q) == "p(x)"


Q = network()
REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (NameResolutionError, lambda: Q.rename(u="v"), r"q\(z\|x\) has no variable `u` to rename\nknown: `x`, `z`"),
    (NameResolutionError, lambda: Q.rename(x="z"), r"the variable `z` appears twice"),
    (GrammarError, lambda: Q.rename(x="1x"), r"`1x` is not the name of a variable"),
    (GrammarError, lambda: Q.named("q("), r"is not the name|never closed"),
    (NameResolutionError, lambda: Q.rename(x="y").mean({"x": X}), r"Normal q\(z\|y\) takes no value of `x`"),
    (NameResolutionError, lambda: sd.Deterministic("g(x|z)", nn.Linear(1, 1)).rename(z="w").sample({"w": X[:, :1]}, sample_axes={"z": 1}), r"Deterministic g\(x\|w\) has no variable `z`"),
    (OptionError, lambda: sd.Deterministic("g(x|z)", nn.Linear(1, 1)).rename(z="w").sample({"w": X[:, :1]}, reparam=True), r"unknown option `reparam`"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
