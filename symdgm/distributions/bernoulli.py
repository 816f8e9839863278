"""The Bernoulli distribution, independent in each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions.family import Family
from symdgm.distributions.parametric import Check
from symdgm.distributions.shapes import broadcast
from symdgm.distributions.stable import times_log, times_log1p
from symdgm.distributions.support import check_real, check_unit
from symdgm.distributions.supports import Interval, Support


class Bernoulli(Family):
    r"""Zero or one for each element, with the probability of one given as such or by its logit.

    .. math:: \log p(x) = \sum_i x_i \log \pi_i + (1 - x_i) \log (1 - \pi_i), \; \pi = \sigma(\text{logits})

    Values between 0 and 1 are accepted, as for grey images: then this is minus a cross-entropy, no density.

    Args:
        declaration: such as ``p(x|z)``.
        network: returns the logits, or the dict ``{"probs": ...}``.
        event_shape: the shape of one value, where the parameter is a number.
        logits: the log-odds of one, any real number.
        probs: the probability of one, in [0, 1].

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Example:
        >>> p = Bernoulli("p(x)", probs=0.25, event_shape=())
        >>> p.prob({"x": torch.tensor([0.0, 1.0])})
        tensor([0.7500, 0.2500])
    """

    family: ClassVar[str] = "Bernoulli"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits",)
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("logits",), ("probs",))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 0, "probs": 0}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Interval(0, 1, hint="scale the data into [0, 1], or bind `{variable}` to a Normal")
    constraints: ClassVar[Mapping[str, Check]] = {"logits": check_real, "probs": check_unit}

    @property
    @final
    def finite(self) -> bool:
        """Each element is zero or one."""
        return True

    @final
    def element_values(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Zero and one."""
        return self.mean_at(parameters).new_tensor([0.0, 1.0])

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """Zeros and ones in the dtype of the parameter, without a gradient."""
        probs = self.mean_at(parameters)
        uniform = torch.rand(shape, generator=generator, dtype=probs.dtype, device=probs.device)
        return (uniform < probs).to(probs.dtype)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element: cross-entropy with logits, or ``x log p`` kept finite at 0."""
        if "probs" in parameters:
            probs = parameters["probs"]
            return times_log(value, probs) + times_log1p(1 - value, -probs)
        logits = parameters["logits"]
        shape = broadcast(logits.shape, value.shape)
        return -F.binary_cross_entropy_with_logits(
            logits.expand(shape), value.expand(shape), reduction="none"
        )

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``-p log p - (1 - p) log(1 - p)``."""
        probs = self.mean_at(parameters)
        return -self.log_density(probs, parameters)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The probability of one."""
        return parameters["probs"] if "probs" in parameters else parameters["logits"].sigmoid()

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``p (1 - p)``."""
        probs = self.mean_at(parameters)
        return probs * (1 - probs)
