"""Expectations of what is linear in known moments: by numpy, and what is left to be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributions as td
from lowering_cases import closed
from torch import nn

import symdgm as sd

LOG_TWO_DEVIATIONS = np.log(2 * np.sqrt(2 * np.pi))

# text, and its value by numpy for q = N(m, s^2) of two elements, prior N(1/2, 2^2) and data x
STATISTICS = [
    ("E_q(z|x)[log p(z)]", lambda m, s, x: -(((m - 0.5) ** 2 + s**2) / 8 + LOG_TWO_DEVIATIONS).sum(1)),
    ("E_q(z|x)[||z - x||^2]", lambda m, s, x: ((m - x) ** 2 + s**2).sum(1)),
    ("E_q(z|x)[||z||^2 / 2]", lambda m, s, x: (m**2 + s**2).sum(1) / 2),
    ("E_q(z|x)[<x, z>]", lambda m, s, x: (x * m).sum(1)),
    ("E_q(z|x)[<z, 2 z - x>]", lambda m, s, x: (2 * (m**2 + s**2) - x * m).sum(1)),
    ("E_q(z|x)[<z, z>]", lambda m, s, x: (m**2 + s**2).sum(1)),
    ("||E_q(z|x)[z] - x||^2", lambda m, s, x: ((m - x) ** 2).sum(1)),
    ("E_q(z|x)[sum((x z - 1)^2)]", lambda m, s, x: ((x * m - 1) ** 2 + x**2 * s**2).sum(1)),
    ("E_q(z|x)[sum(x * z * (3 - z))]", lambda m, s, x: (x * (3 * m - m**2 - s**2)).sum(1)),
    ("E_q(z|x)[sum(exp(z))]", lambda m, s, x: np.exp(m + s**2 / 2).sum(1)),
    ("E_q(z|x)[beta (||z||^2 + log p(z)) - sum(z)]", lambda m, s, x: 0.3 * (
        (m**2 + s**2).sum(1) - (((m - 0.5) ** 2 + s**2) / 8 + LOG_TWO_DEVIATIONS).sum(1)
    ) - m.sum(1)),
    ("E_q(z|x) E_{y ~ r(y)}[||z - y||^2]", lambda m, s, x: ((m - 1) ** 2 + s**2 + 0.25).sum(1)),
    ("E_q(z|x) E_{q(z'|x)}[||z - z'||^2]", lambda m, s, x: (2 * s**2).sum(1)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), STATISTICS, ids=[t for t, _ in STATISTICS])
def test_statistics_of_a_normal(text, expected):
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q = sd.Normal("q(z|x)", lambda x: (x.sin(), (0.3 * x).exp()))
    laws = [q, sd.Normal("p(z)", loc=0.5, scale=2.0), sd.Normal("r(y)", loc=1.0, scale=0.5, event_shape=2)]
    names = {"beta": 0.3} if "beta" in text else {}
    objective = closed(text, *laws, **names)
    m, s = x.sin().numpy(), (0.3 * x).exp().numpy()
    np.testing.assert_allclose(objective.per_example(x=x), expected(m, s, x.numpy()), rtol=1e-10)


def test_a_number_is_counted_for_every_element_that_it_meets():
    """One number of z against three of x: its variance counts three times."""
    q = sd.Normal("q(z)", loc=0.5, scale=2.0, event_shape=())
    x = torch.arange(6.0).double().reshape(2, 3)
    value = closed("E_q(z)[||z - x||^2]", q, sd.Data("data(x)")).per_example(x=x)
    torch.testing.assert_close(value, ((x - 0.5) ** 2 + 4).sum(1))
    prior = sd.Normal("q(z)", loc=0.5, scale=2.0, event_shape=3)
    assert float(closed("E_q(z)[||z||^2]", prior)()) == pytest.approx(3 * 4.25)


NOT_KNOWN = [
    "E_q(z|x)[||z||]",
    "E_q(z|x)[sum(z^3)]",
    "E_q(z|x)[||z||^2 ||z||^2]",
    "E_q(z|x)[sum(1 / z)]",
    "E_q(z|x)[sum(tanh(z))]",
    "E_q(z|x)[log p(x|z)]",
    "E_q(z|x)[<f(z), z>]",
    "E_q(z|x)[log w(a|z)]",
]


@pytest.mark.parametrize("text", NOT_KNOWN)
def test_what_is_not_linear_in_known_statistics_is_estimated(text):
    q = sd.Normal("q(z|x)", lambda x: (x, x.exp()))
    laws = [q, sd.Bernoulli("p(x|z)", lambda z: z), sd.Normal("w(a|z)", lambda z: (z, z.exp()))]
    names = {"f": torch.sin} if "f(" in text else {}
    assert "Monte Carlo" in repr(sd.Objective(text, *laws, **names).derivation)


def test_the_outer_variable_of_a_mean_is_still_drawn():
    """``E_w(a|z)[||a||^2]`` is known, but depends on z by a network: only z is drawn."""
    q = sd.Normal("q(z|x)", lambda x: (x, 0 * x + 0.5))
    w = sd.Normal("w(a|z)", lambda z: (z.sin(), z.cos().exp()))
    objective = sd.Objective("E_q(z|x) E_w(a|z)[||a||^2]", q, w, samples=3)
    x = torch.randn(4, 2, dtype=torch.float64)
    torch.manual_seed(0)
    value = objective(x=x)
    torch.manual_seed(0)
    z = x + 0.5 * torch.randn(3, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(value, (z.sin() ** 2 + z.cos().exp() ** 2).sum(-1).mean())


def test_a_binder_that_no_later_one_needs_is_taken_inmost():
    """``log p(z|w)`` is integrated over z though w is bound after it; only w is drawn."""
    q = sd.Normal("q(z|x)", lambda x: (x, x.exp()))
    r = sd.Normal("r(w|x)", lambda x: (x.cos(), 0 * x + 0.5))
    p = sd.Normal("p(z|w)", lambda w: (w, w.exp()))
    objective = sd.Objective("E_{q(z|x) r(w|x)}[log p(z|w)]", q, r, p, samples=5)
    x = torch.randn(4, 2, dtype=torch.float64)
    torch.manual_seed(0)
    value = objective(x=x)
    torch.manual_seed(0)
    w = x.cos() + 0.5 * torch.randn(5, 4, 2, dtype=torch.float64)
    left = td.Normal(x.expand_as(w), x.exp().expand_as(w))
    expected = -(left.entropy() + td.kl_divergence(left, td.Normal(w, w.exp()))).sum(-1).mean()
    torch.testing.assert_close(value, expected)


def test_an_estimator_that_is_asked_for_is_used():
    q = sd.Bernoulli("q(z)", logits=nn.Parameter(torch.zeros(1)))
    assert "known moments" in repr(sd.Objective("E_q(z)[sum((z - 0.45)^2)]", q).derivation)
    drawn = sd.Objective("E_q(z)[sum((z - 0.45)^2)]", q, estimators={"z": "score function"})
    assert "known moments" not in repr(drawn.derivation)


def test_nothing_is_closed_without_analytic():
    q = sd.Normal("q(z)", loc=0.5, scale=2.0, event_shape=3)
    objective = sd.Objective("E_q(z)[||z||^2]", q, analytic=False)
    assert "known moments" not in repr(objective.derivation)
