"""Closed forms as they are run: against quadrature, exact sums, torch and the distributions' own methods."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import torch
import torch.distributions as td
from lowering_cases import closed, run_text, z_score
from torch import nn

import symdgm as sd
from symdgm.binding.known_integrals import KL_BY_TORCH, WITHOUT
from symdgm.errors import SupportError
from tests.distributions.cases import BATCH, Case, Table
from tests.distributions.cases_continuous import CONTINUOUS
from tests.distributions.cases_discrete import DISCRETE

CASES = [*CONTINUOUS, *DISCRETE]
Y = torch.zeros(BATCH, 1, dtype=torch.float64)


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda c: c.name)


def law(case: Case, declaration: str, seed: int = 0):
    return case.new(declaration, Table(case.parameters((BATCH,), torch.float64, seed)))


def same_gradients(found, expected, module):
    ours, theirs = (
        torch.autograd.grad(v, list(module.parameters()), retain_graph=True, materialize_grads=True)
        for v in (found, expected)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def summed(value):
    return value.flatten(1).sum(1)


@named([c for c in CASES if c.family.family not in WITHOUT["entropy"]])
def test_entropy_of_every_family(case):
    q = law(case, "q(x|y)")
    objective = closed("H[q(x|y)]", q)
    torch.testing.assert_close(objective.per_example(y=Y), q.entropy({"y": Y}), rtol=1e-9, atol=1e-9)
    value = objective(y=Y)
    assert torch.equal(run_text(objective.code, objective.inputs(y=Y))[0], value)
    if "probs" not in case.shapes or case.family.family not in ("Categorical", "OneHotCategorical"):
        same_gradients(value, q.entropy({"y": Y}).mean(), q)  # off the simplex they are other functions


@named([c for c in CASES if c.family.family not in WITHOUT["mean"]])
def test_mean_and_square_of_every_family(case):
    q = law(case, "q(x|y)")
    mean, variance = (method({"y": Y})["x"] for method in (q.mean, q.variance))
    found = closed("E_q(x|y)[sum(x)]", q)
    torch.testing.assert_close(found.per_example(y=Y), summed(mean), rtol=1e-9, atol=1e-9)
    a = torch.linspace(-1, 2, mean.numel(), dtype=torch.float64).reshape(mean.shape)
    found = closed("E_q(x|y)[||2 x - a||^2]", q, sd.Data("data(a)"))
    expected = summed(4 * variance + (2 * mean - a) ** 2)
    torch.testing.assert_close(found.per_example(y=Y, a=a), expected, rtol=1e-9, atol=1e-9)
    if "probs" not in case.shapes or case.family.family not in ("Categorical", "OneHotCategorical"):
        same_gradients(found(y=Y, a=a), expected.mean(), q)


REGISTERED = [c for c in CASES if c.reference is not None]


def torch_kl(case, q, p):
    try:
        made = [case.torch(dict(d.network.raw), validate_args=False) for d in (q, p)]
        return td.kl_divergence(*made)
    except NotImplementedError:
        return None


@named([c for c in REGISTERED if "relaxed" not in c.name and c.family.family not in ("VonMises", "StudentT")])
def test_divergence_in_one_family_against_torch(case):
    q, p = law(case, "q(x|y)"), law(case, "p(x|y)", seed=1)
    expected = torch_kl(case, q, p)
    if expected is None:
        pytest.skip("torch does not know it")
    if case.family.family in ("DiscretizedLogistic", "Logistic", "NegativeBinomial", "Multinomial"):
        pytest.skip("no closed form")
    objective = closed("KL[q(x|y)||p(x|y)]", q, p)
    if not bool(expected.isfinite().all()):  # supports that are no part of one another
        assert torch.equal(objective.per_example(y=Y), summed(expected))
        return
    torch.testing.assert_close(objective.per_example(y=Y), summed(expected), rtol=1e-7, atol=1e-8)
    same_gradients(objective(y=Y), summed(expected).mean(), q)


# family → scalar parameters of a first and of a second law, and the interval on which the first one lies
SCALARS = {
    "Normal": (sd.Normal, {"loc": 0.3, "scale": 0.7}, {"loc": -0.5, "scale": 1.3}, (-9, 9)),
    "LogNormal": (sd.LogNormal, {"loc": 0.3, "scale": 0.4}, {"loc": 0.1, "scale": 0.7}, (1e-3, 30)),
    "Laplace": (sd.Laplace, {"loc": 0.3, "scale": 0.7}, {"loc": -0.5, "scale": 1.3}, (-22, 23)),
    "Uniform": (sd.Uniform, {"low": 0.2, "high": 0.7}, {"low": -0.5, "high": 1.6}, (0.2, 0.7)),
    "Cauchy": (sd.Cauchy, {"loc": 0.3, "scale": 0.7}, {"loc": -0.5, "scale": 1.3}, (-np.inf, np.inf)),
    "Exponential": (sd.Exponential, {"rate": 1.7}, {"rate": 0.6}, (0, 20)),
    "Gamma": (
        sd.Gamma, {"concentration": 2.3, "rate": 1.7}, {"concentration": 1.4, "rate": 0.8}, (0, 25)
    ),
    "InverseGamma": (
        sd.InverseGamma, {"concentration": 4.3, "rate": 1.7}, {"concentration": 3.4, "rate": 0.8}, (0, 200)
    ),
    "Beta": (
        sd.Beta, {"concentration1": 2.3, "concentration0": 1.7},
        {"concentration1": 1.4, "concentration0": 3.2}, (0, 1),
    ),
    "ContinuousBernoulli": (sd.ContinuousBernoulli, {"logits": 0.7}, {"logits": -1.4}, (0, 1)),
}  # fmt: skip
SAME = [(n, n) for n in SCALARS]
CROSS_KL = [pair for pair in KL_BY_TORCH if set(pair) <= set(SCALARS)]
MEANS_KNOWN = [
     ("LogNormal", "InverseGamma"), ("InverseGamma", "Gamma"), ("Beta", "Gamma"),
    ("Laplace", "Normal"), ("Uniform", "Normal"), ("Uniform", "Exponential"), ("Exponential", "Gamma"),
    ("ContinuousBernoulli", "Normal"), ("Beta", "ContinuousBernoulli"), ("LogNormal", "Gamma"),
]  # fmt: skip


def pair_of(q_name, p_name):
    family, numbers, _, interval = SCALARS[q_name]
    other, theirs = SCALARS[p_name][0], SCALARS[p_name][2]
    q = family(
        "q(z)", **{k: nn.Parameter(torch.tensor(v).double()) for k, v in numbers.items()}, event_shape=()
    )
    return q, other("p(z)", **theirs, event_shape=()).double(), interval


def integral(q, function, interval):
    """``int q(z) function(z) dz`` by quadrature, with the densities of the distributions."""

    def integrand(z):
        at = {"z": torch.tensor([z], dtype=torch.float64)}
        with torch.no_grad():
            log = q.log_prob(at, check=False)
            return float(log.exp() * function(at)) if bool(log > -700) else 0.0

    return scipy.integrate.quad(integrand, *interval, limit=400, points=None)[0]


@pytest.mark.parametrize(("q_name", "p_name"), sorted({*SAME, *CROSS_KL}))
def test_divergence_against_quadrature(q_name, p_name):
    q, p, interval = pair_of(q_name, p_name)
    expected = integral(q, lambda at: q.log_prob(at, check=False) - p.log_prob(at, check=False), interval)
    assert closed("KL[q||p]", q, p)().item() == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("q_name", "p_name"), sorted({*SAME, *MEANS_KNOWN} - {("Uniform", "Uniform")}))
def test_expected_log_density_against_quadrature(q_name, p_name):
    q, p, interval = pair_of(q_name, p_name)
    objective = closed("E_q(z)[log p(z)]", q, p)
    expected = integral(q, lambda at: p.log_prob(at, check=False), interval)
    assert objective().item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("q_name", "p_name"), sorted({*SAME, *CROSS_KL, *MEANS_KNOWN}))
def test_gradients_against_finite_differences(q_name, p_name):
    q, p, _ = pair_of(q_name, p_name)
    text = "KL[q||p]" if (q_name, p_name) in {*SAME, *CROSS_KL} else "E_q(z)[log p(z)]"
    objective = closed(text, q, p)
    found = torch.autograd.grad(objective(), list(q.parameters()))
    for parameter, gradient in zip(q.parameters(), found, strict=True):
        sides = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter += step
                sides.append(objective().item())
                parameter -= step
        assert float(gradient) == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4, abs=1e-6)


def test_rows_on_the_simplex_by_many_draws():
    """Dirichlet: the expectation over 200,000 draws, |z| < 4."""
    a, b = torch.tensor([0.7, 2.3, 1.4]).double(), torch.tensor([1.7, 1.1, 0.8]).double()
    q, p = sd.Dirichlet("q(z)", concentration=a), sd.Dirichlet("p(z)", concentration=b)
    torch.manual_seed(0)
    z = q.sample(n=200_000)
    log_p, log_q = p.log_prob(z), q.log_prob(z)
    assert z_score(log_p, closed("E_q(z)[log p(z)]", q, p)()) < 4
    assert z_score(log_q - log_p, closed("KL[q||p]", q, p)()) < 4


COUNTED = {
    "Poisson": (sd.Poisson, {"rate": 2.3}, {"rate": 3.1}),
    "Poisson by log": (sd.Poisson, {"log_rate": 0.8}, {"log_rate": 1.2}),
    "Geometric": (sd.Geometric, {"logits": 0.4}, {"logits": -0.3}),
    "Geometric by probs": (sd.Geometric, {"probs": 0.4}, {"probs": 0.6}),
    "Binomial": (sd.Binomial, {"total_count": 9, "logits": 0.4}, {"total_count": 9, "logits": -0.3}),
    "Binomial by probs": (sd.Binomial, {"total_count": 9, "probs": 0.4}, {"total_count": 9, "probs": 0.7}),
}


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("text", ["KL[q||p]", "E_q(z)[log p(z)]", "H[q, p]"])
def test_counts_against_sums(name, text):
    family, ours, theirs = COUNTED[name]
    q = family("q(z)", **ours, event_shape=()).double()
    p = family("p(z)", **theirs, event_shape=()).double()
    k = {"z": torch.arange(10 if family is sd.Binomial else 400, dtype=torch.float64)}
    log_q, log_p = (d.log_prob(k) for d in (q, p))
    body = {"KL[q||p]": log_q - log_p, "E_q(z)[log p(z)]": log_p, "H[q, p]": -log_p}[text]
    found = float(closed(text, q, p)())
    assert found == pytest.approx(float((log_q.exp() * body).sum()), rel=1e-5)


def test_binomials_of_two_sizes_have_no_closed_form():
    q = sd.Binomial("q(z)", total_count=3, probs=0.5, event_shape=())
    p = sd.Binomial("p(z)", total_count=5, probs=0.5, event_shape=())
    assert not any(s.name == "closed form" for s in sd.Objective("KL[q||p]", q, p).derivation)


def finite_law(family, name, seed, batch=4):
    torch.manual_seed(seed)
    classes = (3,) if family is not sd.Bernoulli else ()
    return family(
        f"{name}(z|x)",
        lambda x: (
            torch.linspace(-1, 1, 6)[: 2 * 3 if classes else 2].reshape(1, 2, *classes).double() * seed
            + x[:, :1].reshape(-1, *[1] * (1 + len(classes)))
        ),
    )


@pytest.mark.parametrize("family", [sd.Bernoulli, sd.Categorical, sd.OneHotCategorical])
def test_expected_log_probabilities_of_states(family):
    """Closed form against enumeration, which `analytic=False` asks for."""
    q, p = finite_law(family, "q", 1), finite_law(family, "p", 2)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for text in ("E_q(z|x)[log p(z|x)]", "KL[q||p]", "H[q(z|x), p(z|x)]"):
        by_sum = sd.Objective(text, q, p, analytic=False)
        assert "enumeration" in repr(by_sum.derivation)
        torch.testing.assert_close(closed(text, q, p)(x=x), by_sum(x=x), rtol=1e-10, atol=1e-10)


def test_a_label_is_no_number():
    """The mean of a class is not that of its number: it is enumerated."""
    q = finite_law(sd.Categorical, "q", 1)
    objective = sd.Objective("E_q(z|x)[sum(f(z))]", q, f=lambda z: z.double())
    assert "enumeration" in repr(objective.derivation)


def test_many_bits_need_no_enumeration():
    q = sd.Bernoulli("q(z)", probs=torch.linspace(0.1, 0.9, 50).double())
    p = sd.Bernoulli("p(z)", probs=0.3)
    made = [td.Bernoulli(torch.linspace(0.1, 0.9, 50).double()), td.Bernoulli(torch.tensor(0.3).double())]
    expected = -(made[0].entropy() + td.kl_divergence(*made)).sum()
    torch.testing.assert_close(closed("E_q(z)[log p(z)]", q, p)(), expected)


BETA = {"concentration1": 2.0, "concentration0": 1.0}
GAMMA = {"concentration": 2.0, "rate": 1.0}
REFUSED = [
    (sd.Normal("q(z)", loc=0.0, scale=1.0), sd.Beta("p(z)", **BETA), "infinite"),
    (sd.Normal("q(z)", loc=0.0, scale=1.0), sd.Uniform("p(z)", low=0.0, high=1.0), "infinite"),
    (sd.Gamma("q(z)", **GAMMA), sd.Beta("p(z)", **BETA), "infinite"),
    (sd.Poisson("q(z)", rate=2.0), sd.Binomial("p(z)", total_count=3, probs=0.5), "infinite"),
    (sd.Poisson("q(z)", rate=2.0), sd.Gamma("p(z)", **GAMMA), "probabilities of single values"),
]


@pytest.mark.parametrize(("q", "p", "words"), REFUSED, ids=lambda v: getattr(v, "family", "words"))
def test_supports_that_do_not_fit_are_refused_with_both_named(q, p, words):
    with pytest.raises(SupportError, match=words) as caught:
        sd.Objective("KL[q||p]", q, p)
    assert all(f"{d.family} {name}(z)" in str(caught.value) for d, name in ((q, "q"), (p, "p")))
    if words == "infinite":  # the other way round it is finite, or at least no infinity that is known
        sd.Objective("KL[p||q]", q, p)
        sd.Objective("JS[q||p]", q, p) if q.pathwise and p.pathwise else None
