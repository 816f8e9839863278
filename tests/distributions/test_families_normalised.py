"""Densities integrate to one, and probabilities sum to one."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import scipy.integrate
import torch
from torch import Tensor

import symdgm.distributions as sd

INF = math.inf
LINES: list[tuple[type[sd.Family], dict[str, float], float, float]] = [
    (sd.Normal, {"loc": 0.3, "log_scale": -0.4}, -INF, INF),
    (sd.LogNormal, {"loc": 0.3, "scale": 0.7}, 0, INF),
    (sd.Laplace, {"loc": 0.0, "scale": 0.7}, -INF, INF),
    (sd.StudentT, {"df": 2.5, "loc": 0.3, "scale": 0.7}, -INF, INF),
    (sd.Cauchy, {"loc": 0.3, "scale": 0.7}, -INF, INF),
    (sd.Logistic, {"loc": 0.3, "scale": 0.7}, -INF, INF),
    (sd.Uniform, {"low": -1.0, "high": 2.5}, -1, 2.5),
    (sd.Exponential, {"rate": 1.7}, 0, INF),
    (sd.Gamma, {"concentration": 1.3, "rate": 2.0}, 0, INF),
    (sd.Gamma, {"concentration": 30.0, "scale": 0.1}, 0, INF),
    (sd.InverseGamma, {"concentration": 1.3, "rate": 2.0}, 0, INF),
    (sd.Beta, {"concentration1": 1.5, "concentration0": 2.5}, 0, 1),
    (sd.VonMises, {"loc": 0.3, "concentration": 0.0}, -math.pi, math.pi),
    (sd.VonMises, {"loc": 0.3, "concentration": 5.0}, -math.pi, math.pi),
    (sd.ContinuousBernoulli, {"logits": 0.003}, 0, 1),
    (sd.ContinuousBernoulli, {"probs": 0.9}, 0, 1),
    (sd.RelaxedBernoulli, {"logits": 0.5, "temperature": 0.9}, 0, 1),
    (sd.RelaxedBernoulli, {"logits": 0.5, "temperature": 3.0}, 0, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "numbers", "low", "high"), LINES, ids=[f"{row[0].__name__}-{i}" for i, row in enumerate(LINES)]
)
def test_densities_integrate_to_one_and_give_their_moments(
    family: type[sd.Family], numbers: dict[str, float], low: float, high: float
) -> None:
    p = family("p(x)", event_shape=(), **numbers).double()

    def density(x: float) -> float:
        return float(p.prob({"x": torch.tensor([x], dtype=torch.float64)}, check=False))

    def integral(f: Any) -> float:
        return float(scipy.integrate.quad(f, low, high, limit=400)[0])

    assert integral(density) == pytest.approx(1, abs=1e-6)
    if family not in (sd.RelaxedBernoulli,):
        surprise = integral(lambda x: -density(x) * math.log(max(density(x), 1e-300)))
        assert float(p.entropy()) == pytest.approx(surprise, abs=1e-4)
    if family not in (sd.RelaxedBernoulli, sd.Cauchy, sd.VonMises):
        assert float(p.mean()["x"]) == pytest.approx(integral(lambda x: x * density(x)), abs=1e-5)


@pytest.mark.parametrize("concentration", [0.0, 1e-3, 2.0, 40.0, 5e4])
def test_the_variance_of_an_angle_is_circular(concentration: float) -> None:
    p = sd.VonMises("p(x)", loc=0.3, concentration=concentration, event_shape=()).double()
    width = min(math.pi, 12 / math.sqrt(max(concentration, 1e-9)))

    def integrand(x: float) -> float:
        value = torch.tensor([x + 0.3], dtype=torch.float64)
        return 2 * math.sin(0.5 * x) ** 2 * float(p.prob({"x": value}))

    expected = scipy.integrate.quad(integrand, -width, width, epsabs=1e-13)[0]
    assert float(p.variance()["x"]) == pytest.approx(expected, rel=1e-8)
    assert float(p.mean()["x"]) == 0.3


@pytest.mark.parametrize(
    "p",
    [
        sd.Dirichlet("p(x)", concentration=torch.tensor([1.5, 2.0, 3.0])),
        sd.RelaxedOneHotCategorical("p(x)", logits=torch.tensor([0.0, 0.5, 1.0]), temperature=2.0),
    ],
    ids=lambda p: p.family,
)
def test_densities_on_the_simplex_integrate_to_one(p: sd.Family) -> None:
    p = p.double()
    nodes, weights = (torch.as_tensor(t) for t in scipy.special.roots_legendre(300))
    u, w = 0.5 * (nodes + 1), 0.5 * weights
    first, share = u[:, None].expand(300, 300), u[None, :].expand(300, 300)
    second = (1 - first) * share
    rows = torch.stack([first, second, (1 - first) * (1 - share)], -1).flatten(0, 1)
    density = p.prob({"x": rows}).reshape(300, 300)
    assert float((density * (1 - first) * w[:, None] * w[None, :]).sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("dim", [2, 3, 5, 64])
@pytest.mark.parametrize("concentration", [0.0, 0.01, 7.0, 2e3])
def test_densities_on_spheres_integrate_to_one(dim: int, concentration: float) -> None:
    """Over the angle to the mean direction, times the area of the sphere across it; in 64 dimensions, too."""
    loc = torch.eye(dim, dtype=torch.float64)[0]
    p = sd.VonMisesFisher("p(x)", loc=loc, concentration=concentration)
    step = math.pi / 200_000
    angle = (torch.arange(200_000, dtype=torch.float64) + 0.5) * step
    value = torch.zeros(len(angle), dim, dtype=torch.float64)
    value[:, 0], value[:, 1] = angle.cos(), angle.sin()
    area = math.log(2) + (dim - 1) / 2 * math.log(math.pi) - math.lgamma((dim - 1) / 2)
    log_mass = p.log_prob({"x": value}) + (dim - 2) * angle.sin().log() + area
    assert float(log_mass.exp().sum() * step) == pytest.approx(1, abs=1e-7)
    surprise = -(log_mass.exp() * p.log_prob({"x": value})).sum() * step
    assert float(p.entropy()) == pytest.approx(float(surprise), abs=1e-6)


def number(p: sd.Family, most: int) -> Tensor:
    return p.prob({"x": torch.arange(most + 1, dtype=torch.float64)})


COUNTS: list[tuple[type[sd.Family], dict[str, float], int]] = [
    (sd.Binomial, {"total_count": 7, "logits": 0.4}, 7),
    (sd.Binomial, {"total_count": 7, "probs": 0.0}, 7),
    (sd.Binomial, {"total_count": 0, "probs": 1.0}, 0),
    (sd.Geometric, {"logits": -1.0}, 200),
    (sd.Geometric, {"probs": 1.0}, 5),
    (sd.Poisson, {"rate": 3.5}, 60),
    (sd.Poisson, {"rate": 0.0}, 5),
    (sd.Poisson, {"log_rate": 5.5}, 600),
    (sd.NegativeBinomial, {"total_count": 2.5, "probs": 0.6}, 200),
]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "numbers", "most"), COUNTS, ids=[f"{row[0].__name__}-{i}" for i, row in enumerate(COUNTS)]
)
def test_probabilities_of_counts_sum_to_one_and_give_the_moments(
    family: type[sd.Family], numbers: dict[str, float], most: int
) -> None:
    p = family("p(x)", event_shape=(), **numbers).double()
    probs, states = number(p, most), torch.arange(most + 1, dtype=torch.float64)
    assert float(probs.sum()) == pytest.approx(1, abs=1e-12)
    mean = float((probs * states).sum())
    assert float(p.mean()["x"]) == pytest.approx(mean, abs=1e-8)
    assert float(p.variance()["x"]) == pytest.approx(float((probs * (states - mean) ** 2).sum()), abs=1e-7)
    if family is not sd.NegativeBinomial:
        expected = -float(torch.special.xlogy(probs, probs).sum())
        assert float(p.entropy()) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("rate", [99.9, 100.1, 3e3])
def test_the_entropy_of_a_poisson_is_the_same_on_both_sides_of_its_switch(rate: float) -> None:
    p = sd.Poisson("p(x)", rate=rate, event_shape=()).double()
    probs = number(p, int(rate + 40 * math.sqrt(rate)))
    assert float(p.entropy()) == pytest.approx(-float(torch.special.xlogy(probs, probs).sum()), abs=1e-8)


def test_a_multinomial_counts_to_its_total() -> None:
    """Pixyz never passed `total_count` on, so that every draw had a sum of one."""
    p = sd.Multinomial("p(x)", total_count=4, probs=torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64))
    all_rows = [row for row in itertools.product(range(5), repeat=3) if sum(row) == 4]
    rows = torch.tensor(all_rows, dtype=torch.float64)
    probs = p.prob({"x": rows})
    assert float(probs.sum()) == pytest.approx(1, abs=1e-12)
    assert float(p.entropy()) == pytest.approx(-float((probs * probs.log()).sum()), abs=1e-10)
    draws = p.sample(n=3000, generator=torch.Generator().manual_seed(0))["x"]
    assert draws.sum(-1).unique().tolist() == [4]
    each = (draws[:, None] == rows).all(-1).double().mean(0)
    z = (each - probs) / (probs * (1 - probs) / 3000).sqrt()
    assert z.abs().max() < 5


def test_a_multinomial_may_count_to_another_total_in_each_row() -> None:
    total = torch.tensor([0.0, 3.0, 10.0])
    q = sd.Multinomial("p(x|n)", logits=torch.zeros(4), total_count=lambda n: n)
    draws = q.sample({"n": total}, shape=50)["x"]
    assert torch.equal(draws.sum(-1), total.expand(50, 3))
    assert q.log_prob({"x": draws, "n": total}).isfinite().all()
    assert torch.equal(q.mean({"n": total})["x"], total[:, None] / 4 * torch.ones(4))
    each = [sd.Multinomial("p(x)", logits=torch.zeros(4), total_count=int(n)).entropy() for n in total]
    torch.testing.assert_close(q.entropy({"n": total}), torch.cat(each))


def test_a_class_of_probability_zero_is_never_counted() -> None:
    probs = torch.tensor([0.5, 0.0, 0.5, 0.0])
    p = sd.Multinomial("p(x)", total_count=100, probs=probs)
    draws = p.sample(n=500)["x"]
    assert draws[:, [1, 3]].abs().sum() == 0
    assert p.log_prob({"x": draws}).isfinite().all()


THREE = {"logits": torch.zeros(3), "loc": torch.arange(3.0), "scale": torch.ones(3)}


@pytest.mark.parametrize("p", [
    sd.DiscretizedLogistic("p(x)", levels=256, loc=0.4, scale=0.05, event_shape=()),
    sd.DiscretizedLogistic("p(x)", levels=2, low=-1, high=1, loc=40.0, log_scale=-3.0, event_shape=()),
    sd.DiscretizedLogisticMixture("p(x)", levels=32, **THREE),
], ids=["256", "2", "mixture"])  # fmt: skip
def test_the_masses_of_a_grid_sum_to_one(p: sd.DiscretizedLogistic) -> None:
    p = p.double()
    levels = torch.linspace(p.grid.low, p.grid.high, p.grid.levels, dtype=torch.float64)
    probs = p.prob({"x": levels})
    assert float(probs.sum()) == pytest.approx(1, abs=1e-12)
    assert float(p.entropy()) == pytest.approx(-float(torch.special.xlogy(probs, probs).sum()), abs=1e-10)
    draws = p.sample(n=4000, generator=torch.Generator().manual_seed(0))["x"]
    assert torch.isin((draws - p.grid.low).div(p.grid.step).round(), torch.arange(p.grid.levels)).all()
    assert (
        abs(float(draws.mean() - p.mean()["x"]))
        < 5 * float(p.variance()["x"].sqrt()) / math.sqrt(4000) + 1e-12
    )
