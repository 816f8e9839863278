"""Distributions made by flows: density at any point, pathwise draws, axes, conditions."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.distributions import flows as f
from symdgm.distributions.transformed import Transformed


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def stir(module: nn.Module, size: float = 0.3) -> nn.Module:
    for parameter in module.parameters():
        parameter.data += size * torch.randn_like(parameter)
    return module


def standard(*event: int) -> sd.Normal:
    return sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=event)


def realnvp(context: int = 0) -> f.Flow:
    flow = f.AffineCoupling(2, context_features=context) >> f.Reverse(2) >> f.AffineCoupling(2)
    stir(flow)
    return flow


class Encoder(nn.Module):
    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        loc, log_scale = self.net(x).chunk(2, -1)
        return loc, log_scale.exp()


def posterior(flow: f.Flow) -> Transformed:
    return Transformed("q(z|x)", base=sd.Normal("q(u|x)", Encoder()), flow=flow)


def test_the_density_at_any_point_is_that_of_torch() -> None:
    """Elsewhere only the density of the last draw was right."""
    flow = td.AffineTransform(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0]))
    p = Transformed("p(x)", base=standard(2), flow=f.TransformFlow(flow))
    reference = td.Normal(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0]))
    p.sample(n=3)
    for point in (torch.zeros(3, 2), torch.randn(7, 2), torch.randn(4, 7, 2)):
        torch.testing.assert_close(p.log_prob({"x": point}), reference.log_prob(point).sum(-1))
        torch.testing.assert_close(p.prob({"x": point}), reference.log_prob(point).sum(-1).exp())


@pytest.mark.parametrize("turn", [False, True])
def test_both_directions_draw_and_score_alike(turn: bool) -> None:
    flow = realnvp().inv if turn else realnvp()
    p = Transformed("p(x)", base=standard(2), flow=flow)
    x, log_p = p.sample_and_log_prob(n=6, shape=(4,))
    assert (x["x"].shape, log_p.shape) == ((4, 6, 2), (4, 6))
    torch.testing.assert_close(p.log_prob(x), log_p, rtol=1e-4, atol=1e-4)
    u, minus = flow.inverse(x["x"].flatten(0, 1))
    expected = td.Normal(0.0, 1.0).log_prob(u).sum(-1) + minus
    torch.testing.assert_close(p.log_prob(x).flatten(), expected)


FLOWS_2D = {
    "planar": lambda: f.Planar(2) >> f.Planar(2),
    "radial": lambda: f.Radial(2) >> f.Radial(2),
    "coupling": lambda: f.AffineCoupling(2) >> f.Reverse(2) >> f.AffineCoupling(2),
    "spline": lambda: f.SplineCoupling(2, bound=3.0) >> f.Reverse(2) >> f.SplineCoupling(2, bound=3.0),
    "maf": lambda: f.Autoregressive(2).inv,
    "iaf": lambda: f.Autoregressive(2, f.Spline(bound=3.0)),
    "conv": lambda: f.Conv1x1(2) >> f.Conv1x1LU(2),
    "norm": lambda: f.ActNorm(2) >> f.BatchNorm(2),
}


@pytest.mark.parametrize("name", FLOWS_2D)
def test_densities_integrate_to_one_and_have_the_moments_of_the_draws(name: str) -> None:
    flow = stir(FLOWS_2D[name]().double(), 0.15).eval()
    assert isinstance(flow, f.Flow)
    p = Transformed("p(x)", base=standard(2).double(), flow=flow)
    drawn = p.sample(n=20_000, generator=torch.Generator().manual_seed(1))["x"].detach()
    centre, reach = drawn.mean(0), 1.3 * (drawn - drawn.mean(0)).abs().amax(0)
    axes = [
        torch.linspace(float(c - r), float(c + r), 801, dtype=torch.float64)
        for c, r in zip(centre, reach, strict=True)
    ]
    points = torch.cartesian_prod(*axes)
    with torch.no_grad():
        mass = p.prob({"x": points}) * float((axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0]))
    assert abs(float(mass.sum()) - 1) < 2e-3
    mean = (mass[:, None] * points).sum(0)
    error = drawn.std(0) / len(drawn) ** 0.5
    assert bool(((drawn.mean(0) - mean).abs() < 4.5 * error + 2e-3).all())


def test_a_conditional_base_keeps_its_pathwise_gradient() -> None:
    """Elsewhere the base of a flow posterior was drawn without a gradient."""
    q = posterior(f.Planar(2) >> f.Planar(2))
    x = torch.randn(5, 3)
    z = q.sample({"x": x})["z"]
    z.square().sum().backward()
    encoder = q.base.network
    assert isinstance(encoder, Encoder)
    for parameter in q.parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().sum()) > 0


def test_the_pathwise_gradient_is_right() -> None:
    flow = realnvp().double()
    loc = nn.Parameter(torch.tensor([0.3, -0.2], dtype=torch.float64))
    q = Transformed("q(z)", base=sd.Normal("q(u)", loc=loc, scale=0.5), flow=flow)

    def loss() -> Tensor:
        z, log_q = q.sample_and_log_prob(n=100, generator=torch.Generator().manual_seed(4))
        return (log_q + z["z"].square().sum(-1)).mean()

    (gradient,) = torch.autograd.grad(loss(), loc)
    for i in range(2):
        with torch.no_grad():
            loc[i] += 1e-5
            above = loss()
            loc[i] -= 2e-5
            below = loss()
            loc[i] += 1e-5
        torch.testing.assert_close(gradient[i], (above - below) / 2e-5, rtol=1e-6, atol=1e-8)


def test_the_density_of_a_posterior_at_a_point_that_was_not_drawn() -> None:
    q = posterior(realnvp())
    x, z = torch.randn(5, 3), torch.randn(5, 2)
    u, log_det = q.flow.inverse(z)
    expected = q.base.log_prob({"u": u, "x": x}) + log_det
    q.sample({"x": torch.randn(9, 3)})
    torch.testing.assert_close(q.log_prob({"z": z, "x": x}), expected)


def test_axes_of_samples_batch_and_event() -> None:
    q = posterior(realnvp())
    x = torch.randn(5, 3)
    z = q.sample({"x": x}, shape=(4, 2))["z"]
    assert z.shape == (4, 2, 5, 2)
    axes = {"z": 2}
    log_q = q.log_prob({"z": z, "x": x}, sample_axes=axes)
    assert log_q.shape == (4, 2, 5)
    torch.testing.assert_close(log_q[3, 1], q.log_prob({"z": z[3, 1], "x": x}), rtol=1e-4, atol=1e-4)
    many = torch.randn(6, 5, 3)
    drawn, log_q = q.sample_and_log_prob({"x": many}, shape=4, sample_axes={"x": 1})
    assert (drawn["z"].shape, log_q.shape) == ((4, 6, 5, 2), (4, 6, 5))
    again = q.log_prob({**drawn, "x": many}, sample_axes={"z": 2, "x": 1})
    torch.testing.assert_close(again, log_q, rtol=1e-4, atol=1e-4)


def test_the_event_rank_follows_from_the_flow_or_the_base() -> None:
    assert posterior(f.Planar(2)).event_rank == 1
    p = Transformed("p(x)", base=standard(2, 3), flow=td.ExpTransform())
    assert p.event_rank == 2
    assert p.log_prob({"x": torch.ones(4, 5, 2, 3)}).shape == (4, 5)
    assert Transformed("p(y)", base=p, flow=f.Logit()).event_rank == 2
    image = Transformed("p(x)", base=standard(16), flow=f.Flatten((1, 4, 4)).inv)
    assert image.event_rank == 3
    assert image.sample(n=2, shape=3)["x"].shape == (3, 2, 1, 4, 4)
    unknown = Transformed("q(z|x)", base=sd.Normal("q(u|x)", lambda x: (x, x.exp())), flow=td.ExpTransform())
    assert unknown.event_rank is None
    x = torch.randn(4, 2)
    z = unknown.sample({"x": x}, shape=3)["z"]
    assert unknown.log_prob({"z": z[0], "x": x}).shape == (4,)
    assert unknown.log_prob({"z": z, "x": x}, sample_axes={"z": 1}).shape == (3, 4)


def test_a_condition_of_the_flow_alone() -> None:
    p = Transformed("p(x|y)", base=standard(2), flow=realnvp(context=3))
    y = torch.randn(5, 3, requires_grad=True)
    x, log_p = p.sample_and_log_prob({"y": y}, shape=4)
    assert (x["x"].shape, log_p.shape) == ((4, 5, 2), (4, 5))
    torch.testing.assert_close(p.log_prob({**x, "y": y}), log_p, rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(log_p.sum() + x["x"].sum(), y)
    assert bool((gradient.abs().sum(1) > 0).all())
    one_y = y[2:3].expand(5, 3)
    assert not torch.allclose(p.log_prob({"x": x["x"][0], "y": one_y}), log_p[0])


def test_the_condition_of_the_flow_may_have_more_sample_axes_than_that_of_the_base() -> None:
    base = sd.Normal("q(u|x)", Encoder())
    q = Transformed("q(z|x, y)", base=base, flow=realnvp(context=3))
    x, y = torch.randn(5, 3), torch.randn(6, 5, 3)
    z, log_q = q.sample_and_log_prob({"x": x, "y": y}, shape=4, sample_axes={"y": 1})
    assert (z["z"].shape, log_q.shape) == ((4, 6, 5, 2), (4, 6, 5))
    again = q.log_prob({**z, "x": x, "y": y}, sample_axes={"y": 1})
    torch.testing.assert_close(again, log_q, rtol=1e-4, atol=1e-4)
    assert float((z["z"][0, 0] - z["z"][0, 1]).abs().detach().min()) > 0  # own noise for each
    spread, _ = q.sample_and_log_prob({"x": x[None], "y": y}, sample_axes={"x": 1, "y": 1})
    assert spread["z"].shape == (6, 5, 2)


def test_the_context_may_be_a_network_or_a_variable_that_the_base_takes_too() -> None:
    net = nn.Linear(3, 2)
    flow = f.Autoregressive(2, context_features=2)
    stir(flow)
    q = Transformed("q(z|x)", base=sd.Normal("q(u|x)", Encoder()), flow=flow, context=net)
    x = torch.randn(5, 3)
    z, log_q = q.sample_and_log_prob({"x": x}, shape=3)
    torch.testing.assert_close(q.log_prob({**z, "x": x}), log_q, rtol=1e-4, atol=1e-4)
    log_q.sum().backward()
    assert net.weight.grad is not None
    assert [source.label for source in q.sources] == ["Encoder", "Linear"]
    assert set(net.parameters()) <= set(q.parameters())
    same = Transformed("q(z|x)", base=sd.Normal("q(u|x)", Encoder()), flow=realnvp(context=3), context="x")
    assert same.log_prob({"z": z["z"][0], "x": x}).shape == (5,)


def test_a_draw_with_its_density_runs_the_encoder_once_and_no_inverse() -> None:
    class ForwardOnly(f.Flow):
        def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return 2 * x, x.new_full((len(x),), 2 * torch.log(torch.tensor(2.0)).item())

        def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
            raise AssertionError("not needed")

    q = posterior(ForwardOnly())
    encoder = q.base.network
    assert isinstance(encoder, Encoder)
    x = torch.randn(5, 3)
    z, log_q = q.sample_and_log_prob({"x": x})
    assert encoder.calls == 1
    loc, scale = encoder(x)
    torch.testing.assert_close(log_q, td.Normal(2 * loc, 2 * scale).log_prob(z["z"]).sum(-1))


def test_transformed_on_transformed() -> None:
    first, second = realnvp(), realnvp()
    inner = Transformed("p(v)", base=standard(2), flow=first)
    outer = Transformed("p(x)", base=inner, flow=second)
    both = Transformed("p(x)", base=standard(2), flow=first >> second)
    x, log_p = outer.sample_and_log_prob(n=4, shape=3)
    torch.testing.assert_close(both.log_prob(x), outer.log_prob(x))
    torch.testing.assert_close(both.log_prob(x), log_p, rtol=1e-4, atol=1e-4)


def test_other_bases_than_families() -> None:
    renamed = sd.Normal("q(v|y)", Encoder()).rename(y="x", v="u")
    q = Transformed("q(z|x)", base=renamed, flow=realnvp())
    x = torch.randn(5, 3)
    z, log_q = q.sample_and_log_prob({"x": x}, shape=4)
    torch.testing.assert_close(q.log_prob({**z, "x": x}), log_q, rtol=1e-4, atol=1e-4)


def test_a_generator_makes_draws_repeatable() -> None:
    q = posterior(realnvp())
    x = torch.randn(5, 3)
    a, b, c = (q.sample({"x": x}, generator=torch.Generator().manual_seed(s))["z"] for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_copies_saved_weights_and_dtype() -> None:
    q = posterior(realnvp(context=0) >> f.ActNorm(2))
    x, z = torch.randn(5, 3), torch.randn(5, 2)
    q.sample({"x": x})
    q.eval()
    expected = q.log_prob({"x": x, "z": z})
    file = io.BytesIO()
    torch.save(q.state_dict(), file)
    file.seek(0)
    fresh = posterior(realnvp() >> f.ActNorm(2))
    fresh.load_state_dict(torch.load(file))
    for same in (fresh, copy.deepcopy(q), pickle.loads(pickle.dumps(q))):
        torch.testing.assert_close(same.log_prob({"x": x, "z": z}), expected)
    double = q.double().log_prob({"x": x.double(), "z": z.double()})
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected, rtol=1e-4, atol=1e-4)
    assert q.sample({"x": x.double()})["z"].dtype == torch.float64


def test_text() -> None:
    p = Transformed("p(x)", base=standard(2), flow=f.Reverse(2).inv)
    assert str(p) == "p(x)"
    assert repr(p).startswith(
        "Transformed p(x) with x = f(u), f = Inverse(Reverse(2)), Normal p(u) with loc=0"
    )


def test_a_flow_is_a_prior_a_posterior_and_a_likelihood_in_a_product() -> None:
    """Elsewhere a flow could not be a factor of a joint distribution."""
    prior = Transformed("p(z)", base=standard(2), flow=realnvp())
    likelihood = Transformed("p(x|z)", base=sd.Normal("p(v|z)", lambda z: (z, 0.1)), flow=realnvp())
    joint = likelihood * prior
    drawn = joint.sample(n=5, shape=(3,))
    assert {name: value.shape for name, value in drawn.items()} == {"x": (3, 5, 2), "z": (3, 5, 2)}
    expected = prior.log_prob({"z": drawn["z"]}) + likelihood.log_prob(drawn, sample_axes={"z": 1, "x": 1})
    torch.testing.assert_close(joint.log_prob(drawn), expected)
    q = posterior(realnvp())
    both = sd.Normal("p(x|z)", lambda z: (z.repeat(1, 2)[:, :3], 1.0)) * q.rename(x="y")
    assert both.sample({"y": torch.randn(4, 3)})["x"].shape == (4, 3)
