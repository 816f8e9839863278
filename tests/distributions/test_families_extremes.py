"""Extreme parameters in float32: values, gradients and draws, against float64 or scipy."""

from __future__ import annotations

import math
from typing import Any

import pytest
import scipy.stats as st
import torch

import symdgm.distributions as sd
from symdgm.distributions.stable import log_gamma_half_step, log_poisson

GENERATOR = 5


def scalar(family: Any, **numbers: float) -> Any:
    return family("p(x)", event_shape=(), **numbers)


def at(p: Any, value: float) -> float:
    return float(p.log_prob({"x": torch.tensor([value])}))


VALUES: list[tuple[Any, dict[str, float], float, float]] = [
    (sd.StudentT, {"df": 1e6, "loc": 0.0, "scale": 1.0}, 2.0, st.t.logpdf(2, 1e6)),
    (sd.StudentT, {"df": 0.01, "loc": 0.0, "scale": 1.0}, 1e4, st.t.logpdf(1e4, 0.01)),
    (sd.Cauchy, {"loc": 0.0, "scale": 1e-6}, 1.0, st.cauchy.logpdf(1, 0, 1e-6)),
    (sd.Logistic, {"loc": 0.0, "scale": 1.0}, 200.0, -200.0),
    (sd.Logistic, {"loc": 0.0, "log_scale": -5.0}, -1.0, st.logistic.logpdf(-1, 0, math.exp(-5))),
    (sd.Normal, {"loc": 0.0, "log_scale": -40.0}, 0.0, 40 - 0.5 * math.log(2 * math.pi)),
    (sd.Laplace, {"loc": 0.0, "log_scale": -60.0}, 0.0, 60 - math.log(2)),
    (sd.Gamma, {"concentration": 1e5, "rate": 1.0}, 1e5 + 300, st.gamma.logpdf(1e5 + 300, 1e5)),
    (sd.Gamma, {"concentration": 1e-4, "rate": 1.0}, 1e-30, st.gamma.logpdf(1e-30, 1e-4)),
    (sd.Gamma, {"concentration": 1.0, "rate": 2.0}, 0.0, math.log(2)),
    (sd.InverseGamma, {"concentration": 1e4, "rate": 1e4}, 1.01, st.invgamma.logpdf(1.01, 1e4, scale=1e4)),
    (sd.Poisson, {"rate": 1e6}, 1e6 + 500, st.poisson.logpmf(1e6 + 500, 1e6)),
    (sd.Poisson, {"rate": 1e-30}, 0.0, 0.0),
    (sd.Poisson, {"log_rate": -200.0}, 1.0, -200.0),
    (sd.Beta, {"concentration1": 1.0, "concentration0": 1.0}, 1.0, 0.0),
    (sd.Beta, {"concentration1": 2.0, "concentration0": 1.0}, 0.0, -math.inf),
    (sd.ContinuousBernoulli, {"logits": 0.0}, 0.3, 0.0),
    (sd.ContinuousBernoulli, {"logits": 1e-4}, 0.3, -2e-5),
    (sd.ContinuousBernoulli, {"logits": 80.0}, 1.0, math.log(80)),
    (sd.ContinuousBernoulli, {"logits": -80.0}, 1.0, math.log(80) - 80),
    (sd.VonMises, {"loc": 0.0, "concentration": 1e6}, 1e-3, -0.5 + 0.5 * math.log(1e6 / (2 * math.pi))),
    (sd.VonMises, {"loc": 0.0, "concentration": 0.0}, 2.0, -math.log(2 * math.pi)),
    (sd.Geometric, {"logits": 60.0}, 0.0, 0.0),
    (sd.Geometric, {"logits": -60.0}, 0.0, -60.0),
    (sd.Binomial, {"total_count": 3, "probs": 0.0}, 0.0, 0.0),
    (sd.Binomial, {"total_count": 3, "logits": -90.0}, 3.0, -270.0),
    (sd.NegativeBinomial, {"total_count": 2, "logits": -90.0}, 1.0, math.log(2) - 90),
    (sd.RelaxedBernoulli, {"logits": 90.0, "temperature": 1.0}, 0.5, math.log(4) - 90),
]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "numbers", "value", "expected"),
    VALUES,
    ids=[f"{v[0].__name__}-{i}" for i, v in enumerate(VALUES)],
)
def test_log_densities(family: Any, numbers: dict[str, float], value: float, expected: float) -> None:
    assert at(scalar(family, **numbers), value) == pytest.approx(expected, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize(
    ("family", "numbers", "value", "expected"),
    [row for row in VALUES if math.isfinite(row[3])],
    ids=[f"{v[0].__name__}-{i}" for i, v in enumerate(VALUES) if math.isfinite(v[3])],
)
def test_gradients_are_finite(family: Any, numbers: dict[str, float], value: float, expected: float) -> None:
    leaves = {name: torch.tensor(float(number), requires_grad=True) for name, number in numbers.items()}
    density = scalar(family, **numbers).log_density(torch.tensor(value), leaves)
    for grad in torch.autograd.grad(density, list(leaves.values()), materialize_grads=True):
        assert grad.isfinite()


DRAWS: list[tuple[Any, dict[str, float]]] = [
    (sd.Gamma, {"concentration": 1e-3, "rate": 1.0}),
    (sd.Gamma, {"concentration": 1e7, "rate": 1e7}),
    (sd.InverseGamma, {"concentration": 1e6, "rate": 1.0}),
    (sd.Beta, {"concentration1": 1e-3, "concentration0": 1e-3}),
    (sd.Beta, {"concentration1": 1e6, "concentration0": 1e6}),
    (sd.StudentT, {"df": 1e8, "loc": 0.0, "scale": 1.0}),
    (sd.RelaxedBernoulli, {"logits": 0.0, "temperature": 1e-3}),
    (sd.RelaxedBernoulli, {"probs": 1.0, "temperature": 0.1}),
    (sd.ContinuousBernoulli, {"logits": 60.0}),
    (sd.ContinuousBernoulli, {"logits": 0.0}),
    (sd.VonMises, {"loc": 3.0, "concentration": 1e5}),
    (sd.VonMises, {"loc": 3.0, "concentration": 1e-8}),
    (sd.Exponential, {"rate": 1e-8}),
    (sd.Geometric, {"logits": -12.0}),
    (sd.Geometric, {"probs": 1.0}),
    (sd.Poisson, {"rate": 0.0}),
    (sd.NegativeBinomial, {"total_count": 1e-2, "logits": 3.0}),
    (sd.DiscretizedLogistic, {"loc": 30.0, "scale": 1e-3}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "numbers"), DRAWS, ids=[f"{v[0].__name__}-{i}" for i, v in enumerate(DRAWS)]
)
def test_draws_have_a_density_and_finite_gradients(family: Any, numbers: dict[str, float]) -> None:
    leaves = {name: torch.tensor(float(number), requires_grad=True) for name, number in numbers.items()}
    p = scalar(family, **numbers)
    drawn = p.draw(leaves, torch.Size((2000,)), torch.Generator().manual_seed(GENERATOR))
    assert drawn.dtype == torch.float32
    assert p.log_prob({"x": drawn.detach()}).isfinite().all()
    if family.pathwise:
        for grad in torch.autograd.grad(drawn.sum(), list(leaves.values())):
            assert grad.isfinite()


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("form", ["logits", "probs"])
def test_relaxed_rows_have_a_density_at_any_temperature(temperature: float, form: str) -> None:
    """Pixyz's relaxed families gave NaN at rows that rounding had made hard."""
    probs = torch.tensor([0.0, 0.2, 0.8]) if form == "probs" else torch.tensor([-9.0, 0.0, 9.0])
    p = sd.RelaxedOneHotCategorical("p(y)", temperature=temperature, **{form: probs})
    drawn = p.sample(n=500, generator=torch.Generator().manual_seed(GENERATOR))["y"]
    torch.testing.assert_close(drawn.sum(-1), torch.ones(500))
    assert p.log_prob({"y": drawn}).isfinite().all()


def test_the_density_of_a_relaxed_row_is_that_of_the_relaxation() -> None:
    """Pixyz gave that of a Bernoulli: -1.273 for this one, at any value and temperature."""
    p = sd.RelaxedOneHotCategorical("p(y)", probs=torch.tensor([0.5, 0.5]), temperature=0.1)
    hard, soft = torch.tensor([[1 - 1e-3, 1e-3]]), torch.tensor([[0.5, 0.5]])
    reference = torch.distributions.RelaxedOneHotCategorical(torch.tensor(0.1), torch.tensor([0.5, 0.5]))
    for row in (hard, soft):
        torch.testing.assert_close(p.log_prob({"y": row}), reference.log_prob(row), rtol=1e-5, atol=1e-5)
    assert p.log_prob({"y": hard}) > p.log_prob({"y": soft}) + 3


@pytest.mark.parametrize("concentration", [1e-3, 1.0, 1e6])
def test_rows_of_shares_stay_on_the_simplex(concentration: float) -> None:
    p = sd.Dirichlet("p(w)", concentration=torch.full((5,), concentration))
    drawn = p.sample(n=500, generator=torch.Generator().manual_seed(GENERATOR))["w"]
    assert p.log_prob({"w": drawn}).isfinite().all()
    assert p.entropy().isfinite().all()


@pytest.mark.parametrize("concentration", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("dim", [2, 3, 512])
def test_directions_stay_on_the_sphere(dim: int, concentration: float) -> None:
    loc = torch.nn.functional.normalize(torch.ones(dim), dim=-1)
    p = sd.VonMisesFisher("p(z)", loc=loc, concentration=concentration)
    drawn = p.sample(n=200, generator=torch.Generator().manual_seed(GENERATOR))["z"]
    surprise = -p.log_prob({"z": drawn})
    z = (surprise.mean() - p.entropy()) / (surprise.std() / math.sqrt(200) + 1e-3)
    assert abs(float(z)) < 5


def test_uniform_has_no_density_outside_even_without_checks() -> None:
    p = scalar(sd.Uniform, low=0.0, high=1.0)
    value = torch.tensor([-0.1, 0.0, 1.0, 1.1])
    assert p.log_prob({"x": value}, check=False).tolist() == [-math.inf, 0, 0, -math.inf]


@pytest.mark.parametrize("family", [sd.StudentT, sd.InverseGamma])
def test_moments_that_do_not_exist_are_infinite_or_no_number(family: Any) -> None:
    tails = torch.tensor([0.5, 1.5, 2.5])
    if family is sd.StudentT:
        p = sd.StudentT("p(x)", df=tails, loc=0.0, scale=1.0)
        assert p.mean()["x"].isnan().tolist() == [[True, False, False]]
        assert p.variance()["x"].isnan().tolist() == [[True, False, False]]
    else:
        p = sd.InverseGamma("p(x)", concentration=tails, rate=1.0)
        assert p.mean()["x"].isinf().tolist() == [[True, False, False]]
    assert p.variance()["x"].isinf().tolist() == [[family is sd.InverseGamma, True, False]]


@pytest.mark.parametrize("n", [-0.5, 0.0, 3.0, 9.99, 10.01, 1e3])
@pytest.mark.parametrize("y", [1e-20, 0.3, 10.0, 2e3])
def test_the_poisson_kernel_is_exact_on_both_sides_of_its_switch(n: float, y: float) -> None:
    a = torch.tensor([n], dtype=torch.float64)
    b = torch.tensor([y], dtype=torch.float64)
    expected = n * math.log(y) - y - math.lgamma(n + 1)
    assert float(log_poisson(a, b)) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert float(log_poisson(a, b, b.log())) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    log_poisson(a.requires_grad_(), b.requires_grad_()).backward()
    assert a.grad is not None
    assert b.grad is not None
    assert float(b.grad) == pytest.approx(n / y - 1, rel=1e-9)
    assert float(a.grad) == pytest.approx(math.log(y) - float(torch.digamma(a.detach() + 1)), abs=1e-9)


@pytest.mark.parametrize("a", [0.05, 1.0, 9.99, 10.01, 1e3])
def test_half_a_step_of_the_log_gamma_is_exact_on_both_sides_of_its_switch(a: float) -> None:
    found = float(log_gamma_half_step(torch.tensor([a], dtype=torch.float64)))
    assert found == pytest.approx(math.lgamma(a + 0.5) - math.lgamma(a), rel=1e-11, abs=1e-12)
