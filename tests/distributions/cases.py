"""The families under test: how to make each, and an independent reference of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import scipy.stats as st
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm.distributions as sd

BATCH, EVENT, CLASSES = 5, 3, 4


@dataclass(frozen=True)
class Case:
    name: str
    family: type[sd.Family]
    shapes: dict[str, tuple[int, ...]]
    make: Callable[[str, Tensor], Tensor]
    """A parameter in its range from unconstrained numbers."""
    reference: Callable[..., td.Distribution]
    scipy: Callable[..., Tensor]
    event: tuple[int, ...] = (EVENT,)
    value: Callable[[Tensor], Tensor] = lambda v: v

    def parameters(self, batch: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        draw = {n: torch.randn(batch + s, generator=generator, dtype=dtype) for n, s in self.shapes.items()}
        return {name: self.make(name, t) for name, t in draw.items()}

    def values(self, dtype: torch.dtype, lead: tuple[int, ...] = (BATCH,), seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        shape = lead + self.event + ((CLASSES,) if self.family is sd.Categorical else ())
        return self.value(torch.randn(shape, generator=generator, dtype=dtype))


def positive(name: str, raw: Tensor) -> Tensor:
    return raw.exp() if name == "scale" else raw


def unit(name: str, raw: Tensor) -> Tensor:
    return raw.sigmoid()


def simplex(name: str, raw: Tensor) -> Tensor:
    return raw.softmax(-1)


def same(name: str, raw: Tensor) -> Tensor:
    return raw


def rows(raw: Tensor) -> Tensor:
    return nn.functional.one_hot(raw.argmax(-1), raw.shape[-1]).to(raw.dtype)


def numpy_log_probs(probs: Tensor, value: Tensor) -> Tensor:
    """By scipy's multinomial of one trial, over one-hot rows; float32 rows sum to one only nearly."""
    probs = probs / probs.sum(-1, keepdim=True)
    return torch.as_tensor(st.multinomial.logpmf(value.numpy(), 1, probs.numpy()))


def by_index(probs: Tensor, value: Tensor) -> Tensor:
    return numpy_log_probs(probs, nn.functional.one_hot(value, probs.shape[-1]))


CASES = [
    Case(
        "normal", sd.Normal, {"loc": (EVENT,), "scale": (EVENT,)}, positive, td.Normal,
        lambda x, loc, scale: torch.as_tensor(st.norm.logpdf(x, loc, scale)),
    ),
    Case(
        "bernoulli-logits", sd.Bernoulli, {"logits": (EVENT,)}, same, td.Bernoulli,
        lambda x, logits: torch.as_tensor(st.bernoulli.logpmf(x, logits.sigmoid())),
        value=lambda raw: (raw > 0).to(raw.dtype),
    ),
    Case(
        "bernoulli-probs", sd.Bernoulli, {"probs": (EVENT,)}, unit, td.Bernoulli,
        lambda x, probs: torch.as_tensor(st.bernoulli.logpmf(x, probs)),
        value=lambda raw: (raw > 0).to(raw.dtype),
    ),
    Case(
        "categorical-logits", sd.Categorical, {"logits": (EVENT, CLASSES)}, same, td.Categorical,
        lambda x, logits: by_index(logits.softmax(-1), x),
        value=lambda raw: raw.argmax(-1),
    ),
    Case(
        "categorical-probs", sd.Categorical, {"probs": (EVENT, CLASSES)}, simplex, td.Categorical,
        lambda x, probs: by_index(probs, x),
        value=lambda raw: raw.argmax(-1),
    ),
    Case(
        "one-hot-logits", sd.OneHotCategorical, {"logits": (EVENT, CLASSES)}, same, td.OneHotCategorical,
        lambda x, logits: numpy_log_probs(logits.softmax(-1), x),
        event=(EVENT, CLASSES), value=rows,
    ),
    Case(
        "one-hot-probs", sd.OneHotCategorical, {"probs": (EVENT, CLASSES)}, simplex, td.OneHotCategorical,
        lambda x, probs: numpy_log_probs(probs, x),
        event=(EVENT, CLASSES), value=rows,
    ),
]  # fmt: skip


class Table(nn.Module):
    """A network whose output is its weights: the parameters of a case, one row for each example."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self.raw = nn.ParameterDict({name: nn.Parameter(t.clone()) for name, t in parameters.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: t + 0 * x.sum() for name, t in self.raw.items()}
