"""The continuous families under test."""

# ruff: noqa: E501 -- a row of the table of families is one line

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats as st
import torch
import torch.distributions as td
from scipy.special import gammaln, logsumexp
from torch import Tensor

import symdgm.distributions as sd
from tests.distributions.cases import (
    CLASSES,
    EVENT,
    Case,
    by_rows,
    covariance,
    direction,
    like,
    ranges,
    simplex,
    tril,
    unit,
)

E1, EC = (EVENT,), (EVENT, CLASSES)
LOC_SCALE, LOC_LOG = {"loc": E1, "scale": E1}, {"loc": E1, "log_scale": E1}


def logistic(loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> td.Distribution:
    base = td.Uniform(torch.zeros_like(loc), torch.ones_like(loc), validate_args=validate_args)
    return td.TransformedDistribution(base, [td.SigmoidTransform().inv, td.AffineTransform(loc, scale)])


def logistic_moments(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    return loc, scale.square() * torch.pi**2 / 3


def truncated(logits: Any) -> Any:
    """The continuous Bernoulli is an exponential cut off at one; scipy wants a positive rate, so mirror others."""
    flipped = st.truncexpon(np.abs(logits), scale=1 / np.abs(logits))

    class Mirrored:
        def logpdf(self, x: Any) -> Any:
            return flipped.logpdf(np.where(logits > 0, 1 - x, x))

        def cdf(self, x: Any) -> Any:
            return np.where(logits > 0, 1 - flipped.cdf(1 - x), flipped.cdf(x))

    return Mirrored()


def relaxed_binary(x: Any, logits: Any, temperature: Any) -> Any:
    """Maddison et al. 2017, equation 23, as printed."""
    alpha = np.exp(logits)
    top = temperature * alpha * x ** (-temperature - 1) * (1 - x) ** (-temperature - 1)
    return np.log(top / (alpha * x**-temperature + (1 - x) ** -temperature) ** 2)


def relaxed_rows(x: Any, logits: Any, temperature: Any) -> Any:
    """Maddison et al. 2017, equation 10, in logs."""
    k = x.shape[-1]
    t = temperature[..., None]
    top = gammaln(k) + (k - 1) * np.log(temperature) + (logits - (t + 1) * np.log(x)).sum(-1)
    return top - k * logsumexp(logits - t * np.log(x), -1)


def fisher_moments(loc: Tensor, concentration: Tensor) -> tuple[Tensor, Tensor]:
    """By the ratio of Bessel functions in scipy, and E[w^2] = 1 - (d - 1) A / k."""
    from scipy.special import ive

    d, k = loc.shape[-1], concentration.numpy()
    a = torch.as_tensor(ive(d / 2, k) / ive(d / 2 - 1, k)).unsqueeze(-1)
    second = 1 - (d - 1) * a / concentration.unsqueeze(-1)
    spread = second * loc.square() + (1 - second) / (d - 1) * (1 - loc.square())
    return a * loc, spread - (a * loc).square()


def fisher_entropy(loc: Tensor, concentration: Tensor) -> Tensor:
    flat = zip(loc.reshape(-1, loc.shape[-1]).numpy(), concentration.flatten().numpy(), strict=True)
    found = [st.vonmises_fisher(m / np.linalg.norm(m), k).entropy() for m, k in flat]
    return torch.tensor(found, dtype=torch.float64).reshape(concentration.shape)


def fisher(x: Any, loc: Any, concentration: Any) -> Any:
    return st.vonmises_fisher(loc / np.linalg.norm(loc), concentration).logpdf(x / np.linalg.norm(x))


def normal_vector(x: Any, loc: Any, matrix: Any) -> Any:
    return st.multivariate_normal.logpdf(x, loc, matrix)


NONE = ("entropy", "mean", "variance")

CONTINUOUS = [
    Case("normal", sd.Normal, LOC_SCALE, ranges(scale=torch.exp), td.Normal,
         frozen=lambda loc, scale: st.norm(loc, scale)),
    Case("normal-log-scale", sd.Normal, LOC_LOG, ranges(), like(td.Normal, scale=lambda log_scale: log_scale.exp()),
         frozen=lambda loc, log_scale: st.norm(loc, np.exp(log_scale))),
    Case("normal-variance", sd.Normal, {"loc": E1, "variance": E1}, ranges(variance=torch.exp),
         like(td.Normal, scale=lambda variance: variance.sqrt()),
         frozen=lambda loc, variance: st.norm(loc, np.sqrt(variance))),
    Case("multivariate-normal", sd.MultivariateNormal, {"loc": EC, "covariance_matrix": (*EC, CLASSES)},
         ranges(covariance_matrix=covariance), td.MultivariateNormal, event=EC,
         scipy=by_rows(lambda x, loc, covariance_matrix: normal_vector(x, loc, covariance_matrix))),
    Case("multivariate-normal-precision", sd.MultivariateNormal, {"loc": EC, "precision_matrix": (*EC, CLASSES)},
         ranges(precision_matrix=covariance), td.MultivariateNormal, event=EC,
         scipy=by_rows(lambda x, loc, precision_matrix: normal_vector(x, loc, np.linalg.inv(precision_matrix)))),
    Case("multivariate-normal-tril", sd.MultivariateNormal, {"loc": EC, "scale_tril": (*EC, CLASSES)},
         ranges(scale_tril=tril), td.MultivariateNormal, event=EC,
         scipy=by_rows(lambda x, loc, scale_tril: normal_vector(x, loc, scale_tril @ scale_tril.T))),
    Case("multivariate-normal-low-rank", sd.MultivariateNormal,
         {"loc": EC, "cov_factor": (*EC, 2), "cov_diag": EC}, ranges(cov_diag=torch.exp),
         td.LowRankMultivariateNormal, event=EC,
         scipy=by_rows(lambda x, loc, cov_factor, cov_diag: normal_vector(
             x, loc, cov_factor @ cov_factor.T + np.diag(cov_diag)))),
    Case("log-normal", sd.LogNormal, LOC_SCALE, ranges(scale=lambda r: 0.5 * r.sigmoid()), td.LogNormal,
         frozen=lambda loc, scale: st.lognorm(scale, scale=np.exp(loc)), value=torch.exp),
    Case("log-normal-variance", sd.LogNormal, {"loc": E1, "variance": E1}, ranges(variance=lambda r: 0.2 * r.sigmoid()),
         like(td.LogNormal, scale=lambda variance: variance.sqrt()),
         frozen=lambda loc, variance: st.lognorm(np.sqrt(variance), scale=np.exp(loc)), value=torch.exp),
    Case("laplace", sd.Laplace, LOC_SCALE, ranges(scale=torch.exp), td.Laplace,
         frozen=lambda loc, scale: st.laplace(loc, scale)),
    Case("laplace-log-scale", sd.Laplace, LOC_LOG, ranges(), like(td.Laplace, scale=lambda log_scale: log_scale.exp()),
         frozen=lambda loc, log_scale: st.laplace(loc, np.exp(log_scale))),
    Case("student", sd.StudentT, {"df": E1, **LOC_SCALE}, ranges(df=lambda r: 9 + r.exp(), scale=torch.exp), td.StudentT,
         frozen=lambda df, loc, scale: st.t(df, loc, scale)),
    Case("cauchy", sd.Cauchy, LOC_SCALE, ranges(scale=torch.exp), td.Cauchy,
         frozen=lambda loc, scale: st.cauchy(loc, scale), refused=("mean", "variance")),
    Case("logistic", sd.Logistic, LOC_SCALE, ranges(scale=torch.exp), logistic,
         frozen=lambda loc, scale: st.logistic(loc, scale), entropy=lambda loc, scale: scale.log() + 2,
         moments=logistic_moments),
    Case("uniform", sd.Uniform, {"low": E1, "high": E1}, ranges(low=lambda r: -9 - r.exp(), high=lambda r: 9 + r.exp()),
         td.Uniform, frozen=lambda low, high: st.uniform(low, high - low)),
    Case("exponential", sd.Exponential, {"rate": E1}, ranges(rate=torch.exp), td.Exponential,
         frozen=lambda rate: st.expon(scale=1 / rate), value=torch.exp),
    Case("exponential-scale", sd.Exponential, {"scale": E1}, ranges(scale=torch.exp),
         like(td.Exponential, rate=lambda scale: 1 / scale), frozen=lambda scale: st.expon(scale=scale), value=torch.exp),
    Case("gamma", sd.Gamma, {"concentration": E1, "rate": E1}, ranges(concentration=torch.exp, rate=torch.exp), td.Gamma,
         frozen=lambda concentration, rate: st.gamma(concentration, scale=1 / rate), value=torch.exp),
    Case("gamma-scale", sd.Gamma, {"concentration": E1, "scale": E1}, ranges(concentration=lambda r: 20 * r.exp(), scale=torch.exp),
         like(td.Gamma, rate=lambda scale: 1 / scale),
         frozen=lambda concentration, scale: st.gamma(concentration, scale=scale), value=torch.exp),
    Case("inverse-gamma", sd.InverseGamma, {"concentration": E1, "rate": E1},
         ranges(concentration=lambda r: 9 + r.exp(), rate=torch.exp), td.InverseGamma,
         frozen=lambda concentration, rate: st.invgamma(concentration, scale=rate), value=torch.exp),
    Case("beta", sd.Beta, {"concentration1": E1, "concentration0": E1},
         ranges(concentration1=torch.exp, concentration0=torch.exp), td.Beta,
         frozen=lambda concentration1, concentration0: st.beta(concentration1, concentration0), value=unit),
    Case("dirichlet", sd.Dirichlet, {"concentration": EC}, ranges(concentration=torch.exp), td.Dirichlet,
         scipy=by_rows(lambda x, concentration: st.dirichlet.logpdf(x / x.sum(), concentration)), event=EC, value=simplex),
    Case("von-mises", sd.VonMises, {"loc": E1, "concentration": E1}, ranges(concentration=torch.exp), td.VonMises,
         frozen=lambda loc, concentration: st.vonmises(concentration, loc), tolerance=1e-6,
         entropy=lambda loc, concentration: torch.as_tensor(st.vonmises(concentration.numpy(), loc.numpy()).entropy())),
    Case("von-mises-fisher", sd.VonMisesFisher, {"loc": EC, "concentration": E1},
         ranges(loc=direction, concentration=torch.exp), None, scipy=by_rows(fisher), event=EC, value=direction,
         entropy=fisher_entropy, moments=fisher_moments),
    Case("continuous-bernoulli", sd.ContinuousBernoulli, {"logits": E1}, ranges(), td.ContinuousBernoulli,
         frozen=truncated, value=unit, tolerance=1e-9),
    Case("continuous-bernoulli-probs", sd.ContinuousBernoulli, {"probs": E1}, ranges(probs=unit), td.ContinuousBernoulli,
         frozen=lambda probs: truncated(np.log(probs / (1 - probs))), value=unit, tolerance=1e-9),
    Case("relaxed-bernoulli", sd.RelaxedBernoulli, {"logits": E1, "temperature": E1}, ranges(temperature=torch.exp),
         td.RelaxedBernoulli, scipy=relaxed_binary, value=unit, refused=NONE),
    Case("relaxed-bernoulli-probs", sd.RelaxedBernoulli, {"probs": E1}, ranges(probs=unit), td.RelaxedBernoulli,
         scipy=lambda x, probs, temperature: relaxed_binary(x, np.log(probs / (1 - probs)), temperature),
         value=unit, refused=NONE, fixed={"temperature": 0.7}),
    Case("relaxed-one-hot", sd.RelaxedOneHotCategorical, {"logits": EC}, ranges(), td.RelaxedOneHotCategorical,
         scipy=relaxed_rows, event=EC, value=simplex, refused=NONE, fixed={"temperature": 0.7}),
    Case("relaxed-one-hot-probs", sd.RelaxedOneHotCategorical, {"probs": EC}, ranges(probs=simplex),
         td.RelaxedOneHotCategorical, event=EC, value=simplex, refused=NONE, fixed={"temperature": 0.7},
         scipy=lambda x, probs, temperature: relaxed_rows(x, np.log(probs), temperature)),
]  # fmt: skip
