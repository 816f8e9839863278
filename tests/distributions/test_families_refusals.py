"""Parameters and values out of range, in words."""

# ruff: noqa: E501 -- a row of the table of refusals is one line
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import symdgm.distributions as sd
from symdgm.errors import NotSupportedError, OptionError, ParameterError, ShapeError, SupportError

NAN, INF = float("nan"), float("inf")


def p(family: Any, **numbers: Any) -> Any:
    scalars = all(isinstance(value, (int, float)) for value in numbers.values())
    return family("p(x)", **({"event_shape": ()} if scalars else {}), **numbers)


def value(q: Any, *numbers: float) -> Callable[[], Tensor]:
    return lambda: q.log_prob({"x": torch.tensor([numbers] if q.event_rank else numbers)})


def vector(**numbers: Any) -> Any:
    return sd.MultivariateNormal("p(x)", **numbers)


I2, V2 = torch.eye(2), torch.zeros(2)
VALUES: list[tuple[str, type[Exception], Callable[[], object], str]] = [
    ("log-normal zero", SupportError, value(p(sd.LogNormal, loc=0.0, scale=1.0), 0.0), r"x has values in \[0, 0\], outside the support \(0, ∞\) of LogNormal p\(x\)\nscale or transform"),
    ("exponential negative", SupportError, value(p(sd.Exponential, rate=1.0), -1.0, 1.0), r"x has values in \[-1, 1\], outside the support \[0, ∞\) of Exponential"),
    ("exponential infinite", SupportError, value(p(sd.Exponential, rate=1.0), INF), r"x has infinite values \(1 of 1\) under Exponential"),
    ("gamma NaN", SupportError, value(p(sd.Gamma, concentration=1.0, rate=1.0), NAN, -1.0), r"x has NaN values \(1 of 2\) under Gamma"),
    ("inverse gamma", SupportError, value(p(sd.InverseGamma, concentration=1.0, rate=1.0), 0.0), r"outside the support \(0, ∞\)"),
    ("uniform", SupportError, value(p(sd.Uniform, low=-1.0, high=1.0), 1.5), r"x has values in \[1.5, 1.5\], outside the support \[low, high\] of Uniform"),
    ("uniform low", SupportError, value(p(sd.Uniform, low=-1.0, high=1.0), -1.5), r"outside the support \[low, high\]"),
    ("beta", SupportError, value(p(sd.Beta, concentration1=1.0, concentration0=1.0), 1.5), r"outside the support \[0, 1\] of Beta"),
    ("beta integer", ShapeError, lambda: p(sd.Beta, concentration1=1.0, concentration0=1.0).log_prob({"x": torch.tensor([1])}), r"x has dtype torch.int64, but Beta p\(x\) takes floating"),
    ("dirichlet", SupportError, value(sd.Dirichlet("p(x)", concentration=torch.ones(2)), 0.5, 0.7), r"x has rows that sum to 1.2, not to 1, under Dirichlet p\(x\)\na row holds probabilities: `x.softmax\(-1\)`"),
    ("fisher", SupportError, value(sd.VonMisesFisher("p(x)", loc=I2[0], concentration=1.0), 1.0, 1.0), r"x has vectors of the squared length 2, not 1, under VonMisesFisher p\(x\)\nwrite `torch.nn.functional.normalize\(x, dim=-1\)`"),
    ("continuous bernoulli", SupportError, value(p(sd.ContinuousBernoulli, logits=0.0), 2.0), r"outside the support \[0, 1\] of ContinuousBernoulli p\(x\)\n.*bind `x` to a Normal"),
    ("relaxed hard", SupportError, value(p(sd.RelaxedBernoulli, logits=0.0, temperature=1.0), 0.0, 1.0), r"outside the support \(0, 1\) of RelaxedBernoulli p\(x\)\nhard values have no relaxed density: give `x` a Bernoulli for them"),
    ("relaxed hard row", SupportError, value(sd.RelaxedOneHotCategorical("p(x)", logits=V2, temperature=1.0), 0.0, 1.0), r"outside the support the open simplex of RelaxedOneHotCategorical p\(x\)\nhard rows have no relaxed density"),
    ("binomial above", SupportError, value(p(sd.Binomial, total_count=3, probs=0.5), 4.0), r"x has values in \[4, 4\], outside the support \{0, …, total_count\} of Binomial p\(x\)\n`x` counts"),
    ("poisson fraction", SupportError, value(p(sd.Poisson, rate=1.0), 1.5), r"x has values such as 1.5, but Poisson p\(x\) takes whole numbers\nwrite `x.round\(\)`"),
    ("geometric negative", SupportError, value(p(sd.Geometric, probs=0.5), -1.0), r"outside the support \{0, 1, 2, …\}"),
    ("negative binomial NaN", SupportError, value(p(sd.NegativeBinomial, total_count=1.0, probs=0.5), NAN), r"x has NaN values"),
    ("multinomial sum", SupportError, value(sd.Multinomial("p(x)", total_count=5, logits=V2), 2.0, 2.0), r"x has rows that sum to 4, but total_count of Multinomial p\(x\) is 5\ngive `total_count=x.sum\(-1\)`"),
    ("multinomial fraction", SupportError, value(sd.Multinomial("p(x)", total_count=1, logits=V2), 0.5, 0.5), r"takes whole numbers"),
    ("grid between", SupportError, value(p(sd.DiscretizedLogistic, levels=3, loc=0.0, scale=1.0), 0.3), r"x has values such as 0.3, between the 3 levels from 0 to 1 of DiscretizedLogistic p\(x\)\nimages of 0 to 2 want `x / 2`"),
    ("grid beyond", SupportError, value(p(sd.DiscretizedLogistic, loc=0.0, scale=1.0), 255.0), r"x has values in \[255, 255\], outside the support 256 levels from 0 to 1 of .*\nscale the data onto the grid"),
    ("delta NaN", SupportError, value(p(sd.Delta, loc=0.0), NAN), r"x has NaN values"),
]  # fmt: skip

PARAMETERS: list[tuple[str, type[Exception], Callable[[], object], str]] = [
    ("log scale", ParameterError, lambda: p(sd.Normal, loc=0.0, log_scale=INF), r"log_scale of Normal p\(x\) has values in \[inf, inf\]; it must be finite"),
    ("variance", ParameterError, lambda: p(sd.Normal, loc=0.0, variance=-1.0), r"variance of Normal p\(x\) has values in \[-1, -1\]; it must be positive"),
    ("both scales", ParameterError, lambda: p(sd.Normal, loc=0.0, scale=1.0, variance=1.0), r"`scale` and `variance`, which exclude each other|got `loc` and `scale` and `variance`, which exclude each other"),
    ("df", ParameterError, lambda: p(sd.StudentT, df=0.0, loc=0.0, scale=1.0), r"df of StudentT p\(x\).*must be positive"),
    ("laplace variance", ParameterError, lambda: p(sd.Laplace, loc=0.0, variance=1.0), r"Laplace p\(x\) has no parameter `variance`"),
    ("uniform order", ParameterError, lambda: p(sd.Uniform, low=1.0, high=1.0), r"low of Uniform p\(x\) is not less than high: the least gap is 0\nwrite `high = low \+ softplus\(...\)`"),
    ("uniform order of a network", ParameterError, lambda: sd.Uniform("p(x|z)", lambda z: (z, -z)).sample({"z": torch.ones(2)}), r"low of Uniform p\(x\|z\) is not less than high: the least gap is -2"),
    ("uniform infinite", ParameterError, lambda: p(sd.Uniform, low=0.0, high=INF), r"high of Uniform p\(x\).*must be finite"),
    ("rate", ParameterError, lambda: p(sd.Exponential, rate=0.0), r"rate of Exponential p\(x\).*must be positive"),
    ("rate and scale", ParameterError, lambda: p(sd.Exponential, rate=1.0, scale=1.0), r"exclude each other\ngive \(rate\) or \(scale\)"),
    ("concentration", ParameterError, lambda: p(sd.Gamma, concentration=-1.0, rate=1.0), r"concentration of Gamma p\(x\).*must be positive"),
    ("dirichlet number", ParameterError, lambda: sd.Dirichlet("p(x)", concentration=1.0, event_shape=3), r"`concentration` of Dirichlet p\(x\) is the number 1, but it has an axis of its own"),
    ("von mises", ParameterError, lambda: p(sd.VonMises, loc=0.0, concentration=-1.0), r"concentration of VonMises p\(x\) has values in \[-1, -1\]; it must be zero or positive, and finite"),
    ("fisher direction", ParameterError, lambda: sd.VonMisesFisher("p(x)", loc=torch.ones(2), concentration=1.0), r"loc of VonMisesFisher p\(x\) has the squared length 2, not 1\nend the network in `torch.nn.functional.normalize"),
    ("continuous bernoulli", ParameterError, lambda: p(sd.ContinuousBernoulli, probs=1.0), r"probs of ContinuousBernoulli p\(x\) has values in \[1, 1\]; it must be in \(0, 1\)\ngive logits"),
    ("temperature", ParameterError, lambda: p(sd.RelaxedBernoulli, logits=0.0, temperature=0.0), r"temperature of RelaxedBernoulli p\(x\).*must be positive"),
    ("temperature missing", ParameterError, lambda: p(sd.RelaxedBernoulli, logits=0.0), r"lacks the parameter `temperature`"),
    ("total negative", ParameterError, lambda: p(sd.Binomial, total_count=-1, probs=0.5), r"total_count of Binomial p\(x\) has values in \[-1, -1\]; it must be zero or positive"),
    ("total fraction", ParameterError, lambda: p(sd.Binomial, total_count=2.5, probs=0.5), r"total_count of Binomial p\(x\) has values such as 2.5; it must be whole\n.*total_count=10"),
    ("probs", ParameterError, lambda: p(sd.Binomial, total_count=2, probs=1.5), r"probs of Binomial p\(x\).*must be in \[0, 1\]"),
    ("multinomial probs", ParameterError, lambda: sd.Multinomial("p(x)", total_count=2, probs=torch.tensor([1.0, 1.0])), r"probs of Multinomial p\(x\) sums to 2 over the classes, not to 1"),
    ("geometric", ParameterError, lambda: p(sd.Geometric, probs=0.0), r"probs of Geometric p\(x\) has values in \[0, 0\]; it must be in \(0, 1\]"),
    ("poisson", ParameterError, lambda: p(sd.Poisson, rate=-1.0), r"rate of Poisson p\(x\).*must be zero or positive"),
    ("levels", OptionError, lambda: p(sd.DiscretizedLogistic, loc=0.0, scale=1.0, levels=1), r"`levels` of DiscretizedLogistic p\(x\) is 1\nwrite a whole number, 2 or more"),
    ("grid order", OptionError, lambda: p(sd.DiscretizedLogistic, loc=0.0, scale=1.0, low=1.0), r"`low` of DiscretizedLogistic p\(x\) is 1, not below `high`, 1"),
    ("mixture logits", ParameterError, lambda: sd.DiscretizedLogisticMixture("p(x)", logits=torch.full((2,), -INF), loc=V2, scale=V2 + 1), r"logits of DiscretizedLogisticMixture p\(x\) has a row of minus infinity only"),
    ("covariance asymmetric", ParameterError, lambda: vector(loc=V2, covariance_matrix=torch.tensor([[1.0, 0.5], [0.0, 1.0]])), r"covariance_matrix of MultivariateNormal p\(x\) is not symmetric \(entries differ by 0.5\)\nwrite `0.5 \* \(m \+ m.mT\)`"),
    ("covariance indefinite", ParameterError, lambda: vector(loc=V2, covariance_matrix=-I2), r"covariance_matrix of MultivariateNormal p\(x\) is not positive definite"),
    ("precision NaN", ParameterError, lambda: vector(loc=V2, precision_matrix=I2 * NAN), r"precision_matrix of MultivariateNormal p\(x\) has NaN values"),
    ("covariance not square", ShapeError, lambda: vector(loc=V2, covariance_matrix=torch.ones(2, 3)), r"covariance_matrix of MultivariateNormal p\(x\) has shape \[2, 3\], whose last two axes differ"),
    ("tril full", ParameterError, lambda: vector(loc=V2, scale_tril=torch.ones(2, 2)), r"scale_tril of MultivariateNormal p\(x\) has entries above its diagonal\nwrite `scale_tril.tril\(\)`"),
    ("tril diagonal", ParameterError, lambda: vector(loc=V2, scale_tril=torch.tensor([[1.0, 0.0], [1.0, -1.0]])), r"scale_tril of MultivariateNormal p\(x\) has -1 on its diagonal; it must be positive"),
    ("lengths", ShapeError, lambda: vector(loc=V2, covariance_matrix=torch.eye(3)), r"the parameters of MultivariateNormal p\(x\) do not fit together: loc \[2\], covariance_matrix \[3, 3\]\na vector of length D goes with matrices of D rows"),
    ("low rank lengths", ShapeError, lambda: vector(loc=V2, cov_factor=torch.ones(3, 1), cov_diag=V2 + 1), r"do not fit together: loc \[2\], cov_factor \[3, 1\], cov_diag \[2\]"),
    ("lengths of a network", ShapeError, lambda: sd.MultivariateNormal("p(x|z)", loc=lambda z: z, covariance_matrix=torch.eye(3)).sample({"z": torch.zeros(4, 2)}), r"do not fit together: loc \[2\], covariance_matrix \[3, 3\]"),
    ("no mean of rates", NotSupportedError, lambda: p(sd.Cauchy, loc=0.0, scale=1.0).mean(), r"Cauchy p\(x\) has no mean\nits median is `loc`"),
    ("no entropy", NotSupportedError, lambda: p(sd.RelaxedBernoulli, logits=0.0, temperature=1.0).entropy(), r"has no entropy in closed form\naverage `-log_prob` over draws"),
]  # fmt: skip
REFUSED = VALUES + PARAMETERS


@pytest.mark.parametrize(
    ("kind", "ask", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()


@pytest.mark.parametrize(("family", "numbers", "numbers_in"), [
    (sd.Exponential, {"rate": 1.0}, [0.0, 1e30]),
    (sd.Uniform, {"low": -1.0, "high": 1.0}, [-1.0, 1.0]),
    (sd.Beta, {"concentration1": 1.0, "concentration0": 1.0}, [0.0, 1.0]),
    (sd.Poisson, {"rate": 1.0}, [0.0, 1e6]),
    (sd.Binomial, {"total_count": 3, "probs": 0.5}, [0.0, 3.0]),
    (sd.VonMises, {"loc": 0.0, "concentration": 1.0}, [-100.0, 100.0]),
    (sd.DiscretizedLogistic, {"loc": 0.0, "scale": 1.0}, [0.0, 200 / 255, 1.0]),
], ids=lambda v: getattr(v, "__name__", None))  # fmt: skip
def test_the_ends_of_a_support_belong_to_it(
    family: Any, numbers: dict[str, float], numbers_in: list[float]
) -> None:
    q = p(family, **numbers)
    q.check_support(torch.tensor(numbers_in), "x")
    q.check_support(torch.zeros(0), "x")


BY_NETWORK: list[tuple[sd.Family, list[float], list[float], str]] = [
    (sd.Uniform("p(x|z)", lambda z: (z, z + 1)), [-1e30, 1e30], [NAN], "x has NaN values"),
    (sd.Uniform("p(x|z)", low=lambda z: z, high=2.0), [-1e30, 2.0], [2.1], "outside the support"),
    (sd.Binomial("p(x|z)", lambda z: (z.exp().round(), z)), [0.0, 1e9], [-1.0], "outside the support"),
    (sd.Binomial("p(x|z)", total_count=lambda z: z, probs=0.5), [7.0], [0.5], "takes whole numbers"),
    (
        sd.Multinomial("p(x|z)", total_count=lambda z: z, logits=V2),
        [7.0, 2.0],
        [-1.0, 2.0],
        "outside the support",
    ),
]


@pytest.mark.parametrize(
    ("family", "inside", "outside", "words"), BY_NETWORK, ids=lambda v: getattr(v, "described", None)
)
def test_an_end_that_a_network_gives_is_not_looked_at(
    family: sd.Family, inside: list[float], outside: list[float], words: str
) -> None:
    family.check_support(torch.tensor(inside), "x")
    with pytest.raises(SupportError, match=words):
        family.check_support(torch.tensor(outside), "x")


def test_supports_say_what_they_are() -> None:
    texts = {
        family.__name__: family.support.text
        for family in (
            sd.Normal,
            sd.LogNormal,
            sd.Gamma,
            sd.Uniform,
            sd.Beta,
            sd.RelaxedBernoulli,
            sd.Dirichlet,
            sd.VonMisesFisher,
            sd.Poisson,
            sd.Binomial,
            sd.Multinomial,
            sd.Categorical,
            sd.DiscretizedLogistic,
        )
    }
    assert texts == {
        "Normal": "ℝ", "LogNormal": "(0, ∞)", "Gamma": "[0, ∞)", "Uniform": "[low, high]", "Beta": "[0, 1]",
        "RelaxedBernoulli": "(0, 1)", "Dirichlet": "the simplex", "VonMisesFisher": "the unit sphere",
        "Poisson": "{0, 1, 2, …}", "Binomial": "{0, …, total_count}",
        "Multinomial": "rows of counts that sum to total_count", "Categorical": "{0, …, K-1}",
        "DiscretizedLogistic": "256 levels from 0 to 1",
    }  # fmt: skip
    assert (
        sd.DiscretizedLogistic("p(x)", loc=0.0, scale=1.0, levels=4, high=3).support.text
        == "4 levels from 0 to 3"
    )


def test_a_matrix_alone_shows_the_event_shape() -> None:
    q = sd.MultivariateNormal("p(x|z)", loc=lambda z: z, scale_tril=torch.eye(3))
    assert q.sample({"z": torch.zeros(4, 3)})["x"].shape == (4, 3)
    assert vector(loc=V2, cov_factor=torch.ones(2, 5), cov_diag=V2 + 1).event_shape == (2,)
    assert vector(loc=torch.zeros(7, 2), scale_tril=I2.expand(7, 2, 2)).event_shape == (7, 2)
