"""The families under test: how to make each, and an independent reference of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.stats as st
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm.distributions as sd

BATCH, EVENT, CLASSES = 5, 3, 4
Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    name: str
    family: type[sd.Family]
    shapes: dict[str, tuple[int, ...]]
    make: Callable[[str, Tensor], Tensor]
    """A parameter in its range from unconstrained numbers."""
    reference: Callable[..., td.Distribution] | None
    """The distribution of torch with these parameters, if torch has one."""
    scipy: Callable[..., Tensor] | None = None
    """The log-density of each element by scipy or numpy."""
    frozen: Callable[..., Any] | None = None
    """The distribution of scipy, for one variable: its log-density, and its distribution function."""
    event: tuple[int, ...] = (EVENT,)
    value: Callable[[Tensor], Tensor] = lambda v: v
    entropy: Callable[..., Tensor] | None = None
    """The entropy of each element, where torch has none."""
    moments: Callable[..., tuple[Tensor, Tensor]] | None = None
    """The mean and the variance, where torch has none."""
    refused: tuple[str, ...] = ()
    """Which of entropy, mean and variance do not exist in closed form."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """Parameters and options that are numbers."""
    tolerance: float = 1e-11

    def parameters(self, batch: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Parameters:
        generator = torch.Generator().manual_seed(seed)
        draw = {n: torch.randn(batch + s, generator=generator, dtype=dtype) for n, s in self.shapes.items()}
        return {name: self.make(name, t) for name, t in draw.items()}

    def values(self, dtype: torch.dtype, lead: tuple[int, ...] = (BATCH,), seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        shape = lead + self.event + ((CLASSES,) if self.family is sd.Categorical else ())
        return self.value(torch.randn(shape, generator=generator, dtype=dtype))

    def new(self, declaration: str, *network: nn.Module, **parameters: Any) -> sd.Family:
        return self.family(declaration, *network, **parameters, **self.fixed)

    def numbers(self, dtype: torch.dtype = torch.float64) -> Parameters:
        """The fixed parameters as tensors; options are left out."""
        known = self.family.parameter_ranks
        return {n: torch.tensor(v, dtype=dtype) for n, v in self.fixed.items() if n in known}

    def log_density(self, value: Tensor, parameters: Parameters) -> Tensor:
        arrays = {n: p.detach().double().numpy() for n, p in (parameters | self.numbers()).items()}
        if self.scipy is not None:
            return torch.as_tensor(self.scipy(value.detach().numpy(), **arrays))
        assert self.frozen is not None
        law = self.frozen(**arrays)
        found = law.logpmf if self.family.discrete else law.logpdf
        return torch.as_tensor(found(value.detach().double().numpy()))

    def torch(self, parameters: Parameters, **options: Any) -> td.Distribution:
        assert self.reference is not None
        dtype = next(iter(parameters.values())).dtype
        return self.reference(**parameters, **self.numbers(dtype), **options)


class Table(nn.Module):
    """A network whose output is its weights: the parameters of a case, one row for each example."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        self.raw = nn.ParameterDict({name: nn.Parameter(t.clone()) for name, t in parameters.items()})

    def forward(self, x: Tensor) -> Parameters:
        return {name: t + 0 * x.sum() for name, t in self.raw.items()}


def ranges(**functions: Callable[[Tensor], Tensor]) -> Callable[[str, Tensor], Tensor]:
    """Parameters by name; those that are not named are real."""
    return lambda name, raw: functions[name](raw) if name in functions else raw


def like(
    reference: Callable[..., td.Distribution], **convert: Callable[[Tensor], Tensor]
) -> Callable[..., td.Distribution]:
    """torch's distribution, whose parameters are called otherwise: ``scale=log_scale.exp()``."""

    def build(**given: Any) -> td.Distribution:
        for new, function in convert.items():
            old = function.__code__.co_varnames[0]
            given[new] = function(given.pop(old))
        return reference(**given)

    return build


def simplex(raw: Tensor) -> Tensor:
    return raw.softmax(-1)


def unit(raw: Tensor) -> Tensor:
    return raw.sigmoid()


def binary(raw: Tensor) -> Tensor:
    return (raw > 0).to(raw.dtype)


def counts(raw: Tensor) -> Tensor:
    return (3 * raw).abs().round()


def direction(raw: Tensor) -> Tensor:
    return nn.functional.normalize(raw, dim=-1)


def rows(raw: Tensor) -> Tensor:
    return nn.functional.one_hot(raw.argmax(-1), raw.shape[-1]).to(raw.dtype)


def count_rows(raw: Tensor) -> Tensor:
    """Rows of five."""
    some = (5 * raw.softmax(-1)).floor()
    return torch.cat([some[..., :1] + 5 - some.sum(-1, keepdim=True), some[..., 1:]], -1)


def covariance(raw: Tensor) -> Tensor:
    return raw @ raw.mT + torch.eye(raw.shape[-1], dtype=raw.dtype)


def tril(raw: Tensor) -> Tensor:
    return raw.tril(-1) + torch.diag_embed(raw.diagonal(dim1=-2, dim2=-1).exp())


def expit(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_rows(law: Callable[..., Any]) -> Callable[..., Tensor]:
    """A log-density of scipy that takes one vector at a time, over all of them."""

    def log_density(x: Any, **parameters: Any) -> Tensor:
        lead = x.shape[:-1]
        flat = {n: p.reshape(-1, *p.shape[len(lead) :]) for n, p in parameters.items() if p.ndim}
        single = {n: p for n, p in parameters.items() if not p.ndim}
        found = [
            law(row, **{n: p[i] for n, p in flat.items()}, **single)
            for i, row in enumerate(x.reshape(-1, x.shape[-1]).astype(float))
        ]
        return torch.as_tensor(np.array(found, dtype=float).reshape(lead))

    return log_density


def class_log_prob(x: Any, probs: Any) -> Tensor:
    """By scipy's multinomial of one trial, over one-hot rows; float32 rows sum to one only nearly."""
    return torch.as_tensor(st.multinomial.logpmf(x, 1, probs / probs.sum(-1, keepdims=True)))


def index_log_prob(x: Any, probs: Any) -> Tensor:
    return class_log_prob(np.eye(probs.shape[-1])[x], probs)
