"""Networks that several workloads take."""

from __future__ import annotations

import copy
from typing import TypeVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

Modules = TypeVar("Modules", bound=tuple[nn.Module, ...])


@final
class Encoder(nn.Module):
    """Mean and standard deviation over one hidden layer, as in Pyro's example of a VAE."""

    def __init__(self, data: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(data, hidden)
        self.loc, self.scale = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = softplus(self.hidden(x))
        return self.loc(h), softplus(self.scale(h))


def decoder(latent: int, hidden: int, data: int) -> nn.Sequential:
    """Logits over one hidden layer."""
    return nn.Sequential(nn.Linear(latent, hidden), nn.Softplus(), nn.Linear(hidden, data))


def copies(modules: Modules) -> Modules:
    """Networks of a variant's own, with the same weights."""
    return copy.deepcopy(modules)


def binary(rows: int, data: int) -> Tensor:
    """A batch of zeros and ones, ``[rows, data]``."""
    return torch.bernoulli(torch.full((rows, data), 0.3))
