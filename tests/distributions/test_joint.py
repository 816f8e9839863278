"""Products: sampling, densities, moments, and what is refused when they are built."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm as sdgm
import symdgm.distributions as sd
from symdgm.distributions.flows import AffineCoupling
from symdgm.distributions.importance import importance
from symdgm.distributions.mixture import Mixture
from symdgm.distributions.transformed import Transformed
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError, ParameterError, ShapeError


class Scaled(nn.Module):
    """A network that returns a location and a scale."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.net = nn.Linear(inside, 2 * outside)

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor]:
        loc, raw = self.net(torch.cat(values, -1)).chunk(2, -1)
        return loc, nn.functional.softplus(raw) + 0.1


torch.manual_seed(0)
PRIOR = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
DECODER = sd.Normal("p(x|z)", Scaled(2, 3))
BOTH = sd.Normal("p(w|x,z)", Scaled(5, 1))


def chain() -> sd.Joint:
    return BOTH * PRIOR * DECODER


def test_factors_stand_in_any_order_and_are_sampled_causes_first() -> None:
    for order in itertools.permutations([PRIOR, DECODER, BOTH]):
        p = sd.Joint(order)
        assert [str(f) for f in p.ordered] == ["p(z)", "p(x|z)", "p(w|x,z)"]
        assert p.factors == order
        drawn = p.sample(n=5, generator=torch.Generator().manual_seed(1))
        generator = torch.Generator().manual_seed(1)
        z = PRIOR.sample(n=5, generator=generator)
        x = DECODER.sample(z, generator=generator)
        w = BOTH.sample(x | z, generator=generator)
        assert all(torch.equal(drawn[name], value) for name, value in (x | z | w).items())


def test_sample_axes_are_put_once() -> None:
    """Pixyz applied them at every factor: z (3,1,2), x (3,3,1,2)."""
    drawn = chain().sample(shape=(3,))
    assert {name: tuple(value.shape) for name, value in drawn.items()} == {
        "w": (3, 1, 1),
        "z": (3, 1, 2),
        "x": (3, 1, 3),
    }
    drawn = chain().sample(n=4, shape=(3, 2))
    assert {name: tuple(value.shape) for name, value in drawn.items()} == {
        "w": (3, 2, 4, 1),
        "z": (3, 2, 4, 2),
        "x": (3, 2, 4, 3),
    }
    q = (
        sd.Normal("q(a|x)", Scaled(3, 2))
        * sd.Normal("q(z|a)", Scaled(2, 2))
        * sd.Normal("q(u)", loc=0.0, scale=1.0, event_shape=())
    )
    drawn = q.sample({"x": torch.randn(6, 4, 3)}, shape=5, sample_axes={"x": 1})
    assert {name: tuple(value.shape) for name, value in drawn.items()} == {
        "a": (5, 6, 4, 2),
        "z": (5, 6, 4, 2),
        "u": (5, 6, 4),
    }
    assert not torch.equal(drawn["u"][0], drawn["u"][1])


def test_log_prob_is_the_sum_with_the_batch_kept() -> None:
    p = chain()
    for shape in [(), (3,), (3, 2)]:
        drawn = p.sample(n=4, shape=shape)
        found = p.log_prob(drawn)
        assert found.shape == (*shape, 4)
        axes = {"z": len(shape), "x": len(shape)}
        by_hand = (
            PRIOR.log_prob({"z": drawn["z"]})
            + DECODER.log_prob({"x": drawn["x"], "z": drawn["z"]}, sample_axes={"z": len(shape)})
            + BOTH.log_prob(drawn, sample_axes=axes)
        )
        assert torch.equal(found, by_hand)
        torch.testing.assert_close(p.prob(drawn), found.exp())


def test_an_observation_is_broadcast_over_the_sample_axes_of_a_latent() -> None:
    p = DECODER * PRIOR
    z, x = PRIOR.sample(n=4, shape=7)["z"], torch.randn(4, 3)
    found = p.log_prob({"x": x, "z": z})
    each = torch.stack([p.log_prob({"x": x, "z": row}) for row in z])
    torch.testing.assert_close(found, each)


def test_axes_of_conditions_are_found_where_only_a_network_knows_the_event() -> None:
    q = sd.Normal("q(a|x)", Scaled(3, 2)) * sd.Normal("q(z|a)", Scaled(2, 2))
    x = torch.randn(4, 3)
    drawn = q.sample({"x": x}, shape=(6,))
    each = torch.stack([q.log_prob({"x": x, "a": drawn["a"][k], "z": drawn["z"][k]}) for k in range(6)])
    torch.testing.assert_close(q.log_prob(drawn | {"x": x}), each)


def test_log_prob_changes_nothing_in_place() -> None:
    held: list[Tensor] = []

    class Kept(sd.Normal):
        def log_density(self, value, parameters):  # type: ignore[no-untyped-def, override, misc]
            held.append(super().log_density(value, parameters))
            return held[-1]

    p = Kept("p(z)", loc=0.0, scale=1.0, event_shape=()) * sd.Normal(
        "p(y)", loc=0.0, scale=1.0, event_shape=()
    )
    p.log_prob({"z": torch.zeros(2), "y": torch.zeros(2)})
    torch.testing.assert_close(held[0], torch.full((2,), -0.5 * math.log(2 * math.pi)))


def test_pathwise_gradients_reach_every_factor() -> None:
    p = chain()
    p.sample(n=8)["w"].sum().backward()
    for parameter in (*DECODER.parameters(), *BOTH.parameters()):
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0
        parameter.grad = None
    p.log_prob(p.sample(n=8)).sum().backward()
    assert all(parameter.grad is not None for parameter in p.parameters())


def test_the_pixyz_doctests() -> None:
    one = [sd.Normal(f"p({v})", loc=0.0, scale=1.0, event_shape=1) for v in "xz"]
    p = one[0] * one[1]
    zero = {"x": torch.zeros(1, 1), "z": torch.zeros(1, 1)}
    assert float(p.log_prob(zero)) == pytest.approx(-1.8379, abs=5e-5)
    assert float(p.marginal("x").log_prob({"x": zero["x"]})) == pytest.approx(-0.9189, abs=5e-5)


def test_products_of_products_are_flat_and_the_head_can_be_written() -> None:
    p = (BOTH * DECODER) * (PRIOR * sd.Normal("r(u)", loc=0.0, scale=1.0, event_shape=()))
    assert [str(f) for f in p.factors] == ["p(w|x,z)", "p(x|z)", "p(z)", "r(u)"]
    assert str(p) == "p(w,x,z,u)"
    again = sd.Joint(p.factors, "joint(z, x, w, u)")
    assert again.text == "joint(z, x, w, u) = p(w|x, z) p(x|z) p(z) r(u)"
    assert list(again.sample()) == ["z", "x", "w", "u"]


def test_the_name_of_a_product_is_what_is_printed() -> None:
    """In Pixyz, setting the name of a product left its text as it was."""
    q = (sd.Normal("q1(a|x)", Scaled(3, 2)) * sd.Normal("q2(z|a)", Scaled(2, 2))).named("q")
    assert str(q) == "q(a,z|x)"
    assert q.text == "q(a, z|x) = q1(a|x) q2(z|a)"
    assert isinstance(q, sd.Joint)


def test_text_and_latex_parse_back() -> None:
    p = chain()
    assert p.text == "p(w, z, x) = p(w|x, z) p(z) p(x|z)"
    assert p.latex == r"p(w, z, x) = p(w \mid x, z) \, p(z) \, p(x \mid z)"
    assert p._repr_latex_() == f"${p.latex}$"
    assert sdgm.signature(sdgm.parse(p.text)) == sdgm.signature(sdgm.parse(p.latex))
    assert repr(p).splitlines() == [f"Joint {p.text}", *(f"  {f!r}" for f in p.factors)]


def test_state_copies_and_moves() -> None:
    p = chain()
    assert {name.split(".")[0] for name in p.state_dict()} == {"parts"}
    drawn = p.sample(n=3)
    for same in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert torch.equal(same.log_prob(drawn), p.log_prob(drawn))
    other = copy.deepcopy(p)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    assert not torch.equal(other.log_prob(drawn), p.log_prob(drawn))
    other.load_state_dict(p.state_dict())
    assert torch.equal(other.log_prob(drawn), p.log_prob(drawn))
    assert copy.deepcopy(p).double().sample()["w"].dtype == torch.float64
    assert len(p.sources) == 2


def test_a_deterministic_factor_and_data_in_a_product() -> None:
    g = sd.Deterministic("g(h|z)", lambda z: 2 * z)
    p = g * PRIOR * sd.Normal("p(x|h)", lambda h: (h, 1.0))
    drawn = p.sample(n=3, shape=2)
    torch.testing.assert_close(drawn["h"], 2 * drawn["z"])
    rows = torch.arange(4.0).unsqueeze(-1)
    aggregated = sd.Normal("q(z|x)", lambda x: (x, 0.1)) * sd.Data("data(x)", x=rows)
    drawn = aggregated.sample(n=50)
    assert (drawn["z"] - drawn["x"]).abs().max() < 1


def test_moments_and_entropy_where_causes_are_finite_or_linear() -> None:
    y = sd.Bernoulli("p(y)", probs=0.25, event_shape=())
    x = sd.Normal("p(x|y)", lambda y: (4 * y, 1 + y))
    p = x * y
    torch.testing.assert_close(p.mean()["x"], torch.tensor([1.0]))
    torch.testing.assert_close(p.variance()["x"], torch.tensor([0.25 * 4 + 0.75 * 1 + 16 * 0.25 * 0.75]))
    expected = (
        0.25 * sd.Normal("p(a)", loc=0.0, scale=2.0, event_shape=()).entropy()
        + 0.75 * sd.Normal("p(a)", loc=0.0, scale=1.0, event_shape=()).entropy()
    )
    torch.testing.assert_close(p.entropy(), expected + y.entropy())
    line = sd.LinearNormal("p(b|z)", torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]), scale=0.5) * PRIOR
    torch.testing.assert_close(line.mean()["b"], torch.tensor([[3.0]]))
    torch.testing.assert_close(line.variance()["b"], torch.tensor([[5.25]]))
    noise = sd.Normal("p(a)", loc=0.0, scale=0.5, event_shape=()).entropy()
    torch.testing.assert_close(line.entropy(), noise + PRIOR.entropy())


def test_moments_of_chains_given_conditions() -> None:
    """Means of a chain by the law of total variance, against samples (z bound 5 at fixed seeds)."""
    a = sd.Categorical("q(a|x)", lambda x: x)
    b = sd.Categorical("q(b|a,x)", lambda a, x: x * (1 + a.unsqueeze(-1)))
    c = sd.Normal("q(c|b)", lambda b: (b.to(torch.get_default_dtype()).unsqueeze(-1) ** 2, 0.3))
    q = c * a * b
    x = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5]])
    draws = q.sample({"x": x}, shape=20_000, generator=torch.Generator().manual_seed(0))["c"]
    mean, variance = (m({"x": x}) for m in (c_of(q.marginal("c").mean), c_of(q.marginal("c").variance)))
    assert (((draws.mean(0) - mean) / (variance / 20_000).sqrt()).abs() < 5).all()
    assert ((draws.var(0) / variance - 1).abs() < 0.05).all()


def c_of(ask: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[dict[str, Tensor]], Tensor]:
    return lambda given: ask(given)["c"]


def test_flows_as_prior_and_as_posterior_inside_a_product() -> None:
    """Pixyz could not multiply a flow into a joint, and lost the gradient of a conditional base."""
    base = sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=2)
    prior = Transformed("p(z)", base=base, flow=AffineCoupling(2))
    p = DECODER * prior
    drawn = p.sample(n=4, shape=3)
    x_given_z = DECODER.log_prob(drawn, sample_axes={"z": 1})
    torch.testing.assert_close(p.log_prob(drawn), prior.log_prob({"z": drawn["z"]}) + x_given_z)
    encoder = sd.Normal("q(u|x)", Scaled(3, 2))
    q = Transformed("q(z|x)", base=encoder, flow=AffineCoupling(2))
    x = torch.randn(4, 3)
    bound = importance(p, q, {"x": x}, k=5)
    bound.value.sum().backward()
    for module in (encoder, q.flow, prior.flow, DECODER):
        assert all(parameter.grad is not None for parameter in module.parameters())
    mixed = Mixture("p(z)", [prior, base.rename(u="z")])
    expected = (prior.prob({"z": drawn["z"]}) / 2 + base.prob({"u": drawn["z"]}) / 2).log()
    torch.testing.assert_close(mixed.log_prob({"z": drawn["z"]}), expected)
    summed = (
        sd.Normal("p(y|z)", Scaled(2, 1))
        * Mixture("p(z)", [prior, prior])
        * sd.Bernoulli("p(b)", probs=0.5, event_shape=())
    )
    torch.testing.assert_close(
        summed.marginal("z").log_prob({"z": drawn["z"]}), prior.log_prob({"z": drawn["z"]})
    )


def test_an_unnormalised_factor_in_a_product() -> None:
    energy = sd.Custom("f(z)", lambda z: -z.square().sum(-1))
    p = DECODER * energy
    z, x = torch.randn(4, 2), torch.randn(4, 3)
    torch.testing.assert_close(
        p.log_prob({"x": x, "z": z}), DECODER.log_prob({"x": x, "z": z}) - z.square().sum(-1)
    )
    many = torch.randn(6, 4, 2)
    found = p.log_prob({"x": x, "z": many}, sample_axes={"z": 1})
    torch.testing.assert_close(found[3], p.log_prob({"x": x, "z": many[3]}))


def cycle(variable: str, given: str) -> sd.Normal:
    return sd.Normal(f"p({variable}|{given})", lambda v: (v, 1.0))


X = torch.zeros(4, 3)
REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (NameResolutionError, lambda: DECODER * cycle("x", "y"), r"the variable `x` is generated by both p\(x\|z\) and p\(x\|y\)\nrename one of them, such as `.rename\(x=\"x_1\"\)`"),
    (NameResolutionError, lambda: cycle("x", "z") * PRIOR.rename(z="u") * cycle("z", "x"), r"p\(x\|z\) and p\(z\|x\) condition on each other in a circle\na product needs a factor that comes first"),
    (NameResolutionError, lambda: sd.Joint([cycle("a", "b"), cycle("b", "c"), cycle("c", "a"), cycle("d", "a")]), r"^p\(a\|b\), p\(b\|c\) and p\(c\|a\) condition on each other"),
    (NameResolutionError, lambda: sd.Joint([DECODER, PRIOR], "p(x,y)"), r"p\(x,y\) is declared, but the product of p\(x\|z\) and p\(z\) is p\(x,z\)\ndeclare `p\(x,z\)`"),
    (NameResolutionError, lambda: sd.Joint([DECODER], "p(x)"), r"p\(x\) is declared, but the product of p\(x\|z\) is p\(x\|z\)"),
    (ParameterError, lambda: sd.Joint([]), r"a product has no factors"),
    (ParameterError, lambda: sd.Joint([DECODER, 2.0]), r"a factor of a product is a float, not a distribution\nmultiply distributions"),  # type: ignore[list-item]
    (NameResolutionError, lambda: chain().log_prob({"x": X}), r"Joint p\(w,z,x\) needs a value of `w`"),
    (NameResolutionError, lambda: chain().sample({"z": X}), r"takes no value of `z`"),
    (NameResolutionError, lambda: (DECODER * PRIOR).log_prob({"x": X, "z": X, "u": X}), r"takes no value of `u`"),
    (NameResolutionError, lambda: (DECODER * PRIOR).log_prob({"x": X, "z": X}, sample_axes={"u": 1}), r"has no variable `u`"),
    (OptionError, lambda: chain().sample(batch_n=3), r"unknown option `batch_n`"),
    (OptionError, lambda: chain().log_prob({}, sum_features=False), r"unknown option `sum_features`"),
    (OptionError, lambda: DECODER.rename(z="x", x="z").__mul__(DECODER.rename(x="u")).sample({"x": X}, n=2), r"`n` is for what is given nothing"),
    (ShapeError, lambda: (PRIOR * PRIOR.rename(z="u")).log_prob({"z": torch.zeros(1, 2), "u": torch.zeros(4, 2)}), r"do not fit together"),
    (NotSupportedError, lambda: (cycle("z", "x") * sd.Data("data(x)", x=X)).log_prob({"z": X, "x": X}), r"Data data\(x\) has no density"),
    (NotSupportedError, lambda: (DECODER * PRIOR).mean(), r"cannot be summed exactly: Normal p\(x\|z\) depends on the hidden z in a way that is not known to be linear\nsample it"),
    (NotSupportedError, lambda: (DECODER * PRIOR).entropy(), r"the entropy of p\(x\|z\) depends on what cannot be summed.*\nestimate it"),
    (NotSupportedError, lambda: (sd.Normal("p(x|y)", lambda y: (y, 1.0)) * sd.Gamma("p(y)", concentration=1.0, rate=1.0, event_shape=())).mean(), r"y of Gamma p\(y\) is neither finite nor Gaussian"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()


def test_what_is_no_distribution_cannot_be_multiplied() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        PRIOR * 2.0  # type: ignore[operator]
