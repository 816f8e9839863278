"""Pathwise gradients: at the same noise, or in expectation where the draw is made by rejection."""

from __future__ import annotations

import math

import pytest
import scipy.stats as st
import torch
from torch import Tensor

import symdgm.distributions as sd
from symdgm.distributions import noise, polar_angles
from tests.distributions.cases import Case
from tests.distributions.cases_continuous import CONTINUOUS

REJECTED = (sd.StudentT, sd.Gamma, sd.InverseGamma, sd.Beta, sd.Dirichlet, sd.VonMises, sd.VonMisesFisher)
SMOOTH = [case for case in CONTINUOUS if not issubclass(case.family, REJECTED)]
DRAWN = [case for case in CONTINUOUS if issubclass(case.family, REJECTED)]
Z_BOUND = 5.0
ROWS = 20_000


def weights(shape: torch.Size) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def turned(name: str, t: Tensor) -> Tensor:
    """A direction stays one, and a covariance symmetric, when it is moved."""
    if name.endswith("_matrix"):
        return 0.5 * (t + t.mT)
    return torch.nn.functional.normalize(t, dim=-1) if name == "direction" else t


@pytest.mark.parametrize("case", SMOOTH, ids=lambda case: case.name)
def test_gradients_of_draws_are_finite_differences_at_the_same_noise(case: Case) -> None:
    q = case.new("p(v)", **case.parameters((), torch.float64))
    parameters = case.parameters((2,), torch.float64)
    names, shape = list(parameters), torch.Size((2, *case.event))

    def drawn(*tensors: Tensor) -> Tensor:
        moved = {n: turned(n, t) for n, t in zip(names, tensors, strict=True)}
        return q.draw(moved | case.numbers(), shape, torch.Generator().manual_seed(0))

    assert torch.autograd.gradcheck(drawn, [parameters[n].requires_grad_() for n in names], atol=1e-5)


def moments(q: sd.Family, parameters: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    if isinstance(q, sd.VonMises):
        length = 1 - q.variance_at(parameters)
        return length * parameters["loc"].cos(), length * parameters["loc"].sin()
    mean = q.mean_at(parameters)
    return mean, q.variance_at(parameters) + mean.square()


def features(q: sd.Family, value: Tensor) -> tuple[Tensor, Tensor]:
    return (value.cos(), value.sin()) if isinstance(q, sd.VonMises) else (value, value.square())


@pytest.mark.parametrize("case", DRAWN, ids=lambda case: case.name)
def test_mean_gradients_of_draws_are_those_of_the_moments(case: Case) -> None:
    """For each parameter, the mean of ``d (w . f(x))`` over draws is ``d (w . E f)``."""
    q = case.new("p(v)", **case.parameters((), torch.float64))
    parameters = case.parameters((), torch.float64)
    names = list(parameters)
    leaves = {n: turned(n, t.requires_grad_()) for n, t in parameters.items()}
    rows = {n: t.detach().expand(ROWS, *t.shape).clone().requires_grad_() for n, t in parameters.items()}
    if isinstance(q, sd.VonMisesFisher):  # a direction moves on the sphere only
        turn = torch.nn.functional.normalize
        leaves["loc"], moved = turn(parameters["loc"], dim=-1), {**rows, "loc": turn(rows["loc"], dim=-1)}
    else:
        moved = rows
    drawn = q.draw(moved, torch.Size((ROWS, *case.event)), torch.Generator().manual_seed(1))
    for found, expected in zip(features(q, drawn), moments(q, leaves), strict=True):
        w = weights(expected.shape)
        exact = torch.autograd.grad(
            (w * expected).sum(), [parameters[n] for n in names], retain_graph=True, materialize_grads=True
        )
        each = torch.autograd.grad((w * found).sum(), [rows[n] for n in names], retain_graph=True)
        for one, many in zip(exact, each, strict=True):
            error = many.std(0) / math.sqrt(ROWS) + 1e-6
            assert ((many.mean(0) - one) / error).abs().max() < Z_BOUND


@pytest.mark.parametrize("concentration", [0.05, 0.7, 5.0, 300.0])
def test_gamma_noise_moves_along_its_quantile_where_the_boost_is_held(concentration: float) -> None:
    """The implicit gradient of the boosted number is that of scipy's quantile function."""
    a = torch.full((40,), concentration, dtype=torch.float64, requires_grad=True)
    boosted, power = noise._boosted_gamma(a, torch.Generator().manual_seed(3))
    (slope,) = torch.autograd.grad(boosted.sum(), a)
    at = st.gamma.cdf(boosted.detach().numpy(), concentration + 1)
    step = 1e-4 * (concentration + 1)
    quantiles = [torch.as_tensor(st.gamma.ppf(at, concentration + 1 + s)) for s in (step, -step)]
    torch.testing.assert_close(slope, (quantiles[0] - quantiles[1]) / (2 * step), rtol=2e-3, atol=2e-3)
    (slope,) = torch.autograd.grad(power.sum(), a)
    torch.testing.assert_close(slope, -power.detach() / concentration)


@pytest.mark.parametrize("concentration", [0.01, 0.5, 4.0, 80.0, 3000.0])
def test_angles_of_the_circle_move_along_their_quantile(concentration: float) -> None:
    kappa = torch.full((30,), concentration, dtype=torch.float64)
    angle = polar_angles.draw_angles(kappa, 2, kappa.shape, torch.Generator().manual_seed(0))
    step = 1e-3 * concentration
    upper, lower = (st.vonmises.cdf(angle.numpy(), concentration + s) for s in (step, -step))
    moved = (upper - lower) / (2 * step)
    expected = torch.as_tensor(-moved / st.vonmises.pdf(angle.numpy(), concentration))
    slope = polar_angles.implicit_slope(angle, kappa, 2)
    torch.testing.assert_close(slope, expected, rtol=2e-3, atol=1e-5)


def test_angles_without_a_concentration_move_by_their_sine() -> None:
    """At zero, ``dF/dk = sin(angle) / pi`` on the half circle of density ``1 / pi``."""
    kappa = torch.zeros(9, dtype=torch.float64)
    angle = torch.linspace(0.1, 3.0, 9, dtype=torch.float64)
    torch.testing.assert_close(polar_angles.implicit_slope(angle, kappa, 2), -angle.sin())


@pytest.mark.parametrize("dim", [3, 4, 20])
@pytest.mark.parametrize("concentration", [0.3, 10.0, 500.0])
def test_angles_of_spheres_move_along_their_quantile(dim: int, concentration: float) -> None:
    """The distribution function by a trapezium rule over half a million points."""
    kappa = torch.full((8,), concentration, dtype=torch.float64)
    angle = polar_angles.draw_angles(kappa, dim, kappa.shape, torch.Generator().manual_seed(0))
    grid = torch.linspace(1e-9, math.pi - 1e-9, 500_000, dtype=torch.float64)

    def distribution(k: float) -> tuple[Tensor, Tensor]:
        density = (k * (grid.cos() - 1) + (dim - 2) * grid.sin().log()).exp()
        below = torch.cumulative_trapezoid(density, grid)
        index = torch.searchsorted(grid, angle) - 1
        share = (angle - grid[index]) / (grid[1] - grid[0])
        at = below[index - 1] + share * (below[index] - below[index - 1])
        exact = (k * (angle.cos() - 1) + (dim - 2) * angle.sin().log()).exp()
        return at / below[-1], exact / below[-1]

    step = 1e-3 * concentration
    moved = (distribution(concentration + step)[0] - distribution(concentration - step)[0]) / (2 * step)
    expected = -moved / distribution(concentration)[1]
    torch.testing.assert_close(polar_angles.implicit_slope(angle, kappa, dim), expected, rtol=1e-3, atol=1e-7)


def test_pathwise_is_said_by_every_family() -> None:
    for case in CONTINUOUS:
        assert case.family.pathwise
    assert not sd.Categorical.pathwise
    assert not sd.DiscretizedLogistic.pathwise
    assert not sd.Custom.pathwise
