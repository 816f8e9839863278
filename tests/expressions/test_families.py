"""The formulas of the families against scipy, torch.distributions, quadrature and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.integrate
import scipy.stats as st
import torch
import torch.distributions as td
from formula_values import evaluated
from sympy import Basic, Integer, Rational
from torch import Tensor

from symdgm.expressions.families import FAMILIES as ALL
from symdgm.expressions.families import (
    MU,
    MU_P,
    NOISE,
    PROBS_P,
    SIGMA,
    SIGMA_P,
    VALUE,
    Family,
    family,
    kl_formula,
)  # fmt: skip
from symdgm.expressions.folding import fold
from symdgm.expressions.scope import replace

FAMILIES = [e for e in ALL if e.name in ("Normal", "Bernoulli", "Categorical", "OneHotCategorical")]
"""The others are in `test_more_families`."""


def parameters(entry: Family, seed: int) -> tuple[dict[Basic, Tensor], td.Distribution]:
    """Random parameters of one element, and the reference."""
    raw = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if entry.name == "Normal":
        return {MU: raw[0], SIGMA: raw[1].exp()}, td.Normal(raw[0], raw[1].exp())
    (name,) = entry.symbols
    if entry.name == "Bernoulli":
        value = raw[0] if name == "logits" else raw[0].sigmoid()
        return {entry.symbols[name]: value}, td.Bernoulli(**{name: value})
    value = raw if name == "logits" else raw.softmax(-1)
    return {entry.symbols[name]: value}, td.OneHotCategorical(**{name: value})


def states(entry: Family) -> list[Tensor]:
    if entry.name == "Bernoulli":
        return [torch.tensor(0.0).double(), torch.tensor(1.0).double()]
    return list(torch.eye(4, dtype=torch.float64))


def label(entry: Family) -> str:
    return f"{entry.name}-{'-'.join(entry.symbols)}"


SEEDS = range(5)
FINITE = [e for e in FAMILIES if e.discrete]
PAIRS = [(q, p) for q, p in itertools.product(FAMILIES, FAMILIES) if q.name == p.name]


@pytest.mark.parametrize("entry", FAMILIES, ids=label)
@pytest.mark.parametrize("seed", SEEDS)
def test_log_density_entropy_and_mean(entry, seed):
    values, reference = parameters(entry, seed)
    for x in states(entry) if entry.discrete else [torch.tensor(v).double() for v in (-1.5, 0.2, 3.0)]:
        found = evaluated(entry.log_density, {**values, VALUE: x}).sum()
        torch.testing.assert_close(found, reference.log_prob(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        evaluated(entry.entropy, values).sum(), reference.entropy(), rtol=1e-10, atol=1e-10
    )
    torch.testing.assert_close(evaluated(entry.mean, values), reference.mean, rtol=1e-10, atol=1e-10)


def test_normal_against_scipy_and_quadrature():
    entry = family("Normal", ("loc", "scale"))
    mu, sigma, mu_0, sigma_0 = 0.7, 1.3, -0.4, 0.8
    values = {MU: mu, SIGMA: sigma, MU_P: mu_0, SIGMA_P: sigma_0}
    values = {k: torch.tensor(v, dtype=torch.float64) for k, v in values.items()}
    q, p = st.norm(mu, sigma), st.norm(mu_0, sigma_0)
    assert float(
        evaluated(entry.log_density, {**values, VALUE: torch.tensor(2.0).double()})
    ) == pytest.approx(q.logpdf(2.0), rel=1e-12)
    assert float(evaluated(entry.entropy, values)) == pytest.approx(q.entropy(), rel=1e-12)
    kl, _ = scipy.integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), -12, 12)
    assert float(evaluated(entry.kl, values)) == pytest.approx(kl, rel=1e-8)
    draw = evaluated(entry.draw, {**values, NOISE: torch.linspace(-1, 1, 5).double()})
    np.testing.assert_allclose(draw, mu + sigma * np.linspace(-1, 1, 5))


@pytest.mark.parametrize(("q", "p"), PAIRS, ids=lambda e: label(e))
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("folded", [False, True])
def test_divergence_in_every_parametrisation(q, p, seed, folded):
    ours, left = parameters(q, seed)
    theirs, right = parameters(p, seed + 100)
    renamed = {p.others[name]: theirs[symbol] for name, symbol in p.symbols.items()}
    formula = kl_formula(q, p)
    found = evaluated(fold(formula) if folded else formula, {**ours, **renamed}).sum()
    torch.testing.assert_close(found, td.kl_divergence(left, right), rtol=1e-10, atol=1e-10)
    if q.discrete:
        by_hand = sum(left.log_prob(x).exp() * (left.log_prob(x) - right.log_prob(x)) for x in states(q))
        torch.testing.assert_close(found, by_hand, rtol=1e-10, atol=1e-10)


def test_other_families_have_no_divergence():
    normal, bernoulli = family("Normal", ("loc", "scale")), family("Bernoulli", ("logits",))
    assert kl_formula(normal, bernoulli) is None
    assert family("Normal", ("logits",)) is None


@pytest.mark.parametrize("entry", FINITE, ids=label)
def test_log_density_is_linear_in_the_value(entry):
    values, _ = parameters(entry, 0)
    a, b = states(entry)[:2]
    mixed = evaluated(entry.log_density, {**values, VALUE: 0.3 * a + 0.7 * b})
    parts = [evaluated(entry.log_density, {**values, VALUE: v}) for v in (a, b)]
    torch.testing.assert_close(mixed, 0.3 * parts[0] + 0.7 * parts[1])


@pytest.mark.parametrize(
    ("entry", "constants", "shown"),
    [
        (("Normal", ("loc", "scale")), {MU_P: 0, SIGMA_P: 1}, "1/2 (mu^2 + sigma^2 - 1) - log sigma"),
        (("Normal", ("loc", "scale")), {MU: 0, SIGMA: 1, MU_P: 1, SIGMA_P: 1}, "1/2"),
        (("Bernoulli", ("probs",)), {PROBS_P: Rational(1, 2)}, "pi log pi + log(2) + (1 - pi) log(1 - pi)"),
    ],
)
def test_constants_leave_a_neat_form(entry, constants, shown):
    special = fold(
        replace(family(*entry).kl, {k: Integer(v) if v in (0, 1) else v for k, v in constants.items()})
    )
    if shown == "1/2":
        assert float(evaluated(special, {})) == 0.5
    else:
        assert str(special) == shown


def test_logits_under_a_fair_coin_are_neat():
    q, p = family("Bernoulli", ("logits",)), family("Bernoulli", ("probs",))
    special = fold(replace(kl_formula(q, p), {PROBS_P: Rational(1, 2)}))
    assert str(special) == "log(2) - softplus(ell) + ell sigmoid(ell)"
