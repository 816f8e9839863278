"""The formulas of the other families against scipy's densities, by quadrature and exact sums."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import scipy.integrate
import scipy.stats as st
import sympy
import torch
import torch.distributions as td
from formula_values import evaluated
from sympy import Basic

from symdgm.expressions.families import VALUE, Family, family, kl_formula

HALF, UNIT, LINE = (0, np.inf), (0, 1), (-np.inf, np.inf)
GAMMA = ("concentration", "rate")
COUNTS = 400
"""Counts beyond it have no weight at the parameters below."""


class Case:
    """A family with scipy's law and two settings of its parameters."""

    def __init__(
        self,
        name: str,
        parameters: tuple[str, ...],
        law: Callable[..., object],
        settings: list[tuple[float, ...]],
        range_: tuple[float, float] | None = None,
    ) -> None:
        self.name, self.parameters, self.law, self.settings, self.range = (
            name,
            parameters,
            law,
            settings,
            range_,
        )

    @property
    def entry(self) -> Family:
        found = family(self.name, self.parameters)
        assert found is not None
        return found

    def values(self, setting: tuple[float, ...], *, second: bool = False) -> dict[Basic, torch.Tensor]:
        names = self.entry.others if second else self.entry.symbols
        return {
            names[k]: torch.tensor(v, dtype=torch.float64)
            for k, v in zip(self.parameters, setting, strict=True)
        }

    def mean_of(self, setting: tuple[float, ...], function: Callable[[np.ndarray], np.ndarray]) -> float:
        """By quadrature, or by the sum over all counts."""
        law = self.law(*setting)
        if self.range is None:
            possible = np.arange(COUNTS)
            possible = possible[law.pmf(possible) > 0]
            return float((law.pmf(possible) * function(possible)).sum())
        cuts = law.ppf([1e-9, 1e-4, 0.1, 0.5, 0.9, 1 - 1e-4, 1 - 1e-9])
        ends = np.unique(np.clip([self.range[0], *cuts, self.range[1]], -1e300, 1e300))
        inside = [e for e in ends if np.isfinite(e) and abs(e) < 1e299]
        pieces = itertools.pairwise(
            [self.range[0], *[e for e in inside if e not in self.range], self.range[1]]
        )
        return sum(
            scipy.integrate.quad(lambda x: law.pdf(x) * function(x), a, b, limit=200)[0] for a, b in pieces
        )

    def __repr__(self) -> str:
        return f"{self.name}-{'-'.join(self.parameters)}"


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _lognormal(loc: float, scale: float) -> object:
    return st.lognorm(scale, scale=np.exp(loc))


CASES = [
    Case("LogNormal", ("loc", "scale"), _lognormal, [(0.3, 0.6), (-0.2, 0.9)], HALF),
    Case("Laplace", ("loc", "scale"), st.laplace, [(0.3, 0.6), (-1.2, 1.5)], LINE),
    Case("Exponential", ("rate",), lambda r: st.expon(scale=1 / r), [(0.7,), (2.5,)], HALF),
    Case("Gamma", GAMMA, lambda a, b: st.gamma(a, scale=1 / b), [(2.3, 0.7), (1.4, 3.0)], HALF),
    Case("InverseGamma", GAMMA, lambda a, b: st.invgamma(a, scale=b), [(3.3, 0.7), (4.4, 3.0)], HALF),
    Case("Beta", ("concentration1", "concentration0"), st.beta, [(2.3, 1.7), (1.4, 3.0)], UNIT),
    Case("Binomial", ("total_count", "logits"), lambda n, l: st.binom(n, _sigmoid(l)), [(7, 0.4), (7, -1.3)]),
    Case("Binomial", ("total_count", "probs"), st.binom, [(7, 0.4), (7, 0.8)]),
    Case("Geometric", ("logits",), lambda l: st.geom(_sigmoid(l), loc=-1), [(0.4,), (-1.3,)]),
    Case("Geometric", ("probs",), lambda p: st.geom(p, loc=-1), [(0.4,), (0.8,)]),
    Case("Poisson", ("rate",), st.poisson, [(2.3,), (5.1,)]),
    Case("Poisson", ("log_rate",), lambda l: st.poisson(np.exp(l)), [(0.8,), (1.6,)]),
]  # fmt: skip
BOTH = [(case, i) for case in CASES for i in (0, 1)]


@pytest.mark.parametrize(("case", "i"), BOTH)
def test_log_density_against_scipy(case, i):
    law = case.law(*case.settings[i])
    x = law.ppf(np.linspace(0.05, 0.95, 7))
    log = law.logpmf(x) if case.range is None else law.logpdf(x)
    found = evaluated(case.entry.log_density, {**case.values(case.settings[i]), VALUE: torch.tensor(x)})
    np.testing.assert_allclose(found, log, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("case", "i"), BOTH)
def test_entropy_mean_and_variance_are_integrals(case, i):
    entry, setting = case.entry, case.settings[i]
    law, values = case.law(*setting), case.values(setting)
    log = law.logpmf if case.range is None else law.logpdf
    mean = case.mean_of(setting, lambda x: x)
    expected = {
        "entropy": case.mean_of(setting, lambda x: -log(x)),
        "mean": mean,
        "variance": case.mean_of(setting, lambda x: (x - mean) ** 2),
        "deviation": case.mean_of(setting, lambda x: (x - mean) ** 2) ** 0.5,
    }
    stated = {name: getattr(entry, name) for name in expected if getattr(entry, name) is not None}
    assert stated or entry.name == "InverseGamma"
    for name, formula in stated.items():
        assert float(evaluated(formula, values)) == pytest.approx(expected[name], rel=1e-6), name


MOMENTS = [
    (c, k)
    for c in [*CASES, Case("Normal", ("loc", "scale"), st.norm, [(0.3, 0.6)], LINE)]
    for k in c.entry.moments
]


@pytest.mark.parametrize(("case", "statistic"), MOMENTS, ids=str)
def test_means_of_statistics_are_integrals(case, statistic):
    setting = case.settings[0]
    expected = case.mean_of(
        setting, lambda x: float(evaluated(statistic, {VALUE: torch.tensor(x, dtype=torch.float64)}))
    )
    found = evaluated(case.entry.moments[statistic], case.values(setting))
    assert float(found) == pytest.approx(expected, rel=1e-6)


PAIRS = [(a, b) for a, b in itertools.product(CASES, CASES) if kl_formula(a.entry, b.entry) is not None]


@pytest.mark.parametrize(("q", "p"), PAIRS, ids=str)
def test_divergence_is_the_integral(q, p):
    ours, theirs = q.settings[0], p.settings[1]
    left, right = q.law(*ours), p.law(*theirs)
    logs = (left.logpmf, right.logpmf) if q.range is None else (left.logpdf, right.logpdf)
    expected = q.mean_of(ours, lambda x: logs[0](x) - logs[1](x))
    values = {**q.values(ours), **p.values(theirs, second=True)}
    formula = kl_formula(q.entry, p.entry)
    assert float(evaluated(formula, values)) == pytest.approx(expected, rel=1e-6)
    assert expected > 0.01


@pytest.mark.parametrize(("q", "p"), PAIRS, ids=str)
def test_gradient_of_a_divergence_against_finite_differences(q, p):
    values = {**q.values(q.settings[0]), **p.values(p.settings[1], second=True)}
    formula = kl_formula(q.entry, p.entry)
    names = [n for n in values if str(n) not in ("n", "n_0")]
    leaves = tuple(values[n].requires_grad_() for n in names)
    assert torch.autograd.gradcheck(
        lambda *found: evaluated(formula, {**values, **dict(zip(names, found, strict=True))}), leaves
    )


def test_there_is_a_case_for_every_family():
    from symdgm.expressions.families import FAMILIES

    tested = {(c.name, c.parameters) for c in CASES} | {("Dirichlet", ("concentration",))}
    first = ("Normal", "Bernoulli", "Categorical", "OneHotCategorical")
    assert {(e.name, tuple(e.symbols)) for e in FAMILIES if e.name not in first} == tested


def test_dirichlet_against_torch_and_beta():
    entry = family("Dirichlet", ("concentration",))
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(4, 3, generator=generator, dtype=torch.float64) * 4 + 0.3 for _ in range(2))
    values = {entry.symbols["concentration"]: a, entry.others["concentration"]: b}
    expected = td.kl_divergence(td.Dirichlet(a), td.Dirichlet(b))
    torch.testing.assert_close(evaluated(entry.kl, values), expected, rtol=1e-10, atol=1e-10)
    x = td.Dirichlet(a).sample()
    found = evaluated(entry.log_density, {**values, VALUE: x})
    torch.testing.assert_close(found, td.Dirichlet(a).log_prob(x), rtol=1e-10, atol=1e-10)
    two, beta = a[:, :2], family("Beta", ("concentration1", "concentration0"))
    as_beta = {beta.symbols["concentration1"]: two[:, 0], beta.symbols["concentration0"]: two[:, 1]}
    as_beta |= {beta.others["concentration1"]: b[:, 0], beta.others["concentration0"]: b[:, 1]}
    rows = {entry.symbols["concentration"]: two, entry.others["concentration"]: b[:, :2]}
    torch.testing.assert_close(evaluated(entry.kl, rows), evaluated(beta.kl, as_beta))


def test_divergences_by_sympy():
    """Symbolic integrals, for every value of the parameters."""
    x, a, b = sympy.symbols("x a b", positive=True)
    density, other = a * sympy.exp(-a * x), b * sympy.exp(-b * x)
    kl = sympy.integrate(
        density * (sympy.expand_log(sympy.log(density) - sympy.log(other))), (x, 0, sympy.oo)
    )
    assert sympy.simplify(kl - (b / a - 1 - sympy.log(b / a))) == 0
    mu, nu, s, t = sympy.Symbol("mu"), sympy.Symbol("nu"), *sympy.symbols("s t", positive=True)
    y = sympy.Symbol("y", real=True)
    normal = sympy.exp(-((y - mu) ** 2) / (2 * s**2)) / (s * sympy.sqrt(2 * sympy.pi))
    log_ratio = -((y - mu) ** 2) / (2 * s**2) - sympy.log(s) + (y - nu) ** 2 / (2 * t**2) + sympy.log(t)
    real = {mu: sympy.Symbol("m", real=True), nu: sympy.Symbol("n", real=True)}
    found = sympy.integrate(sympy.expand((normal * log_ratio).subs(real)), (y, -sympy.oo, sympy.oo))
    m, n = real.values()
    assert sympy.simplify(found - (((m - n) / t) ** 2 + (s / t) ** 2 - 1) / 2 + sympy.log(s / t)) == 0
