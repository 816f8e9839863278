"""Networks and constants: every way to write parameters, and every way that is refused."""

# ruff: noqa: E501 -- a row of the table of refusals is one line
from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import NotSupportedError, OptionError, ParameterError, ShapeError, SymdgmError

X = {"x": torch.randn(5, 4, generator=torch.Generator().manual_seed(0))}


@pytest.mark.parametrize(
    ("keywords", "written"),
    [
        ({"var": ["z"], "cond_var": ["x", "y"], "name": "q"}, "q(z|x,y)"),
        ({"var": ["z"], "loc": 0.0, "scale": 1.0}, "p(z)"),
        ({"loc": 0.0, "scale": 1.0}, "q(z|x)"),
    ],
)
def test_a_declaration_is_a_text(keywords: dict[str, object], written: str) -> None:
    with pytest.raises(ParameterError, match="this Normal has no declaration") as caught:
        sd.Normal(**keywords)  # type: ignore[arg-type]
    assert f'it is written "{written}"' in str(caught.value)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, raw = self.net(x).chunk(2, -1)
        return loc, raw.exp()


class Inference(sd.Normal):
    def __init__(self) -> None:
        super().__init__("q(z|x)")
        self.net = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        loc, raw = self.net(x).chunk(2, -1)
        return {"loc": loc, "scale": raw.exp()}


class FixedScale(sd.Normal):
    def __init__(self) -> None:
        super().__init__("q(z|y, x)", scale=0.5)
        self.net = nn.Linear(4, 2)

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"loc": self.net(x) + y}


class Positional(sd.Normal):
    def __init__(self) -> None:
        super().__init__("p(z_t|z_{t-1})")
        self.net = nn.Linear(2, 2)

    def forward(self, before: Tensor) -> tuple[Tensor, float]:
        return self.net(before), 1.0


class Learned(sd.Normal):
    def __init__(self) -> None:
        super().__init__("p(z)")
        self.mu = nn.Parameter(torch.zeros(2))

    def forward(self) -> dict[str, Tensor]:
        return {"loc": self.mu, "scale": self.mu.exp()}


def test_subclass_and_network_make_the_same_distribution() -> None:
    own, encoder = Inference(), Encoder()
    encoder.net.load_state_dict(own.net.state_dict())
    other = sd.Normal("q(z|x)", encoder)
    draws = [q.sample(X, generator=torch.Generator().manual_seed(1))["z"] for q in (own, other)]
    assert torch.equal(*draws)
    densities = [q.log_prob({"z": draws[0].detach(), **X}) for q in (own, other)]
    assert torch.equal(*densities)
    grads = [
        torch.autograd.grad(d.sum(), list(q.parameters()))
        for d, q in zip(densities, (own, other), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_sources_say_what_is_called_and_what_it_gives() -> None:
    own = Inference()
    (source,) = own.sources
    assert source.call is own
    assert (source.label, source.arguments, source.by_keyword, source.names) == (
        "Inference",
        ("x",),
        True,
        None,
    )
    encoder = Encoder()
    (source,) = sd.Normal("q(z|x)", encoder).sources
    assert source.call is encoder
    assert (source.text, source.by_keyword, source.names) == ("Encoder(x)", False, None)
    mu = nn.Linear(4, 2)
    (source,) = sd.Normal("q(z|x)", loc=mu, scale=0.1).sources
    assert source.call is mu
    assert source.names == ("loc",)
    (source,) = sd.Normal("q(z|x)", mu, scale=0.1).sources
    assert (source.names, source.alternatives) == (("loc",), (("loc",),))
    assert sd.Normal("p(z)", loc=0, scale=1.0).sources == ()


def test_a_subclass_forward_is_called_through_its_hooks_and_by_name() -> None:
    q = FixedScale()
    seen = []
    q.register_forward_hook(lambda module, args, kwargs, out: seen.append(sorted(kwargs)), with_kwargs=True)
    values = {"y": torch.ones(5, 2), **X}
    found = q.parameters_at(values)
    assert seen == [["x", "y"]]
    torch.testing.assert_close(found["loc"], q.net(X["x"]) + 1)
    assert found["scale"].item() == 0.5
    assert q.sources[0].names == ("loc",)
    assert q.constants == {"scale": 0.5}


def test_names_that_are_no_python_names_are_passed_by_position() -> None:
    p = Positional()
    assert p.sources[0].by_keyword is False
    assert p.sample({"z_{t-1}": torch.zeros(3, 2)})["z_t"].shape == (3, 2)


def test_a_subclass_without_conditions_holds_learned_parameters() -> None:
    p = Learned()
    assert p.sample(n=7)["z"].shape == (7, 2)
    p.log_prob({"z": torch.ones(7, 2)}).sum().backward()
    assert p.mu.grad is not None
    assert p.mu.grad.abs().sum() > 0


def test_numbers_stay_numbers_and_tensors_are_looked_up_live() -> None:
    p = sd.Normal("p(z)", loc=0, scale=torch.ones(3))
    assert p.constants["loc"] == 0.0
    assert isinstance(p.constants["loc"], float)
    assert list(p.state_dict()) == ["scale_value"]
    p.double()
    assert p.constants["scale"].dtype == torch.float64
    assert p.sample()["z"].dtype == torch.float64
    with pytest.raises(TypeError):
        p.constants["loc"] = 1.0  # type: ignore[index]


def test_layers_of_a_subclass_may_be_called_as_its_parameters() -> None:
    class Own(sd.Normal):
        def __init__(self) -> None:
            super().__init__("q(z|x)", scale=torch.full((2,), 0.5))
            self.loc, self.scale, self.network = nn.Linear(4, 2), nn.Linear(4, 2), nn.Identity()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"loc": self.loc(x)}

    q = Own()
    assert q.sample(X)["z"].shape == (5, 2)
    assert q.variance(X)["z"].unique().tolist() == [0.25]
    assert "scale_value" in q.state_dict()


def test_numbers_alone_follow_the_module_and_the_value() -> None:
    p = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    assert p.sample()["z"].dtype == torch.float32
    assert p.log_prob({"z": torch.zeros(1, 2, dtype=torch.float64)}).dtype == torch.float64
    assert p.double().sample()["z"].dtype == torch.float64
    assert list(p.state_dict()) == []


def test_an_nn_parameter_is_trained() -> None:
    scale = nn.Parameter(torch.ones(2))
    q = sd.Normal("q(z|x)", loc=nn.Linear(4, 2), scale=scale)
    assert any(p is scale for p in q.parameters())
    q.log_prob({"z": torch.zeros(5, 2), **X}).sum().backward()
    assert scale.grad is not None
    assert scale.grad.abs().sum() > 0
    assert q.event_shape == (2,)


def test_a_shared_number_is_one_for_all() -> None:
    q = sd.Normal("q(z|x)", loc=nn.Linear(4, 2), scale=nn.Parameter(torch.tensor(0.5)))
    assert q.event_shape is None
    assert q.sample(X)["z"].shape == (5, 2)
    p = sd.Normal("p(z)", loc=torch.zeros(3), scale=torch.tensor(0.5))
    assert p.event_shape == (3,)
    assert sd.Normal("p(z)", loc=torch.tensor(0.0), scale=1.0).event_shape == ()


def test_a_tensor_is_copied_so_that_expanded_ones_can_be_loaded() -> None:
    scale = torch.ones(3)
    prior = sd.Normal("p(z)", loc=0.0, scale=scale)
    scale.zero_()
    assert prior.variance()["z"].tolist() == [[1.0, 1.0, 1.0]]
    row = torch.zeros(1).expand(3)
    p = sd.Normal("p(z)", loc=row, scale=1.0)
    p.load_state_dict({"loc_value": torch.arange(3.0)})
    assert row.sum() == 0
    assert p.mean()["z"].tolist() == [[0.0, 1.0, 2.0]]


def test_one_row_of_classes_for_a_declared_event() -> None:
    probs = torch.tensor([0.2, 0.8])
    assert sd.Categorical("p(y)", probs=probs, event_shape=3).sample(n=4)["y"].shape == (4, 3)
    hot = sd.OneHotCategorical("p(y)", probs=probs, event_shape=(3, 2))
    assert hot.sample(n=4)["y"].shape == (4, 3, 2)
    assert hot.entropy().item() == pytest.approx(3 * sd.Categorical("p(y)", probs=probs).entropy().item())


def test_numbers_without_an_event_take_that_of_the_value() -> None:
    p = sd.Normal("p(z)", loc=0.0, scale=1.0)
    assert p.event_shape is None
    assert p.log_prob({"z": torch.zeros(4, 3)}).shape == (4,)
    assert p.log_prob({"z": torch.zeros(2, 4, 3)}, sample_axes={"z": 1}).shape == (2, 4)
    for ask in (p.sample, p.entropy, p.mean, p.variance):
        with pytest.raises(ShapeError, match=r"Normal p\(z\) has numbers for parameters.*\n.*event_shape=16"):
            ask()


def test_constants_may_ignore_a_condition() -> None:
    p = sd.Normal("p(z|x)", loc=torch.zeros(2), scale=1.0)
    assert p.sample(X, shape=3)["z"].shape == (3, 5, 2)
    assert p.entropy(X).shape == (5,)


def test_the_method_of_a_module_is_trained_and_copied_with_it() -> None:
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 2)

        def encode(self, x: Tensor) -> dict[str, Tensor | float]:
            return {"loc": self.net(x), "scale": 1.0}

    vae = Vae()
    q = sd.Normal("q(z|x)", vae.encode)
    assert {id(p) for p in q.parameters()} == {id(p) for p in vae.parameters()}
    clone = copy.deepcopy(q)
    with torch.no_grad():
        vae.net.weight.zero_()
    assert not torch.equal(clone.mean(X)["z"], q.mean(X)["z"])
    assert clone.network.__self__ is clone.network_owner


def linear() -> nn.Linear:
    return nn.Linear(4, 2)


REFUSED: list[tuple[str, Callable[[], object], str]] = [
    ("nothing", lambda: sd.Normal("q(z|x)"), r"Normal q\(z\|x\) has neither a network nor parameters\npass a network that returns \(loc, scale\), or write `loc=..., scale=...`"),
    ("one lacks", lambda: sd.Normal("p(z)", loc=0.0), r"lacks the parameter `scale`\nwrite `scale=...`"),
    ("unknown", lambda: sd.Normal("p(z)", loc=0.0, scal=1.0), r"has no parameter `scal`\ndid you mean `scale`\?"),
    ("exclude", lambda: sd.Bernoulli("p(x)", logits=0.0, probs=0.5), r"got `logits` and `probs`, which exclude each other\ngive \(logits\) or \(probs\)"),
    ("both", lambda: sd.Normal("q(z|x)", Encoder(), loc=0.0, scale=1.0), r"has a network and also `loc` and `scale`, which leaves it nothing"),
    ("own forward and network", lambda: type("Own", (sd.Normal,), {"forward": Inference.forward})("q(z|x)", Encoder()), r"has a network, and Own also defines `forward`"),
    ("class", lambda: sd.Normal("q(z|x)", Encoder), r"is the class Encoder, not a network\npass an instance: `Encoder\(...\)`"),
    ("class by name", lambda: sd.Normal("q(z|x)", loc=nn.Linear, scale=1.0), r"`loc` of Normal q\(z\|x\) is the class Linear"),
    ("number as network", lambda: sd.Normal("p(z)", 0.0), r"is a float, not a network\n.*constants are passed by name, such as `loc=0.`"),
    ("event shape", lambda: sd.Normal("q(z|x)", Encoder(), event_shape=2), r"has a network and `event_shape`\nleave it out"),
    ("event shape of tensors", lambda: sd.Normal("p(z)", loc=torch.zeros(3), scale=1.0, event_shape=2), r"has event_shape \[2\], but its parameters have \[3\]"),
    ("event shape of classes", lambda: sd.OneHotCategorical("p(y)", logits=torch.zeros(3), event_shape=2), r"has event_shape \[2\], but its parameters have \[3\]"),
    ("event shape zero", lambda: sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=0), r"`event_shape` is 0\nwrite positive lengths"),
    ("event shape text", lambda: sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape="3"), r"`event_shape` is '3'"),
    ("shapes differ", lambda: sd.Normal("p(z)", loc=torch.zeros(3), scale=torch.ones(2)), r"different event shapes: loc \[3\], scale \[2\]"),
    ("list", lambda: sd.Normal("p(z)", loc=[0.0], scale=1.0), r"`loc` of Normal p\(z\) is a list\ngive a number, a tensor \(`torch.as_tensor\(loc\)`\)"),
    ("array", lambda: sd.Normal("p(z)", loc=np.zeros(2), scale=1.0), r"`loc` of Normal p\(z\) is a ndarray"),
    ("bool", lambda: sd.Normal("p(z)", loc=True, scale=1.0), r"`loc` of Normal p\(z\) is a bool"),
    ("integers", lambda: sd.Normal("p(z)", loc=torch.zeros(2).long(), scale=1.0), r"`loc` of Normal p\(z\) has dtype torch.int64\nwrite `loc.float\(\)`"),
    ("gradient", lambda: sd.Normal("p(z)", loc=torch.zeros(2, requires_grad=True), scale=1.0), r"requires a gradient but is no `nn.Parameter`\nwrap it"),
    ("number of classes", lambda: sd.Categorical("p(y)", logits=0.0), r"`logits` of Categorical p\(y\) is the number 0, but it has an axis of its own"),
    ("scalar of classes", lambda: sd.Categorical("p(y)", logits=torch.tensor(0.0)), r"logits of Categorical p\(y\) has shape \[\]\na parameter is"),
    ("two variables", lambda: sd.Normal("q(z, y|x)", Encoder()), r"is over 2 variables, but a Normal is over one"),
    ("too few arguments", lambda: sd.Normal("q(z|x, y)", Encoder()), r"Encoder takes \(x\), but Normal q\(z\|x,y\) is given \(x, y\)\na network takes"),
    ("no arguments", lambda: sd.Normal("p(z)", Encoder()), r"Encoder takes \(x\), but Normal p\(z\) is given \(\)"),
    ("order", lambda: sd.Normal("q(z|x, y)", lambda y, x: (x, y)), r"network takes \(y, x\), but Normal q\(z\|x,y\) passes \(x, y\)\nwrite the variables in the same order"),
    ("subclass arguments", lambda: type("Own", (sd.Normal,), {"forward": Inference.forward})("q(z|a, b)"), r"Own takes \(x\), but Normal q\(z\|a,b\) is given \(a, b\)"),
    ("scale zero", lambda: sd.Normal("p(z)", loc=0.0, scale=0.0), r"scale of Normal p\(z\) has values in \[0, 0\]; it must be positive and finite\nend the network in `softplus` or `exp`"),
    ("scale infinite", lambda: sd.Normal("p(z)", loc=0.0, scale=float("inf")), r"scale of Normal p\(z\) has values in \[inf, inf\]; it must be positive and finite"),
    ("loc infinite", lambda: sd.Normal("p(z)", loc=float("inf"), scale=1.0), r"loc of Normal p\(z\) has values in \[inf, inf\]; it must be finite"),
    ("loc nan", lambda: sd.Normal("p(z)", loc=torch.tensor([float("nan")]), scale=1.0), r"loc of Normal p\(z\) has NaN values"),
    ("probs", lambda: sd.Bernoulli("p(x)", probs=1.5, event_shape=()), r"probs of Bernoulli p\(x\) has values in \[1.5, 1.5\]; it must be in \[0, 1\]"),
    ("probs nan", lambda: sd.Bernoulli("p(x)", probs=float("nan"), event_shape=()), r"probs of Bernoulli p\(x\) has NaN values"),
    ("simplex", lambda: sd.Categorical("p(y)", probs=torch.tensor([0.2, 0.2])), r"probs of Categorical p\(y\) sums to 0.4 over the classes, not to 1\nend the network in `softmax"),
    ("logits inf", lambda: sd.Categorical("p(y)", logits=torch.tensor([0.0, float("inf")])), r"values in \[0, inf\]; it must be below infinity"),
    ("no class", lambda: sd.Categorical("p(y)", logits=torch.full((2,), -float("inf"))), r"has a row of minus infinity only\nleave at least one class"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusals(make: Callable[[], object], words: str) -> None:
    with pytest.raises((ParameterError, OptionError, ShapeError), match=words):
        make()


def test_a_distribution_is_no_function() -> None:
    with pytest.raises(NotSupportedError, match=r"q\(z\|x\) is not a function.*\nuse `.sample\(given\)`"):
        sd.Normal("q(z|x)", Encoder())(X["x"])


def test_reprs() -> None:
    assert repr(Inference()) == "Normal q(z|x) with network Inference"
    assert repr(FixedScale()) == "Normal q(z|y,x) with loc=FixedScale(y, x), scale=0.5"
    assert repr(sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=16)) == (
        "Normal p(z) with loc=0, scale=1, event_shape=[16]"
    )
    assert repr(sd.Normal("q(z|x)", loc=linear(), scale=nn.Parameter(torch.ones(2)))) == (
        "Normal q(z|x) with loc=Linear(x), scale=parameter [2], event_shape=[2]"
    )
    assert repr(sd.Bernoulli("p(x|z)", lambda z: z)) == "Bernoulli p(x|z) with network network"


def test_every_refusal_is_one_of_the_package() -> None:
    for _, make, _ in REFUSED:
        with pytest.raises(SymdgmError):
            make()
