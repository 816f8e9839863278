"""Standard noise in the dtype and on the device of a distribution's parameters.

Every function draws from the generator that it is given and touches no other; without one it draws from
torch's global generator. Gamma noise is drawn by rejection: the same seed repeats it for the same parameters
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]
Generator = torch.Generator | None


def dtype_of(parameters: Parameters) -> torch.dtype:
    """The dtype in which parameters meet.

    Example:
        >>> dtype_of({"loc": torch.zeros(2), "scale": torch.ones(2).double()})
        torch.float64
    """
    return reduce(torch.promote_types, (t.dtype for t in parameters.values()))


def normal(parameters: Parameters, shape: torch.Size, generator: Generator) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, **_settings(parameters, generator))


def uniform(parameters: Parameters, shape: torch.Size, generator: Generator) -> Tensor:
    """Numbers strictly between 0 and 1, so that both their logs are finite."""
    raw = torch.rand(shape, **_settings(parameters, generator))
    eps = torch.finfo(raw.dtype).eps
    return raw * (1 - eps) + eps / 2


def exponential(parameters: Parameters, shape: torch.Size, generator: Generator) -> Tensor:
    """Positive numbers of mean one."""
    dtype = dtype_of(parameters)
    raw = torch.empty(shape, dtype=dtype, device=_device(parameters)).exponential_(generator=generator)
    return raw.clamp_min(torch.finfo(dtype).tiny)


def gumbel(parameters: Parameters, shape: torch.Size, generator: Generator) -> Tensor:
    """Standard Gumbel numbers: the arg-max of logits plus these is a draw from their softmax."""
    return -exponential(parameters, shape, generator).log()


def logistic(parameters: Parameters, shape: torch.Size, generator: Generator) -> Tensor:
    """Standard logistic numbers."""
    u = uniform(parameters, shape, generator)
    return u.log() - (-u).log1p()


def gamma(concentration: Tensor, shape: torch.Size, generator: Generator) -> Tensor:
    """Gamma numbers of rate one, differentiable by the concentration, and positive for any of them."""
    boosted, power = _boosted_gamma(concentration.expand(shape), generator)
    drawn = boosted * power.exp()
    return kept(drawn, torch.finfo(drawn.dtype).tiny)


def log_gamma(concentration: Tensor, shape: torch.Size, generator: Generator) -> Tensor:
    """The log of gamma numbers of rate one, which does not underflow at a small concentration."""
    boosted, power = _boosted_gamma(concentration.expand(shape), generator)
    return boosted.log() + power


def kept(value: Tensor, low: float, high: float | None = None) -> Tensor:
    """A value held within bounds, with the gradient as if it had not been.

    Rounding takes draws onto the edge of an open support, where there is no density.
    """
    return value + (value.detach().clamp(low, high) - value.detach())


def _boosted_gamma(concentration: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """A gamma number of concentration a + 1, and log(u) / a: the product with u^(1/a) has concentration a.

    Source: Marsaglia and Tsang, A simple method for generating gamma variables, 2000, section 6.
    """
    boosted = torch._standard_gamma(concentration + 1, generator)
    power = exponential({"concentration": concentration}, concentration.shape, generator)
    return boosted, -power / concentration


def _settings(parameters: Parameters, generator: Generator) -> dict[str, Any]:
    """Dtype, device and, if there is one, generator: `torch.compile` takes no dynamic sizes beside one."""
    settings: dict[str, Any] = {"dtype": dtype_of(parameters), "device": _device(parameters)}
    return settings if generator is None else {**settings, "generator": generator}


def _device(parameters: Parameters) -> torch.device:
    return next(iter(parameters.values())).device
