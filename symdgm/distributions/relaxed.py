"""Continuous relaxations of the Bernoulli and the one-hot categorical distribution, with a temperature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions import noise
from symdgm.distributions.family import Family
from symdgm.distributions.odds import logits_of
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.parametric import Check
from symdgm.distributions.support import check_positive, check_real, check_simplex, check_unit
from symdgm.distributions.supports import Interval, Simplex, Support

NO_MOMENT = "average over draws; at a low temperature it is near that of the unrelaxed family"
NO_ENTROPY = "average `-log_prob` over draws: it is an unbiased estimate"


class RelaxedBernoulli(Family):
    r"""A number between zero and one for each element, near its ends at a low temperature.

    .. math::
        x_i = \sigma((\ell_i + g_i) / \tau), \; g_i \sim \text{Logistic}(0, 1); \quad
        \log p(x) = \sum_i \log \tau + \log \sigma(d_i) + \log \sigma(-d_i) - \log x_i (1 - x_i), \;
        d_i = \ell_i - \tau \,\text{logit}\, x_i

    The density is that of the relaxed variable, also where it is evaluated. Hard values 0 and 1 have none:
    they are refused, and draws are kept off them by rounding error.

    Args:
        declaration: such as ``q(y|x)``.
        network: returns what is not written: the logits, where ``temperature`` is a number.
        event_shape: the shape of one value, where all parameters are numbers.
        logits: the log-odds of one, any real number.
        temperature: τ, positive.
        probs: the probability of one, in [0, 1], in place of the logits; 0 and 1 are moved by rounding error.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Source: Maddison, Mnih and Teh, The concrete distribution, 2017, equation 23.

    Example:
        >>> p = RelaxedBernoulli("p(y)", logits=0.0, temperature=1.0, event_shape=())
        >>> p.prob({"y": torch.tensor([0.1, 0.5])})
        tensor([1., 1.])
    """

    family: ClassVar[str] = "RelaxedBernoulli"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits", "temperature")
    alternatives: ClassVar[Alternatives] = (("logits", "temperature"), ("probs", "temperature"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 0, "probs": 0, "temperature": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = Interval(
        0, 1, True, True, "hard values have no relaxed density: give `{variable}` a Bernoulli for them"
    )
    constraints: ClassVar[Mapping[str, Check]] = {
        "logits": check_real,
        "probs": check_unit,
        "temperature": check_positive,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """``sigmoid((logits + logistic noise) / temperature)``, differentiable by both."""
        moved = logits_of(parameters) + noise.logistic(parameters, shape, generator)
        drawn = (moved / parameters["temperature"]).sigmoid()
        info = torch.finfo(drawn.dtype)
        return noise.kept(drawn, info.tiny, 1 - info.eps / 2)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each element."""
        temperature = parameters["temperature"]
        log_one, log_zero = value.log(), (-value).log1p()
        d = logits_of(parameters) - temperature * (log_one - log_zero)
        return temperature.log() + F.logsigmoid(d) + F.logsigmoid(-d) - log_one - log_zero

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: there is no closed form."""
        raise self._refuse("entropy in closed form", NO_ENTROPY)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: there is no closed form."""
        raise self._refuse("mean in closed form", NO_MOMENT)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: there is no closed form."""
        raise self._refuse("variance in closed form", NO_MOMENT)


class RelaxedOneHotCategorical(Family):
    r"""A row of shares of K classes on the last axis of the event, near a one-hot row at a low temperature.

    .. math::
        x = \text{softmax}((\ell + g) / \tau), \; g_k \sim \text{Gumbel}; \quad
        \log p(x) = \log (K - 1)! + (K - 1) \log \tau + \sum_k (\ell_k - (\tau + 1) \log x_k)
        - K \log \sum_k e^{\ell_k - \tau \log x_k}

    The density is that of the relaxed variable, also where it is evaluated, with respect to the first K - 1
    entries. One-hot rows have none: they are refused, and draws are kept off them by rounding error.

    Args:
        declaration: such as ``q(y|x)``.
        network: returns what is not written: the logits ``[batch, *event]``, where ``temperature`` is a
            number.
        event_shape: the shape of one value, classes last, where one row of parameters is for all elements.
        logits: unnormalised log-probabilities, real numbers.
        temperature: τ, positive; one for each row.
        probs: probabilities, which sum to 1 over the classes, in place of the logits; 0 is moved by rounding
            error.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Source: Maddison, Mnih and Teh, The concrete distribution, 2017, equation 10; Jang, Gu and Poole,
    Categorical reparameterization with Gumbel-softmax, 2017.

    Example:
        >>> p = RelaxedOneHotCategorical("p(y)", logits=torch.zeros(3), temperature=1.0)
        >>> p.prob({"y": torch.tensor([[0.2, 0.3, 0.5]])})
        tensor([2.0140])
    """

    family: ClassVar[str] = "RelaxedOneHotCategorical"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits", "temperature")
    alternatives: ClassVar[Alternatives] = (("logits", "temperature"), ("probs", "temperature"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 1, "probs": 1, "temperature": 0}
    event_rank: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support: Support = Simplex(
        "hard rows have no relaxed density: give `{variable}` a OneHotCategorical for them", is_open=True
    )
    constraints: ClassVar[Mapping[str, Check]] = {
        "logits": check_real,
        "probs": check_simplex,
        "temperature": check_positive,
    }

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """``softmax((logits + Gumbel noise) / temperature)``, differentiable by both."""
        moved = _class_logits(parameters) + noise.gumbel(parameters, shape, generator)
        rows = (moved / parameters["temperature"].unsqueeze(-1)).softmax(-1)
        return noise.kept(rows, torch.finfo(rows.dtype).tiny)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-density of each row."""
        temperature, log_value = parameters["temperature"], value.log()
        classes = value.shape[-1]
        scores = _class_logits(parameters) - temperature.unsqueeze(-1) * log_value
        constant = math.lgamma(classes) + (classes - 1) * temperature.log()
        return constant + scores.log_softmax(-1).sum(-1) - log_value.sum(-1)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: there is no closed form."""
        raise self._refuse("entropy in closed form", NO_ENTROPY)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: there is no closed form."""
        raise self._refuse("mean in closed form", NO_MOMENT)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: there is no closed form."""
        raise self._refuse("variance in closed form", NO_MOMENT)


def _class_logits(parameters: Mapping[str, Tensor]) -> Tensor:
    if "logits" in parameters:
        return parameters["logits"]
    probs = parameters["probs"]
    return probs.clamp_min(torch.finfo(probs.dtype).eps).log()
