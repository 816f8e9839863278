"""Small objectives for tests of the runtime."""

import torch
from torch import nn

import symdgm as sd


def elbo(**names: object) -> sd.Objective:
    torch.manual_seed(0)
    parts = [
        sd.Normal("q(z|x)", loc=nn.Linear(6, 4), scale=1.0),
        sd.Bernoulli("p(x|z)", nn.Linear(4, 6)),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
    ]
    return sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", *parts, **{"beta": 1.0, **names})


def batch(rows: int = 5) -> torch.Tensor:
    return torch.rand(rows, 6, generator=torch.Generator().manual_seed(1)).round()
