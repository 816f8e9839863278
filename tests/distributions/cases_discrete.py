"""The discrete families under test."""

# ruff: noqa: E501 -- a row of the table of families is one line

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats as st
import torch
import torch.distributions as td
from torch import Tensor

import symdgm.distributions as sd
from tests.distributions.cases import (
    CLASSES,
    EVENT,
    Case,
    binary,
    class_log_prob,
    count_rows,
    counts,
    expit,
    index_log_prob,
    ranges,
    rows,
    simplex,
    softmax,
    unit,
)

E1, EC = (EVENT,), (EVENT, CLASSES)
LEVELS = 6
GRID = np.linspace(-1, 1, LEVELS)


def grid_value(raw: Tensor) -> Tensor:
    return ((raw.tanh() + 1) / 2 * (LEVELS - 1)).round() * 2 / (LEVELS - 1) - 1


def cells(x: Any, loc: Any, scale: Any) -> Any:
    """The mass between the middles of neighbouring levels, by scipy's distribution function."""
    half = 1 / (LEVELS - 1)
    upper = np.where(x > 1 - half, 1, st.logistic.cdf(x + half, loc, scale))
    return upper - np.where(x < -1 + half, 0, st.logistic.cdf(x - half, loc, scale))


def mixed_cells(x: Any, logits: Any, loc: Any, scale: Any) -> Any:
    return (softmax(logits) * cells(x[..., None], loc, scale)).sum(-1)


def tabulated(mass: Any) -> Any:
    """Entropy, and moments, by a loop over the levels."""

    def table(parameters: dict[str, Tensor]) -> Any:
        arrays = {n: p.detach().numpy() for n, p in parameters.items()}
        lead = next(p for n, p in arrays.items() if n == "loc")
        shape = lead.shape[:-1] if "logits" in arrays else lead.shape
        return np.stack([mass(np.full(shape, level), **arrays) for level in GRID])

    def entropy(**parameters: Tensor) -> Tensor:
        return torch.as_tensor(st.entropy(table(parameters)))

    def moments(**parameters: Tensor) -> tuple[Tensor, Tensor]:
        p = table(parameters)
        levels = GRID.reshape(-1, *[1] * (p.ndim - 1))
        mean = (p * levels).sum(0)
        return torch.as_tensor(mean), torch.as_tensor((p * (levels - mean) ** 2).sum(0))

    return {"entropy": entropy, "moments": moments}


def trials(raw: Tensor) -> Tensor:
    return 12 + raw.round()


def binomial_entropy(total_count: Tensor, **other: Tensor) -> Tensor:
    probs = other["probs"] if "probs" in other else other["logits"].sigmoid()
    return torch.as_tensor(st.binom(total_count.numpy(), probs.numpy()).entropy())


def multinomial_entropy(total_count: Tensor, **other: Tensor) -> Tensor:
    probs = (other["probs"] if "probs" in other else other["logits"].softmax(-1)).numpy()
    flat = [
        st.multinomial(int(total_count), p / p.sum()).entropy() for p in probs.reshape(-1, probs.shape[-1])
    ]
    return torch.as_tensor(np.array(flat).reshape(probs.shape[:-1]))


def poisson_entropy(**given: Tensor) -> Tensor:
    rate = given["rate"] if "rate" in given else given["log_rate"].exp()
    return torch.as_tensor(st.poisson(rate.numpy()).entropy())


def multinomial(**given: Any) -> td.Distribution:
    return td.Multinomial(int(given.pop("total_count")), **given)


DISCRETE = [
    Case("bernoulli-logits", sd.Bernoulli, {"logits": E1}, ranges(), td.Bernoulli,
         frozen=lambda logits: st.bernoulli(expit(logits)), value=binary),
    Case("bernoulli-probs", sd.Bernoulli, {"probs": E1}, ranges(probs=unit), td.Bernoulli,
         frozen=lambda probs: st.bernoulli(probs), value=binary),
    Case("categorical-logits", sd.Categorical, {"logits": EC}, ranges(), td.Categorical,
         scipy=lambda x, logits: index_log_prob(x, softmax(logits)), value=lambda raw: raw.argmax(-1),
         refused=("mean", "variance")),
    Case("categorical-probs", sd.Categorical, {"probs": EC}, ranges(probs=simplex), td.Categorical,
         scipy=index_log_prob, value=lambda raw: raw.argmax(-1), refused=("mean", "variance")),
    Case("one-hot-logits", sd.OneHotCategorical, {"logits": EC}, ranges(), td.OneHotCategorical,
         scipy=lambda x, logits: class_log_prob(x, softmax(logits)), event=EC, value=rows),
    Case("one-hot-probs", sd.OneHotCategorical, {"probs": EC}, ranges(probs=simplex), td.OneHotCategorical,
         scipy=class_log_prob, event=EC, value=rows),
    Case("binomial-logits", sd.Binomial, {"total_count": E1, "logits": E1}, ranges(total_count=trials), td.Binomial,
         frozen=lambda total_count, logits: st.binom(total_count, expit(logits)), value=counts, entropy=binomial_entropy),
    Case("binomial-probs", sd.Binomial, {"probs": E1}, ranges(probs=unit), td.Binomial, fixed={"total_count": 12.0},
         frozen=lambda total_count, probs: st.binom(total_count, probs), value=counts, entropy=binomial_entropy),
    Case("multinomial-logits", sd.Multinomial, {"logits": EC}, ranges(), multinomial, fixed={"total_count": 5.0},
         scipy=lambda x, total_count, logits: st.multinomial.logpmf(x, total_count, softmax(logits)), event=EC,
         value=count_rows, entropy=multinomial_entropy),
    Case("multinomial-probs", sd.Multinomial, {"probs": EC}, ranges(probs=simplex), multinomial,
         scipy=lambda x, total_count, probs: st.multinomial.logpmf(x, total_count, probs / probs.sum(-1, keepdims=True)),
         event=EC, value=count_rows, entropy=multinomial_entropy, fixed={"total_count": 5.0}),
    Case("geometric-logits", sd.Geometric, {"logits": E1}, ranges(), td.Geometric,
         frozen=lambda logits: st.geom(expit(logits), loc=-1), value=counts),
    Case("geometric-probs", sd.Geometric, {"probs": E1}, ranges(probs=unit), td.Geometric,
         frozen=lambda probs: st.geom(probs, loc=-1), value=counts),
    Case("poisson", sd.Poisson, {"rate": E1}, ranges(rate=lambda r: 8 * r.exp()), td.Poisson,
         frozen=lambda rate: st.poisson(rate), value=lambda raw: 4 * counts(raw), entropy=poisson_entropy),
    Case("poisson-log-rate", sd.Poisson, {"log_rate": E1}, ranges(),
         lambda log_rate, **options: td.Poisson(log_rate.exp(), **options),
         frozen=lambda log_rate: st.poisson(np.exp(log_rate)), value=counts, entropy=poisson_entropy),
    Case("negative-binomial-logits", sd.NegativeBinomial, {"total_count": E1, "logits": E1},
         ranges(total_count=torch.exp), td.NegativeBinomial, refused=("entropy",), value=counts,
         frozen=lambda total_count, logits: st.nbinom(total_count, expit(-logits))),
    Case("negative-binomial-probs", sd.NegativeBinomial, {"total_count": E1, "probs": E1},
         ranges(total_count=torch.exp, probs=unit), td.NegativeBinomial, refused=("entropy",), value=counts,
         frozen=lambda total_count, probs: st.nbinom(total_count, 1 - probs)),
    Case("discretized-logistic", sd.DiscretizedLogistic, {"loc": E1, "scale": E1}, ranges(scale=unit), None,
         scipy=lambda x, loc, scale: np.log(cells(x, loc, scale)), value=grid_value,
         fixed={"levels": LEVELS, "low": -1.0, "high": 1.0}, **tabulated(cells)),
    Case("discretized-logistic-log-scale", sd.DiscretizedLogistic, {"loc": E1, "log_scale": E1}, ranges(), None,
         scipy=lambda x, loc, log_scale: np.log(cells(x, loc, np.exp(log_scale))), value=grid_value,
         fixed={"levels": LEVELS, "low": -1.0, "high": 1.0},
         **tabulated(lambda x, loc, log_scale: cells(x, loc, np.exp(log_scale)))),
    Case("discretized-mixture", sd.DiscretizedLogisticMixture, {"logits": EC, "loc": EC, "scale": EC},
         ranges(scale=unit), None, scipy=lambda x, logits, loc, scale: np.log(mixed_cells(x, logits, loc, scale)),
         value=grid_value, fixed={"levels": LEVELS, "low": -1.0, "high": 1.0}, **tabulated(mixed_cells)),
]  # fmt: skip
