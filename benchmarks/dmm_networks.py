"""The networks of Pyro's example of a deep Markov model, without flows."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmarks.chorales import NOTES

RATE = 3e-4
"""The step size of Pyro's example; with a larger one a standard deviation underflows on random rolls."""


@final
class Transition(nn.Module):
    """The gated law of z_t given z_{t-1} (Krishnan et al. 2017)."""

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.gate_in, self.gate_out = nn.Linear(latent, hidden), nn.Linear(hidden, latent)
        self.mean_in, self.mean_out = nn.Linear(latent, hidden), nn.Linear(hidden, latent)
        self.scale, self.loc = nn.Linear(latent, latent), nn.Linear(latent, latent)
        nn.init.eye_(self.loc.weight)
        nn.init.zeros_(self.loc.bias)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(self.gate_out(torch.relu(self.gate_in(z))))
        proposed = self.mean_out(torch.relu(self.mean_in(z)))
        loc = (1 - gate) * self.loc(z) + gate * proposed
        return loc, softplus(self.scale(torch.relu(proposed)))


@final
class Combiner(nn.Module):
    """The posterior of z_t given z_{t-1} and the state of the recurrent network."""

    def __init__(self, latent: int, recurrent: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(latent, recurrent)
        self.loc, self.scale = nn.Linear(recurrent, latent), nn.Linear(recurrent, latent)

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        combined = 0.5 * (torch.tanh(self.hidden(z)) + h)
        return self.loc(combined), softplus(self.scale(combined))


@final
class DMM(nn.Module):
    """All networks, and z_0, which both chains begin with."""

    def __init__(self, latent: int, emission: int = 100, transition: int = 200, recurrent: int = 600) -> None:
        super().__init__()
        self.emit = nn.Sequential(
            nn.Linear(latent, emission),
            nn.ReLU(),
            nn.Linear(emission, emission),
            nn.ReLU(),
            nn.Linear(emission, NOTES),
        )
        self.transition = Transition(latent, transition)
        self.combine = Combiner(latent, recurrent)
        self.recurrent = nn.RNN(NOTES, recurrent, nonlinearity="relu", batch_first=True)
        self.z_0 = nn.Parameter(torch.zeros(latent))


def reversed_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence backwards in time, its padding still behind: ``[batch, time, features]``."""
    time = torch.arange(x.shape[1], device=x.device)
    index = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    return x.gather(1, index[:, :, None].expand_as(x))
