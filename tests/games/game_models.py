"""Small networks of games in float64, and what a player's step gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import symdgm as sd

GAN = "min_G max_D E_data(x)[log sigmoid(D(x))] + E_p(z)[log(1 - sigmoid(D(G(z))))]"
DATA, LATENT = 3, 2


def generator(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(LATENT, 8), nn.Tanh(), nn.Linear(8, DATA)).double()


def critic(seed: int = 1) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(DATA, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def prior() -> sd.Normal:
    return sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)


def data(rows: int = 16, seed: int = 2) -> Tensor:
    return torch.randn(rows, DATA, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gan(text: str = GAN, **options: object) -> tuple[sd.Model, nn.Sequential, nn.Sequential]:
    g, d = generator(), critic()
    return sd.Model(text, prior(), G=g, D=d, **options), g, d


def noise(rows: int = 16) -> Tensor:
    return torch.randn(rows, LATENT, dtype=torch.float64)


def gradients(value: Tensor, module: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(value, list(module.parameters()), retain_graph=True))


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-10, atol=1e-14) for a, b in zip(left, right, strict=True))


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]
