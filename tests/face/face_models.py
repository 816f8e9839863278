"""Small networks and batches for tests of the face."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import symdgm as sd

BLOCK = """
    p(z)   = Normal(z; 0, 1)
    q(z|x) = Normal(z; enc(x))
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]
"""
EQUATION = "maximize E_q(z|x)[log p(x|z)] - beta KL[q||p]"
PIXELS, LATENT = 8, 3


class Encoder(nn.Module):
    def __init__(self, inputs: int = PIXELS) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, 6)
        self.out = nn.Linear(6, 2 * LATENT)

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.out(self.hidden(torch.cat(given, -1)).tanh()).chunk(2, -1)
        return loc, softplus(scale)


def networks(seed: int = 0) -> tuple[Encoder, nn.Linear]:
    torch.manual_seed(seed)
    return Encoder(), nn.Linear(LATENT, PIXELS)


def images(rows: int = 24) -> Tensor:
    return torch.rand(rows, PIXELS, generator=torch.Generator().manual_seed(1)).round()


def by_block(seed: int = 0, **names: object) -> sd.Model:
    enc, dec = networks(seed)
    return sd.Model(BLOCK, enc=enc, dec=dec, **{"beta": 1.0, "z": LATENT, **names})


def by_objects(seed: int = 0, **names: object) -> sd.Model:
    enc, dec = networks(seed)
    parts = [
        sd.Normal("q(z|x)", enc),
        sd.Bernoulli("p(x|z)", dec),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT),
    ]
    return sd.Model(EQUATION, *parts, **{"beta": 1.0, **names})
