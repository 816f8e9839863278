"""What all of Pyro's variants share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pyro
import torch
from pyro.infer import SVI
from torch import Tensor, nn

from benchmarks.variants import Run

_numbers = itertools.count()


def own_name(name: str) -> str:
    """A name of its own in Pyro's only parameter store, for each variant."""
    return f"{name}-{next(_numbers)}"


def svi(
    model: Callable[..., object],
    guide: Callable[..., object],
    data: Sequence[Any],
    elbo: Any,
    optimizer: Any,
    *,
    validate: bool = True,
    scale: float = 1.0,
    parameters: Sequence[nn.Parameter] = (),
) -> Run:
    """Pyro's own training step; ``scale`` brings its loss, a sum over the batch, to a mean."""
    steps = SVI(model, guide, optimizer, loss=elbo)

    def step() -> float:
        # Validation is a switch of the whole process, and other variants run between two steps.
        with pyro.validation_enabled(validate):
            return float(steps.step(*data))

    def loss() -> Tensor:
        with pyro.validation_enabled(validate):
            if parameters:
                return scale * elbo.differentiable_loss(model, guide, *data)
            return scale * torch.as_tensor(elbo.loss(model, guide, *data))

    return Run(step, loss, parameters)
